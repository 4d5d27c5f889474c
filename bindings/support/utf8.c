#include "support/utf8.h"

#include <stdbool.h>
#include <stdint.h>

/* The smallest character of each length. A longer encoding than needed is invalid (RFC
 * 3629, section 3). */
static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};

unsigned utf8_length(const char *text) {
  unsigned char lead = (unsigned char)text[0];
  if (lead < 0x80) return 1;
  unsigned length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  uint32_t value = lead & (0x7fu >> length);
  for (unsigned i = 1; i < length; i++) {
    unsigned char next = (unsigned char)text[i];
    if ((next & 0xc0) != 0x80) return 0;
    value = value << 6 | (next & 0x3fu);
  }
  bool surrogate = value >= 0xd800 && value < 0xe000;
  return value < smallest[length] || value > 0x10ffff || surrogate ? 0 : length;
}

size_t utf8_count(const char *text) {
  size_t count = 0;
  for (; *text; count++) {
    unsigned length = utf8_length(text);
    text += length ? length : 1;
  }
  return count;
}
