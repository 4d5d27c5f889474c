#include "image_pieces.h"

#include <string.h>

enum { PNG_SIGNATURE = 8, CHUNK_AROUND = 12, JPEG_START = 2 };

uint32_t big_endian(const uint8_t *at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; i++) value = value << 8 | at[i];
  return value;
}

void put_big_endian(uint8_t *at, size_t bytes, uint32_t value) {
  for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

bool is_png(const uint8_t *data, size_t size) {
  return size > PNG_SIGNATURE && memcmp(data, "\x89PNG\r\n\x1a\n", PNG_SIGNATURE) == 0;
}

bool is_jpeg(const uint8_t *data, size_t size) {
  return size > 4 && memcmp(data, "\xff\xd8\xff", 3) == 0;
}

size_t find_chunks(const uint8_t *data, size_t size, piece pieces[MAX_PIECES]) {
  size_t count = 0;
  for (size_t at = PNG_SIGNATURE; count < MAX_PIECES && size - at >= CHUNK_AROUND;) {
    const size_t length = big_endian(data + at, 4);
    if (length > size - at - CHUNK_AROUND) break;
    pieces[count++] = (piece){at, at + 8, at + 8 + length, at + CHUNK_AROUND + length};
    at += CHUNK_AROUND + length;
  }
  return count;
}

/* The first scan's data have no length: they stay with the last segment. */
size_t find_segments(const uint8_t *data, size_t size, piece pieces[MAX_PIECES]) {
  enum { START_OF_SCAN = 0xda };
  size_t count = 0;
  for (size_t at = JPEG_START; count < MAX_PIECES && size - at >= 4 && data[at] == 0xff;) {
    const size_t length = big_endian(data + at + 2, 2);
    if (length < 2 || length > size - at - 2) break;
    pieces[count++] = (piece){at, at + 4, at + 2 + length, at + 2 + length};
    if (data[at + 1] == START_OF_SCAN) break;
    at += 2 + length;
  }
  return count;
}
