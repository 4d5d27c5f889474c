/* UTF-8 text (RFC 3629). */
#ifndef RESNET_SUPPORT_UTF8_H
#define RESNET_SUPPORT_UTF8_H

#include <stddef.h>

/* Return the length in bytes, 1 to 4, of the character at `text` (NUL-terminated), or 0
 * if the bytes are not valid UTF-8. */
unsigned utf8_length(const char *text);

/* Count the characters of `text`. An invalid byte counts as one. */
size_t utf8_count(const char *text);

#endif
