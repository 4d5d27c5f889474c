#include "support/message.h"

#include <stdarg.h>
#include <string.h>

/* Longest part of a path that the library puts before its messages. */
enum { PREFIX_LENGTH = 100 };

bool refuse(resnet_error *error, resnet_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  error->status = status;
  (void)vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  return false;
}

void print_masked(FILE *out, const char *text) {
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text;
    (void)fputc(byte < 0x20 || byte == 0x7f ? '?' : byte, out);
  }
}

void complain(const char *subject, const char *message) {
  (void)fputs("resnet: ", stderr);
  if (strncmp(message, subject, strnlen(subject, PREFIX_LENGTH)) != 0) {
    print_masked(stderr, subject);
    (void)fputs(": ", stderr);
  }
  print_masked(stderr, message);
  (void)fputc('\n', stderr);
}

void note(const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  (void)fputs("resnet: ", stderr);
  print_masked(stderr, text);
  (void)fputc('\n', stderr);
}
