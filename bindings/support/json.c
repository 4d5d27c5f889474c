#include "support/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/utf8.h"

/* Values deeper than this share one line, e.g. a row of a table. */
enum { INDENTED_DEPTH = 2 };

/* Write \uXXXX, beyond U+FFFF a pair of surrogates (RFC 8259, section 7). */
static void write_escaped(FILE *out, uint32_t character) {
  if (character < 0x10000) {
    (void)fprintf(out, "\\u%04x", character);
    return;
  }
  const uint32_t rest = character - 0x10000;
  (void)fprintf(out, "\\u%04x\\u%04x", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
}

static void write_character(FILE *out, const char *at, unsigned length) {
  unsigned char byte = (unsigned char)*at;
  const uint32_t character = utf8_decode(at, length);
  if (byte == '"' || byte == '\\')
    (void)fprintf(out, "\\%c", byte);
  else if (byte == '\n')
    (void)fputs("\\n", out);
  else if (byte == '\t')
    (void)fputs("\\t", out);
  else if (utf8_is_unsafe(character))
    write_escaped(out, character);
  else
    (void)fwrite(at, 1, length, out);
}

static void write_text(FILE *out, const char *text) {
  (void)fputc('"', out);
  while (*text) {
    unsigned length = utf8_length(text);
    if (length)
      write_character(out, text, length);
    else
      (void)fputs("\\ufffd", out);
    text += length ? length : 1;
  }
  (void)fputc('"', out);
}

static void break_line(const json *j) {
  (void)fputc('\n', j->out);
  for (unsigned i = 0; i < j->depth; i++) (void)fputs("  ", j->out);
}

static void begin_value(json *j, const char *key) {
  if (j->comma) (void)fputc(',', j->out);
  if (j->depth > 0 && j->depth <= INDENTED_DEPTH)
    break_line(j);
  else if (j->comma)
    (void)fputc(' ', j->out);
  if (key) {
    write_text(j->out, key);
    (void)fputs(": ", j->out);
  }
  j->comma = true;
}

static void open_bracket(json *j, const char *key, char bracket) {
  begin_value(j, key);
  (void)fputc(bracket, j->out);
  j->depth++;
  j->comma = false;
}

static void close_bracket(json *j, char bracket) {
  bool had_values = j->comma;
  j->depth--;
  if (had_values && j->depth < INDENTED_DEPTH) break_line(j);
  (void)fputc(bracket, j->out);
  j->comma = true;
  if (j->depth == 0) (void)fputc('\n', j->out);
}

json json_one_line(FILE *out) { return (json){.out = out, .depth = INDENTED_DEPTH + 1}; }

void json_open_object(json *j, const char *key) { open_bracket(j, key, '{'); }
void json_close_object(json *j) { close_bracket(j, '}'); }
void json_open_array(json *j, const char *key) { open_bracket(j, key, '['); }
void json_close_array(json *j) { close_bracket(j, ']'); }

void json_text(json *j, const char *key, const char *text) {
  begin_value(j, key);
  if (text)
    write_text(j->out, text);
  else
    (void)fputs("null", j->out);
}

static bool names_double(const char *digits, double value) {
  double parsed = strtod(digits, NULL);
  return !(parsed < value) && !(parsed > value);
}

void json_number(json *j, const char *key, double value) {
  char digits[32] = "null";
  bool found = !isfinite(value);
  for (int precision = 15; precision <= 17 && !found; precision++) {
    (void)snprintf(digits, sizeof digits, "%.*g", precision, value);
    found = names_double(digits, value);
  }
  begin_value(j, key);
  (void)fputs(digits, j->out);
}

static bool names_float(const char *digits, float value) {
  float parsed = strtof(digits, NULL);
  return !(parsed < value) && !(parsed > value);
}

void json_float(json *j, const char *key, float value) {
  char digits[32] = "null";
  bool found = !isfinite(value);
  for (int precision = 6; precision <= 9 && !found; precision++) {
    (void)snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
    found = names_float(digits, value);
  }
  begin_value(j, key);
  (void)fputs(digits, j->out);
}

void json_integer(json *j, const char *key, uint64_t value) {
  begin_value(j, key);
  (void)fprintf(j->out, "%" PRIu64, value);
}

void json_bool(json *j, const char *key, bool value) {
  begin_value(j, key);
  (void)fputs(value ? "true" : "false", j->out);
}

void json_null(json *j, const char *key) { json_text(j, key, NULL); }
