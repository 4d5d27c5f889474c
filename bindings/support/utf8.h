/* UTF-8 text (RFC 3629). */
#ifndef RESNET_SUPPORT_UTF8_H
#define RESNET_SUPPORT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Return the length in bytes, 1 to 4, of the character at `text` (NUL-terminated), or 0
 * if the bytes are not valid UTF-8. */
unsigned utf8_length(const char *text);

/* Return the character that utf8_length measured to have `length` bytes, at least 1. */
uint32_t utf8_decode(const char *text, unsigned length);

/* Return true if a character must not reach a terminal or a page as it is:
 *   - the control characters C0 (tab and newline too), DEL and C1,
 *   - marks that turn the direction of text, line and paragraph separators,
 *   - characters without width, fillers and noncharacters. */
bool utf8_is_unsafe(uint32_t character);

/* Count the characters of `text`. An invalid byte counts as one. */
size_t utf8_count(const char *text);

#endif
