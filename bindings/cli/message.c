#include "cli/message.h"

#include <stdarg.h>
#include <string.h>

#include "cli/shell_message.h"
#include "support/json.h"
#include "support/utf8.h"

/* The library cuts paths to this length where it puts them before its messages. */
enum { PREFIX_LENGTH = 100 };

/* Return the length in bytes of the character at `text`, and set *masked if it must not
 * be printed. */
static unsigned look_at(const char *text, bool *masked) {
  const unsigned length = utf8_length(text);
  *masked = length == 0 || utf8_is_unsafe(utf8_decode(text, length));
  return length ? length : 1;
}

void cli_print_masked(FILE *out, const char *text) {
  while (*text) {
    bool masked;
    const unsigned length = look_at(text, &masked);
    (void)fwrite(masked ? "?" : text, 1, masked ? 1 : length, out);
    text += length;
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

/* Return true if the library put `subject` before its message, cut and masked. */
static bool begins_with(const char *message, const char *subject) {
  char cut[PREFIX_LENGTH + 1];
  (void)snprintf(cut, sizeof cut, "%s", subject);
  for (const char *at = cut; *at;) {
    bool masked;
    const unsigned length = look_at(at, &masked);
    if (masked ? *message != '?' : strncmp(message, at, length) != 0) return false;
    message += masked ? 1 : length;
    at += length;
  }
  return true;
}

static void print_message(const char *subject, const char *message) {
  (void)fputs("resnet: ", stderr);
  if (!begins_with(message, subject)) {
    cli_print_masked(stderr, subject);
    (void)fputs(": ", stderr);
  }
  cli_print_masked(stderr, message);
  (void)fputc('\n', stderr);
}

void cli_print_error(const char *subject, const resnet_error *error) {
  char text[SHELL_MESSAGE_SIZE];
  (void)cli_shell_message(error->message, text);
  if (events)
    write_message(error->status, subject, text);
  else
    print_message(subject, text);
}

void cli_print_warning(const char *subject, const char *message) {
  char text[SHELL_MESSAGE_SIZE];
  (void)cli_shell_message(message, text);
  if (events)
    write_message(RESNET_OK, subject, text);
  else
    print_message(subject, text);
}

void cli_print_note(const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  cli_print_warning("", text);
}
