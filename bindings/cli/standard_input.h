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

/* Return the first `capacity` bytes of standard input, or all there are; the next call of
 * cli_standard_input_read returns them too. Return false if it cannot be read. */
bool cli_standard_input_start(uint8_t *bytes, size_t capacity, size_t *size);

/* Read standard input to its end, at most `limit` bytes. On success the caller frees
 * *bytes; on failure it is NULL. It may be a pipe, so that a second call would find
 * nothing: cli_options_parse lets a command line name it once. */
bool cli_standard_input_read(size_t limit, uint8_t **bytes, size_t *size, resnet_error *error);

#endif
