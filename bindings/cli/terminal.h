/* What standard output and standard error are, and text for people. */
#ifndef RESNET_CLI_TERMINAL_H
#define RESNET_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Descriptors 0 to 2 that the caller closed are pointed at /dev/null, so that no file
 * that is opened later takes their place; SIGPIPE and SIGXFSZ become errors of the
 * write. */
void terminal_prepare(void);

/* Write out and close standard output. False, with a message, where that fails: a full
 * disk, or (without a message) a reader that went away. */
bool terminal_finish(void);

/* Standard output can't be written any more. */
bool output_failed(void);

/* Escape sequences for bold and back; "" unless standard output is a terminal and
 * NO_COLOR is not set. */
const char *bold(void);
const char *plain(void);

/* Seconds of a clock that only goes forward. */
double clock_seconds(void);

/* Processors that this process may run on, at least 1. */
uint32_t processor_count(void);

/* The most memory that this process has held at once; 0: not known. */
uint64_t peak_memory_bytes(void);

enum { FORMAT_SIZE = 32 };

/* "1.2 M", "41 k"; "-" for 0. Returns `out`. */
const char *format_count(char out[FORMAT_SIZE], uint64_t count);

/* "1.2 MiB", "96 B". Returns `out`. */
const char *format_bytes(char out[FORMAT_SIZE], uint64_t bytes);

/* End the program with EXIT_INPUT and a message. */
_Noreturn void out_of_memory(void);

/* Zeroed memory for `count` things; where there is none the program ends as above. */
void *allocate(size_t count, size_t size);

/* `*array` with room for more than `used` things. As above. */
void *grow(void *array, size_t used, size_t *capacity, size_t size);

/* A copy of the text. As above. */
char *copy_text(const char *text);

/* What stands behind the path's last slash; all of it where nothing does. */
const char *base_name(const char *path);

#endif
