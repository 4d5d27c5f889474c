#include "support/json_read.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "support/error.h"

enum { MAX_DEPTH = 16 };

typedef struct reader {
  const char *at, *end;
  unsigned line, depth;
  resnet_error *error;
} reader;

static bool fail(const reader *r, const char *found) {
  return error_set(r->error, RESNET_ERROR_FORMAT, "line %u: %s is not JSON", r->line, found);
}

static bool no_memory(const reader *r) {
  return error_set(r->error, RESNET_ERROR_MEMORY, "no memory for the JSON text");
}

static void skip_space(reader *r) {
  while (r->at < r->end && *r->at && strchr(" \t\r\n", *r->at)) r->line += *r->at++ == '\n';
}

static bool take(reader *r, char wanted) {
  if (r->at == r->end || *r->at != wanted) return false;
  r->at++;
  return true;
}

/* ---- strings ---- */

static size_t encode(uint32_t character, char *out) {
  const size_t length = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
  static const uint8_t leads[5] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = length; i-- > 0; character >>= 6)
    out[i] = (char)(i ? 0x80 | (character & 0x3f) : leads[length] | character);
  return length;
}

static bool take_hex(reader *r, uint32_t *value) {
  *value = 0;
  for (int i = 0; i < 4; i++) {
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *found = r->at < r->end && *r->at ? strchr(digits, *r->at) : NULL;
    if (!found) return fail(r, "an escape without four digits");
    *value = *value << 4 | ((uint32_t)(found - digits) & 15);
    r->at++;
  }
  return true;
}

/* Read what follows "\u": a character, or the first of two surrogates with the second. */
static bool take_character(reader *r, char *out, size_t *used) {
  uint32_t high, low;
  if (!take_hex(r, &high)) return false;
  if (high >= 0xd800 && high < 0xdc00) {
    if (!take(r, '\\') || !take(r, 'u') || !take_hex(r, &low) || low < 0xdc00 || low > 0xdfff)
      return fail(r, "half of a pair of surrogates");
    high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  } else if (high == 0 || (high >= 0xdc00 && high < 0xe000)) {
    return fail(r, "this escaped character");
  }
  *used += encode(high, out + *used);
  return true;
}

static bool take_escape(reader *r, char *out, size_t *used) {
  static const char letters[] = "\"\\/'bfnrt", meant[] = "\"\\/'\b\f\n\r\t";
  if (take(r, 'u')) return take_character(r, out, used);
  const char *found = r->at < r->end && *r->at ? strchr(letters, *r->at) : NULL;
  if (!found) return fail(r, "an unknown escape");
  out[(*used)++] = meant[found - letters];
  r->at++;
  return true;
}

/* Read a string behind its first quote. The result is no longer than its source. */
static char *take_string(reader *r, char quote) {
  const char *end = r->at;
  while (end < r->end && *end != quote) end += *end == '\\' ? 2 : 1;
  if (end >= r->end) return fail(r, "a string without an end"), NULL;
  char *out = malloc((size_t)(end - r->at) + 1);
  if (!out) return no_memory(r), NULL;
  size_t used = 0;
  while (*r->at != quote) {
    if (*r->at == '\0' || *r->at == '\n') {
      free(out);
      return fail(r, "a string with a line end"), NULL;
    }
    if (*r->at != '\\') {
      out[used++] = *r->at++;
      continue;
    }
    r->at++;
    if (!take_escape(r, out, &used)) {
      free(out);
      return NULL;
    }
  }
  r->at++;
  out[used] = '\0';
  return out;
}

/* ---- values ---- */

static bool take_value(reader *r, json_value *value);

/* Read a number or a word such as true. */
static char *take_bare(reader *r) {
  static const char letters[] =
      "0123456789+-.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
  const char *end = r->at;
  while (end < r->end && *end && strchr(letters, *end)) end++;
  if (end == r->at) return fail(r, "this text"), NULL;
  char *out = malloc((size_t)(end - r->at) + 1);
  if (!out) return no_memory(r), NULL;
  memcpy(out, r->at, (size_t)(end - r->at));
  out[end - r->at] = '\0';
  r->at = end;
  return out;
}

static bool take_key(reader *r, json_value *child) {
  const bool quoted = r->at < r->end && (*r->at == '"' || *r->at == '\'');
  if (quoted) r->at++;
  child->key = quoted ? take_string(r, r->at[-1]) : take_bare(r);
  if (!child->key) return false;
  skip_space(r);
  if (!take(r, ':')) return fail(r, "a key without a colon");
  skip_space(r);
  return true;
}

static bool take_children(reader *r, json_value *parent, char close) {
  json_value **link = &parent->first;
  if (++r->depth > MAX_DEPTH) return fail(r, "text nested this deep");
  for (;;) {
    skip_space(r);
    if (take(r, close)) break;
    json_value *child = calloc(1, sizeof *child);
    if (!child) return no_memory(r);
    *link = child;
    link = &child->next;
    parent->count++;
    if (parent->kind == JSON_OBJECT && !take_key(r, child)) return false;
    if (!take_value(r, child)) return false;
    skip_space(r);
    if (take(r, ',')) continue;
    if (take(r, close)) break;
    return fail(r, r->at == r->end ? "a list without an end" : "a list without this comma");
  }
  r->depth--;
  return true;
}

static bool take_value(reader *r, json_value *value) {
  if (r->at == r->end) return fail(r, "a text that ends here");
  const char first = *r->at;
  if (strchr("[({", first) && first) {
    r->at++;
    value->kind = first == '{' ? JSON_OBJECT : JSON_LIST;
    return take_children(r, value, first == '{' ? '}' : first == '[' ? ']' : ')');
  }
  if (first == '"' || first == '\'') {
    r->at++;
    value->kind = JSON_STRING;
    value->text = take_string(r, first);
    return value->text != NULL;
  }
  value->text = take_bare(r);
  value->kind = strchr("0123456789-", first) ? JSON_NUMBER : JSON_OTHER;
  return value->text != NULL;
}

json_value *json_read(const char *text, size_t size, resnet_error *error) {
  reader r = {.at = text, .end = text + size, .line = 1, .error = error};
  json_value *value = calloc(1, sizeof *value);
  if (!value) return no_memory(&r), NULL;
  skip_space(&r);
  bool ok = take_value(&r, value);
  skip_space(&r);
  if (ok && r.at < r.end) ok = fail(&r, "text behind the end");
  if (ok) return value;
  json_release(value);
  return NULL;
}

void json_release(json_value *value) {
  while (value) {
    json_value *next = value->next;
    json_release(value->first);
    free(value->key);
    free(value->text);
    free(value);
    value = next;
  }
}

const json_value *json_member(const json_value *object, const char *key) {
  if (!object || object->kind != JSON_OBJECT) return NULL;
  for (const json_value *child = object->first; child; child = child->next)
    if (strcmp(child->key, key) == 0) return child;
  return NULL;
}
