/* Splits image files: into PNG's chunks (PNG specification, 5.3) and JPEG's segments (ITU
 * T.81, B.1.1). */
#ifndef LIBRESNET_TESTS_IMAGE_PIECES_H
#define LIBRESNET_TESTS_IMAGE_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_PIECES = 512 };

typedef struct piece {
  size_t start, body, body_end, end;
} piece;

bool is_png(const uint8_t *data, size_t size);
bool is_jpeg(const uint8_t *data, size_t size);

/* Return the number of pieces. JPEG's segments end with the first scan, whose data have
 * no length. */
size_t find_chunks(const uint8_t *data, size_t size, piece pieces[MAX_PIECES]);
size_t find_segments(const uint8_t *data, size_t size, piece pieces[MAX_PIECES]);

uint32_t big_endian(const uint8_t *at, size_t bytes);
void put_big_endian(uint8_t *at, size_t bytes, uint32_t value);

#endif
