/* Mutates PNG's chunks and JPEG's segments, including PNG's packed rows, with correct
 * lengths and checksums. */
#include <string.h>
#include <zlib.h>

#include "image_pieces.h"
#include "mutate.h"

enum { MAX_ROWS = 1 << 18 };

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* Replace the body of piece `p`; return 0 if the new one does not fit. */
static size_t replace_body(uint8_t *data, size_t size, size_t max_size, const piece *p,
                           const uint8_t *body, size_t length) {
  const size_t old = p->body_end - p->body;
  if (length > max_size || size - old > max_size - length) return 0;
  memmove(data + p->body + length, data + p->body_end, size - p->body_end);
  if (length) memcpy(data + p->body, body, length);
  return size - old + length;
}

static void seal_chunk(uint8_t *data, size_t start, size_t length) {
  put_big_endian(data + start, 4, (uint32_t)length);
  put_big_endian(data + start + 8 + length, 4,
                 (uint32_t)crc32(0, data + start + 4, (uInt)length + 4));
}

/* Unpack, mutate and repack the rows of IDAT; return 0 if that fails. */
static size_t mutate_rows(const uint8_t *body, size_t size, uint8_t *out, size_t room) {
  static uint8_t rows[MAX_ROWS];
  uLongf length = sizeof rows / 2, packed = room;
  const int result = uncompress(rows, &length, body, size);
  if (result != Z_OK && result != Z_BUF_ERROR) return 0;
  length = LLVMFuzzerMutate(rows, length, sizeof rows);
  return compress2(out, &packed, rows, length, 1) == Z_OK ? packed : 0;
}

/* Mutate sizes, depth, colour type and interlacing. Combine valid ones more often than
 * chance would. */
static void mutate_header(uint8_t *body, uint32_t *random) {
  static const uint8_t forms[][2] = {{1, 0}, {2, 0},  {4, 0},  {8, 0}, {16, 0},
                                     {8, 2}, {16, 2}, {1, 3},  {2, 3}, {4, 3},
                                     {8, 3}, {8, 4},  {16, 4}, {8, 6}, {16, 6}};
  if (next_random(random) % 2)
    put_big_endian(body + next_random(random) % 2 * 4, 4, next_random(random) % 40);
  if (next_random(random) % 2) memcpy(body + 8, forms[next_random(random) % 15], 2);
  if (next_random(random) % 2) body[12] = next_random(random) % 2;
}

static size_t mutate_png(uint8_t *data, size_t size, size_t max_size, uint32_t *random) {
  static piece pieces[MAX_PIECES];
  static uint8_t body[MAX_ROWS];
  const size_t count = find_chunks(data, size, pieces);
  if (count == 0) return 0;
  const piece *p = &pieces[next_random(random) % count];
  size_t length = p->body_end - p->body;
  if (length > sizeof body / 2) return 0;
  memcpy(body, data + p->body, length);
  const bool packed = memcmp(data + p->start + 4, "IDAT", 4) == 0;
  if (packed && next_random(random) % 4)
    length = mutate_rows(data + p->body, length, body, sizeof body);
  else if (length == 13 && next_random(random) % 4)
    mutate_header(body, random);
  else
    length = LLVMFuzzerMutate(body, length, length + 64);
  size = replace_body(data, size, max_size, p, body, length);
  if (size) seal_chunk(data, p->start, length);
  return size;
}

static size_t mutate_jpeg(uint8_t *data, size_t size, size_t max_size, uint32_t *random) {
  static piece pieces[MAX_PIECES];
  static uint8_t body[1 << 17];
  const size_t count = find_segments(data, size, pieces);
  if (count == 0) return 0;
  const piece *p = &pieces[next_random(random) % count];
  size_t length = p->body_end - p->body;
  memcpy(body, data + p->body, length);
  length = LLVMFuzzerMutate(body, length, length + 64);
  if (length > 65533) return 0;
  size = replace_body(data, size, max_size, p, body, length);
  if (size) put_big_endian(data + p->start + 2, 2, (uint32_t)length + 2);
  return size;
}

/* Repeat one piece, or remove it. */
static size_t repeat_piece(uint8_t *data, size_t size, size_t max_size, uint32_t *random) {
  static piece pieces[MAX_PIECES];
  const size_t count =
      is_png(data, size) ? find_chunks(data, size, pieces) : find_segments(data, size, pieces);
  if (count == 0) return 0;
  const piece *p = &pieces[next_random(random) % count];
  const size_t length = p->end - p->start;
  if (next_random(random) % 2) {
    memmove(data + p->start, data + p->end, size - p->end);
    return size - length;
  }
  if (length > max_size - size) return 0;
  memmove(data + p->end, data + p->start, size - p->start);
  return size + length;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  uint32_t random = seed | 1;
  const uint32_t kind = next_random(&random) % 8;
  size_t mutated = 0;
  if (size <= max_size && (is_png(data, size) || is_jpeg(data, size))) {
    if (kind == 0) mutated = repeat_piece(data, size, max_size, &random);
    if (kind > 0 && kind < 6)
      mutated = is_png(data, size) ? mutate_png(data, size, max_size, &random)
                                   : mutate_jpeg(data, size, max_size, &random);
  }
  return mutated ? mutated : LLVMFuzzerMutate(data, size, max_size);
}
