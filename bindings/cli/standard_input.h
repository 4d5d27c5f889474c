/* Standard input as the file that an operand or an option names. */
#ifndef RESNET_CLI_STANDARD_INPUT_H
#define RESNET_CLI_STANDARD_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resnet.h"

/* Return true for "-", "/dev/stdin" and the other names of descriptor 0. NULL: false. */
bool cli_is_standard_input(const char *path);

/* Return what a message calls the file: its path, or "standard input". */
const char *cli_input_name(const char *path);

/* Read standard input to its end, at most `limit` bytes; the caller frees *bytes. It may
 * be a pipe, so that a second call would find nothing: cli_options_parse lets a command
 * line name it once. */
bool cli_standard_input_read(size_t limit, uint8_t **bytes, size_t *size, resnet_error *error);

#endif
