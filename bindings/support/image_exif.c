/* A TIFF header and its first directory (TIFF 6.0, section 2; EXIF 2.32, 4.6.4). */
#include "support/image_exif.h"

#include <stdbool.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_BYTE = 1, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

static uint32_t number(const uint8_t *at, unsigned bytes, bool big_endian) {
  uint32_t value = 0;
  for (unsigned i = 0; i < bytes; i++)
    value |= (uint32_t)at[i] << 8 * (big_endian ? bytes - 1 - i : i);
  return value;
}

/* Return the value of an entry that holds one number inline; 0 for all others. */
static uint32_t entry_value(const uint8_t *entry, bool big_endian) {
  if (number(entry + 4, 4, big_endian) != 1) return 0;
  switch (number(entry + 2, 2, big_endian)) {
  case TYPE_BYTE:
    return entry[8];
  case TYPE_SHORT:
    return number(entry + 8, 2, big_endian);
  case TYPE_LONG:
    return number(entry + 8, 4, big_endian);
  default:
    return 0;
  }
}

int image_exif_orientation(const uint8_t *tiff, size_t size) {
  if (size < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) return 1;
  bool big_endian = tiff[0] == 'M';
  if (number(tiff + 2, 2, big_endian) != 42) return 1;
  size_t directory = number(tiff + 4, 4, big_endian);
  if (directory > size || size - directory < 2) return 1;
  size_t count = number(tiff + directory, 2, big_endian);
  size_t room = (size - directory - 2) / ENTRY_BYTES;
  const uint8_t *entry = tiff + directory + 2;
  for (size_t i = 0; i < count && i < room; i++, entry += ENTRY_BYTES) {
    if (number(entry, 2, big_endian) != TAG_ORIENTATION) continue;
    uint32_t value = entry_value(entry, big_endian);
    return value >= 1 && value <= 8 ? (int)value : 1;
  }
  return 1;
}
