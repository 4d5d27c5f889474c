/* Numbers and file names as text. The functions that take `out` return it. */
#ifndef RESNET_CLI_FORMAT_H
#define RESNET_CLI_FORMAT_H

#include <stdint.h>

enum { FORMAT_SIZE = 32 };

/* "1.2 M", "41 k"; "-" for 0. */
const char *cli_format_count(char out[FORMAT_SIZE], uint64_t count);

/* "1.2 MiB", "96 B" */
const char *cli_format_bytes(char out[FORMAT_SIZE], uint64_t bytes);

/* 1234567 as "1,234,567" */
const char *cli_format_grouped(char out[FORMAT_SIZE], uint64_t count);

/* Return the part of `path` after its last slash, or all of it if that part is empty or
 * there is no slash. */
const char *cli_base_name(const char *path);

#endif
