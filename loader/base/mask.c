#include "loader/base/mask.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The characters that are masked, by range. bindings/support/utf8.c has the same ranges,
 * because the programs see only resnet.h; tests/cli/test_mask.c compares the two.
 * Unicode 15: Cc, Bidi_Control and Default_Ignorable_Code_Point without the variation
 * selectors of emoji (U+FE00 to U+FE0F), U+2028, U+2029 and noncharacters. */
static const struct {
  uint32_t first, last;
} masked[] = {
    {0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad},   {0x034f, 0x034f},   {0x061c, 0x061c},
    {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
    {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_masked(uint32_t character) {
  for (size_t i = 0; i < sizeof masked / sizeof masked[0]; i++)
    if (character >= masked[i].first && character <= masked[i].last) return true;
  return false;
}

/* Return the bytes that a character with this first byte has, 0: none begins with it. */
static unsigned length_of(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
}

/* Decode the character at `text`. Return its bytes, or 0 if they are not UTF-8. Set *cut
 * if the text ends within the character. */
static unsigned decode(const char *text, uint32_t *character, bool *cut) {
  static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
  const unsigned length = length_of((uint8_t)text[0]);
  *character = (uint8_t)text[0] & (length > 1 ? 0x7fu >> length : 0x7fu);
  *cut = false;
  for (unsigned i = 1; i < length; i++) {
    const uint8_t next = (uint8_t)text[i];
    *cut = next == 0;
    if ((next & 0xc0) != 0x80) return 0;
    *character = *character << 6 | (next & 0x3fu);
  }
  const bool surrogate = *character >= 0xd800 && *character < 0xe000;
  return *character < smallest[length] || *character > 0x10ffff || surrogate ? 0 : length;
}

void mask_text(char *text) {
  char *to = text;
  while (*text) {
    uint32_t character;
    bool cut;
    const unsigned length = decode(text, &character, &cut);
    if (cut) break;
    if (length == 0 || is_masked(character)) {
      *to++ = '?';
    } else {
      (void)memmove(to, text, length);
      to += length;
    }
    text += length ? length : 1;
  }
  *to = '\0';
}

bool mask_is_clean(const char *text) {
  while (*text) {
    uint32_t character;
    bool cut;
    const unsigned length = decode(text, &character, &cut);
    if (length == 0 || is_masked(character)) return false;
    text += length;
  }
  return true;
}
