/* Standard output and standard error. */
#ifndef RESNET_CLI_TERMINAL_H
#define RESNET_CLI_TERMINAL_H

#include <stdbool.h>

/* Open /dev/null on descriptors 0 to 2 that the caller closed, so that no file opened
 * later takes their numbers. Make SIGPIPE and SIGXFSZ errors of the write. */
void cli_terminal_prepare(void);

/* Flush and close standard output. If that fails, return false and print a message (e.g.
 * the disk is full), except if the reader closed the pipe. */
bool cli_terminal_finish(void);

/* Return true if a write to standard output has failed. */
bool cli_output_failed(void);

/* Return the escape sequences for bold and for normal text, or "" if standard output is
 * no terminal or NO_COLOR is set. */
const char *cli_bold(void);
const char *cli_plain(void);

#endif
