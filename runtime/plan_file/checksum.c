#include "runtime/plan_file/checksum.h"

#include <string.h>
#include <zlib.h>

#include "runtime/kernels/simd/dispatch.h"
#include "runtime/plan_file/format.h"

/* A bijection of `sum` for any word and of `word` for any sum. The rotation brings the
 * high bits down, which multiplying alone would leave where they are: two flipped signs
 * would cancel. */
static uint64_t stir(uint64_t sum, uint64_t word) {
  /* odd: 2^64 / golden ratio */
  const uint64_t product = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15);
  return product << 29 | product >> 35;
}

/* Many chains, as each has to wait for its multiplications, and narrow ones, as vectors
 * multiply 32 bits: memory is what limits this. */
uint64_t plan_file_checksum(const void *bytes, size_t size) {
  const simd_elementwise *v = simd_fastest()->elementwise;
  uint32_t lanes[CHECKSUM_LANES];
  uint8_t rest[CHECKSUM_BLOCK] = {0};
  uint64_t sum = size;
  for (uint32_t i = 0; i < CHECKSUM_LANES; i++) lanes[i] = i;
  v->hash_round(lanes, bytes, size / CHECKSUM_BLOCK);
  if (size % CHECKSUM_BLOCK)
    memcpy(rest, (const uint8_t *)bytes + size / CHECKSUM_BLOCK * CHECKSUM_BLOCK,
           size % CHECKSUM_BLOCK);
  v->hash_round(lanes, rest, 1);
  for (size_t i = 0; i < CHECKSUM_LANES; i++) sum = stir(sum, lanes[i]);
  return sum;
}

static uint32_t crc_of(uint32_t crc, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    const uInt part = size > INT32_MAX ? INT32_MAX : (uInt)size;
    crc = (uint32_t)crc32(crc, bytes, part);
    bytes += part;
    size -= part;
  }
  return crc;
}

uint32_t plan_file_front_crc(const uint8_t *front, size_t size) {
  plan_file_header header;
  memcpy(&header, front, sizeof header);
  header.crc = 0;
  const uint32_t crc = crc_of((uint32_t)crc32(0, NULL, 0), (const uint8_t *)&header, sizeof header);
  return crc_of(crc, front + sizeof header, size - sizeof header);
}
