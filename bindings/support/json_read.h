/* A JSON reader (RFC 8259) for small files. It also reads what Python prints of lists and
 * dictionaries: strings in single quotes, numbers as keys, a comma at the end. */
#ifndef RESNET_SUPPORT_JSON_READ_H
#define RESNET_SUPPORT_JSON_READ_H

#include <stddef.h>

#include "resnet.h"

typedef enum json_kind {
  JSON_STRING,
  JSON_NUMBER,
  JSON_LIST,
  JSON_OBJECT,
  JSON_OTHER /* true, false, null */
} json_kind;

/* A value. A list and an object have `count` children, linked by `next`. */
typedef struct json_value {
  json_kind kind;
  char *key;  /* within an object: UTF-8; otherwise NULL */
  char *text; /* a string in UTF-8, or a number as in the file; otherwise NULL */
  size_t count;
  struct json_value *first, *next;
} json_value;

/* Read a whole text of `size` bytes. Return NULL, with *error set, if it is not JSON,
 * holds NUL or is nested too deep. The caller releases the value. */
json_value *json_read(const char *text, size_t size, resnet_error *error);

/* Release a value and its children; NULL is allowed. */
void json_release(json_value *value);

/* Return the member `key` of an object, or NULL. `object` may be NULL. */
const json_value *json_member(const json_value *object, const char *key);

#endif
