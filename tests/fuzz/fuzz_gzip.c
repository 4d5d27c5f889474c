/* Fuzzes gzip around ONNX. Half of the mutations change packed bytes. The others change
 * the content and pack it again, with other levels, strategies, optional header fields
 * and numbers of members. */
#define ZLIB_CONST /* next_in is const */
#include <string.h>
#include <zlib.h>

#include "mutate.h"

enum { MAX_CONTENT = 1 << 18, HEADER = 10, TRAILER = 8, GZIP = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  exercise_model(data, size);
  return 0;
}

/* Unpack the first member and return its size; 0: it is damaged, or larger than
 * `room`. */
static size_t unpack(const uint8_t *data, size_t size, uint8_t *content, size_t room) {
  z_stream z = {
      .next_in = data, .avail_in = (uInt)size, .next_out = content, .avail_out = (uInt)room};
  if (inflateInit2(&z, MAX_WBITS + GZIP) != Z_OK) return 0;
  const int result = inflate(&z, Z_FINISH);
  (void)inflateEnd(&z);
  return result == Z_STREAM_END ? room - z.avail_out : 0;
}

/* Pack one member and return its size; 0: it does not fit. */
static size_t pack(const uint8_t *content, size_t size, uint8_t *out, size_t room,
                   uint32_t *random) {
  static const int levels[] = {0, 1, 6, 9};
  static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
  uint8_t extra[] = {'r', 'n', 2, 0, 1, 2}, name[] = "net.onnx";
  gz_header header = {.extra = extra, .extra_len = sizeof extra, .name = name, .hcrc = 1};
  z_stream z = {
      .next_in = content, .avail_in = (uInt)size, .next_out = out, .avail_out = (uInt)room};
  if (deflateInit2(&z, levels[next_random(random) % 4], Z_DEFLATED, MAX_WBITS + GZIP,
                   1 + (int)(next_random(random) % 9), strategies[next_random(random) % 5]) != Z_OK)
    return 0;
  if (next_random(random) % 4 == 0) (void)deflateSetHeader(&z, &header);
  const int result = deflate(&z, Z_FINISH);
  (void)deflateEnd(&z);
  return result == Z_STREAM_END ? room - z.avail_out : 0;
}

static size_t mutate_content(uint8_t *content, size_t size, uint32_t *random) {
  const uint32_t kind = next_random(random) % 8;
  size_t mutated = 0;
  if (kind < 5) mutated = mutate_onnx(content, size, MAX_CONTENT, random);
  if (!mutated && kind < 7) mutated = mutate_wire(content, size, MAX_CONTENT, random);
  return mutated ? mutated : LLVMFuzzerMutate(content, size, MAX_CONTENT);
}

static size_t repack(uint8_t *data, size_t size, size_t max_size, uint32_t *random) {
  static uint8_t content[MAX_CONTENT];
  size_t length = unpack(data, size, content, sizeof content);
  if (length == 0) return 0;
  if (next_random(random) % 4) length = mutate_content(content, length, random);
  const size_t first = next_random(random) % 4 ? length : next_random(random) % (length + 1);
  const size_t used = pack(content, first, data, max_size, random);
  if (used == 0 || first == length) return used;
  return used + pack(content + first, length - first, data + used, max_size - used, random);
}

/* Correct the checksum and the size behind a member whose deflate data were changed, if
 * they can still be unpacked. */
static void correct_trailer(uint8_t *data, size_t size) {
  static uint8_t content[MAX_CONTENT];
  if (size < HEADER + TRAILER) return;
  z_stream z = {.next_in = data + HEADER,
                .avail_in = (uInt)(size - HEADER),
                .next_out = content,
                .avail_out = sizeof content};
  if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return;
  const int result = inflate(&z, Z_FINISH);
  const size_t length = sizeof content - z.avail_out;
  uint8_t *trailer = data + size - z.avail_in;
  (void)inflateEnd(&z);
  if (result != Z_STREAM_END || data + size - trailer < TRAILER) return;
  const uint32_t sums[2] = {(uint32_t)crc32(0, content, (uInt)length), (uint32_t)length};
  for (size_t i = 0; i < TRAILER; i++) trailer[i] = (uint8_t)(sums[i / 4] >> 8 * (i % 4));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  uint32_t random = seed | 1;
  size_t mutated = next_random(&random) % 2 ? repack(data, size, max_size, &random) : 0;
  if (mutated) return mutated;
  mutated = LLVMFuzzerMutate(data, size, max_size);
  if (next_random(&random) % 2) correct_trailer(data, mutated);
  return mutated;
}
