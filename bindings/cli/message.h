/* Messages on standard error. */
#ifndef RESNET_CLI_MESSAGE_H
#define RESNET_CLI_MESSAGE_H

#include <stdio.h>

#include "support/error.h"

/* Print "resnet: SUBJECT: MESSAGE". Omit the subject if the message begins with it. */
void cli_print_error(const char *subject, const char *message);

/* Print "resnet: ...". */
void cli_print_note(const char *format, ...) PRINTF_LIKE(1, 2);

/* Write text that comes from a file or its name. Control characters become '?', so that
 * the text cannot send commands to a terminal. */
void cli_print_masked(FILE *out, const char *text);

#endif
