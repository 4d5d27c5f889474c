/* A JSON writer (RFC 8259). Output is correct as long as calls nest and objects' members
 * have keys; the program never calls setlocale, so that numbers have a point. */
#ifndef RESNET_SUPPORT_JSON_H
#define RESNET_SUPPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json {
  FILE *out;
  unsigned depth;
  bool comma; /* something stands before the next value at this depth */
} json;

/* `key` is NULL within arrays. */
void json_open_object(json *j, const char *key);
void json_close_object(json *j);
void json_open_array(json *j, const char *key);
void json_close_array(json *j);

/* NULL becomes null; bytes that are no UTF-8 become U+FFFD. */
void json_text(json *j, const char *key, const char *text);

/* With as few digits as name this value; NaN and infinity become null. */
void json_number(json *j, const char *key, double value);
void json_float(json *j, const char *key, float value);
void json_integer(json *j, const char *key, uint64_t value);
void json_bool(json *j, const char *key, bool value);
void json_null(json *j, const char *key);

/* How many bytes, 1 to 4, the UTF-8 character at `text` (NUL-terminated) has; 0 where
 * there is none. */
unsigned utf8_length(const char *text);

#endif
