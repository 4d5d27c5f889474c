#include "cli/message.h"

#include <stdarg.h>
#include <string.h>

/* The library cuts paths to this length where it puts them before its messages. */
enum { PREFIX_LENGTH = 100 };

void cli_print_masked(FILE *out, const char *text) {
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text;
    (void)fputc(byte < 0x20 || byte == 0x7f ? '?' : byte, out);
  }
}

void cli_print_error(const char *subject, const char *message) {
  (void)fputs("resnet: ", stderr);
  if (strncmp(message, subject, strnlen(subject, PREFIX_LENGTH)) != 0) {
    cli_print_masked(stderr, subject);
    (void)fputs(": ", stderr);
  }
  cli_print_masked(stderr, message);
  (void)fputc('\n', stderr);
}

void cli_print_note(const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  (void)fputs("resnet: ", stderr);
  cli_print_masked(stderr, text);
  (void)fputc('\n', stderr);
}
