#include "support/utf8.h"

/* The smallest character of each length. A longer encoding than needed is invalid (RFC
 * 3629, section 3). */
static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};

unsigned utf8_length(const char *text) {
  unsigned char lead = (unsigned char)text[0];
  if (lead < 0x80) return 1;
  unsigned length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  for (unsigned i = 1; i < length; i++)
    if (((unsigned char)text[i] & 0xc0) != 0x80) return 0;
  const uint32_t value = utf8_decode(text, length);
  bool surrogate = value >= 0xd800 && value < 0xe000;
  return value < smallest[length] || value > 0x10ffff || surrogate ? 0 : length;
}

uint32_t utf8_decode(const char *text, unsigned length) {
  uint32_t value = (unsigned char)text[0];
  if (length > 1) value &= 0x7fu >> length;
  for (unsigned i = 1; i < length; i++) value = value << 6 | ((unsigned char)text[i] & 0x3fu);
  return value;
}

/* The unsafe characters, by range. loader/base/mask.c has the same ranges for the
 * library's messages and explains them; tests/cli/test_mask.c compares the two. */
static const struct {
  uint32_t first, last;
} unsafe[] = {
    {0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad},   {0x034f, 0x034f},   {0x061c, 0x061c},
    {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
    {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

bool utf8_is_unsafe(uint32_t character) {
  for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++)
    if (character >= unsafe[i].first && character <= unsafe[i].last) return true;
  return false;
}

size_t utf8_count(const char *text) {
  size_t count = 0;
  for (; *text; count++) {
    unsigned length = utf8_length(text);
    text += length ? length : 1;
  }
  return count;
}
