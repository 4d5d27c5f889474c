#include "cli/report/markup.h"

#include <stdbool.h>
#include <string.h>

#include "support/utf8.h"

static const char replacement[] = "\xef\xbf\xbd";

static const char *entity_of(char letter) {
  switch (letter) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  default:
    return NULL;
  }
}

/* Return true if the character may be on a page. XML 1.0 refuses most of the others
 * (section 2.2). */
static bool is_allowed(const char *at, unsigned length) {
  return *at == '\t' || *at == '\n' || !utf8_is_unsafe(utf8_decode(at, length));
}

/* Write the character at `text`. Return its number of bytes. */
static unsigned write_character(FILE *out, const char *text) {
  unsigned length = utf8_length(text);
  const char *entity = entity_of(*text);
  if (entity)
    (void)fputs(entity, out);
  else if (length == 0 || !is_allowed(text, length))
    (void)fputs(replacement, out);
  else
    (void)fwrite(text, 1, length, out);
  return length ? length : 1;
}

void markup_html_text(FILE *out, const char *text) {
  while (*text) text += write_character(out, text);
}

void markup_html_shortened(FILE *out, const char *text, size_t max) {
  size_t length = utf8_count(text);
  size_t head = length > max ? max / 2 : length, tail = length > max ? max - head - 1 : 0;
  for (size_t i = 0; *text; i++) {
    unsigned bytes = utf8_length(text);
    if (i < head || i >= length - tail)
      bytes = write_character(out, text);
    else if (i == head)
      (void)fputs("\xe2\x80\xa6", out);
    text += bytes ? bytes : 1;
  }
}

void markup_csv_text(FILE *out, const char *text) {
  bool quoted = strpbrk(text, ",\"\r\n\t ") != NULL;
  if (quoted) (void)fputc('"', out);
  if (*text && strchr("=+-@\t\r", *text)) (void)fputc('\'', out);
  while (*text) {
    const unsigned length = utf8_length(text);
    if (*text == '"') (void)fputc('"', out);
    if (length == 0 || !(*text == '\r' || is_allowed(text, length)))
      (void)fputs(replacement, out);
    else
      (void)fwrite(text, 1, length, out);
    text += length ? length : 1;
  }
  if (quoted) (void)fputc('"', out);
}

void markup_write_base64(FILE *out, const uint8_t *bytes, size_t size) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i;
    uint32_t group = (uint32_t)bytes[i] << 16;
    if (left > 1) group |= (uint32_t)bytes[i + 1] << 8;
    if (left > 2) group |= bytes[i + 2];
    (void)fputc(letters[group >> 18], out);
    (void)fputc(letters[group >> 12 & 63], out);
    (void)fputc(left > 1 ? letters[group >> 6 & 63] : '=', out);
    (void)fputc(left > 2 ? letters[group & 63] : '=', out);
  }
}
