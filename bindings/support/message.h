/* Messages of the program: failures that a function hands to its caller, and the lines on
 * standard error. */
#ifndef RESNET_SUPPORT_MESSAGE_H
#define RESNET_SUPPORT_MESSAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "resnet.h"

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

/* Fill *error; returns false, so that a failing function ends in `return refuse(...)`. */
bool refuse(resnet_error *error, resnet_status status, const char *format, ...) PRINTF_LIKE(3, 4);

/* "resnet: SUBJECT: MESSAGE" on standard error; the subject is left out where the message
 * begins with it already. */
void complain(const char *subject, const char *message);

/* "resnet: ..." on standard error. */
void note(const char *format, ...) PRINTF_LIKE(1, 2);

/* Write text that comes from a file or its name: a terminal must not obey what it
 * contains, so that control characters become '?'. */
void print_masked(FILE *out, const char *text);

#endif
