/* The library's messages in the words of a command line. */
#ifndef RESNET_CLI_SHELL_MESSAGE_H
#define RESNET_CLI_SHELL_MESSAGE_H

/* A message with the longest replacements. */
enum { SHELL_MESSAGE_SIZE = 512 };

/* Copy a message of the library and name options of the program in place of C functions
 * and fields. Return `out`. */
const char *cli_shell_message(const char *message, char out[SHELL_MESSAGE_SIZE]);

#endif
