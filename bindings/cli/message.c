#include "cli/message.h"

#include <stdarg.h>
#include <string.h>

#include "support/json.h"

/* The library cuts paths to this length where it puts them before its messages. */
enum { PREFIX_LENGTH = 100 };

void cli_print_masked(FILE *out, const char *text) {
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text;
    (void)fputc(byte < 0x20 || byte == 0x7f ? '?' : byte, out);
  }
}

/* ---- events ---- */

static FILE *events;

bool cli_events_open(int descriptor) {
  events = fdopen(descriptor, "w");
  if (!events) cli_print_note("--events %d: no descriptor that can be written", descriptor);
  return events != NULL;
}

bool cli_events_are_open(void) { return events != NULL; }

static json begin_event(const char *kind) {
  json j = json_one_line(events);
  flockfile(events);
  json_open_object(&j, NULL);
  json_text(&j, "event", kind);
  return j;
}

static void end_event(json *j) {
  json_close_object(j);
  (void)fputc('\n', events);
  (void)fflush(events);
  funlockfile(events);
}

void cli_event_progress(size_t done, size_t total, const char *unit) {
  json j = begin_event("progress");
  json_integer(&j, "done", done);
  json_integer(&j, "total", total);
  json_text(&j, "unit", unit);
  end_event(&j);
}

/* `status`: RESNET_OK for a warning. */
static void write_message(resnet_status status, const char *subject, const char *message) {
  json j = begin_event(status == RESNET_OK ? "warning" : "error");
  if (status != RESNET_OK) json_integer(&j, "status", (uint64_t)status);
  json_text(&j, "subject", subject);
  json_text(&j, "message", message);
  end_event(&j);
}

/* ---- messages ---- */

static void print_message(const char *subject, const char *message) {
  (void)fputs("resnet: ", stderr);
  if (strncmp(message, subject, strnlen(subject, PREFIX_LENGTH)) != 0) {
    cli_print_masked(stderr, subject);
    (void)fputs(": ", stderr);
  }
  cli_print_masked(stderr, message);
  (void)fputc('\n', stderr);
}

void cli_print_error(const char *subject, const resnet_error *error) {
  if (events)
    write_message(error->status, subject, error->message);
  else
    print_message(subject, error->message);
}

void cli_print_warning(const char *subject, const char *message) {
  if (events)
    write_message(RESNET_OK, subject, message);
  else
    print_message(subject, message);
}

void cli_print_note(const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  cli_print_warning("", text);
}
