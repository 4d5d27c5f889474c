/* Messages on standard error, or as events for another program.
 *
 * An event is a JSON object on a line of its own:
 *   {"event": "error", "status": 2, "subject": "a.onnx", "message": "..."}
 *   {"event": "warning", "subject": "a.onnx", "message": "..."}
 *   {"event": "progress", "done": 12, "total": 70, "unit": "images"}
 * `status` is a resnet_status. Control characters are escaped, not masked. */
#ifndef RESNET_CLI_MESSAGE_H
#define RESNET_CLI_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "support/error.h"

/* Write events to `descriptor` from now on, instead of messages to standard error. Return
 * false and print an error if the descriptor cannot be written. Call this before any
 * thread starts. */
bool cli_events_open(int descriptor);

/* Return true after cli_events_open. */
bool cli_events_are_open(void);

/* Write a progress event. Thread-safe. */
void cli_event_progress(size_t done, size_t total, const char *unit);

/* Print "resnet: SUBJECT: MESSAGE", with the options of the program in place of the
 * library's functions (shell_message.h). Omit the subject if the message begins with
 * it. */
void cli_print_error(const char *subject, const resnet_error *error);
void cli_print_warning(const char *subject, const char *message);

/* Print "resnet: ...", as an event a warning without a subject. */
void cli_print_note(const char *format, ...) PRINTF_LIKE(1, 2);

/* Write text that comes from a file or its name. What utf8_is_unsafe names and bytes that
 * are not UTF-8 become '?', so that the text cannot send commands to a terminal. */
void cli_print_masked(FILE *out, const char *text);

#endif
