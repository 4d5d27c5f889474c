/* A JSON writer (RFC 8259). The output is valid if calls nest and every member of an
 * object has a key. The program never calls setlocale, so numbers have a decimal
 * point. */
#ifndef RESNET_SUPPORT_JSON_H
#define RESNET_SUPPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json {
  FILE *out;
  unsigned depth;
  bool comma; /* the next value at this depth needs a comma before it */
} json;

/* Return a writer that writes each value on one line, without a line break at the end. */
json json_one_line(FILE *out);

/* `key` is NULL within arrays. */
void json_open_object(json *j, const char *key);
void json_close_object(json *j);
void json_open_array(json *j, const char *key);
void json_close_array(json *j);

/* Write a string, or null if `text` is NULL. Bytes that are not UTF-8 become U+FFFD;
 * what utf8_is_unsafe names is escaped. */
void json_text(json *j, const char *key, const char *text);

/* Write the shortest decimal number that reads back as the same value. NaN and infinity
 * become null. */
void json_number(json *j, const char *key, double value);
void json_float(json *j, const char *key, float value);
void json_integer(json *j, const char *key, uint64_t value);
void json_bool(json *j, const char *key, bool value);
void json_null(json *j, const char *key);

#endif
