#include "runtime/plan_file/checksum.h"

#include <string.h>
/* Compile xxHash as part of this file: nothing is linked. */
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zlib.h>

#include "runtime/plan_file/format.h"

uint64_t plan_file_checksum(const void *bytes, size_t size) { return XXH3_64bits(bytes, size); }

/* Update a CRC-32. zlib takes at most UINT_MAX bytes at once. */
static uint32_t update_crc(uint32_t crc, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    const uInt part = size > INT32_MAX ? INT32_MAX : (uInt)size;
    crc = (uint32_t)crc32(crc, bytes, part);
    bytes += part;
    size -= part;
  }
  return crc;
}

uint32_t plan_file_name_crc(const char *name) {
  return update_crc((uint32_t)crc32(0, NULL, 0), (const uint8_t *)name, strlen(name));
}

uint32_t plan_file_front_crc(const uint8_t *front, size_t size) {
  plan_file_header header;
  memcpy(&header, front, sizeof header);
  header.crc = 0;
  const uint32_t crc =
      update_crc((uint32_t)crc32(0, NULL, 0), (const uint8_t *)&header, sizeof header);
  return update_crc(crc, front + sizeof header, size - sizeof header);
}
