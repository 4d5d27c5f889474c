/* Checksums of a plan file. They find damage, not intent. */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_CHECKSUM_H
#define LIBRESNET_RUNTIME_PLAN_FILE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Return a 64-bit checksum of `size` bytes, at the speed of memory, the same on every CPU
 * of one byte order. Any change within an aligned word of 4 bytes changes it; other
 * changes remain unnoticed with a chance of 2^-32 or less. */
uint64_t plan_file_checksum(const void *bytes, size_t size);

/* Return the CRC-32 of a file's front, computed with 0 in place of the header's CRC. */
uint32_t plan_file_front_crc(const uint8_t *front, size_t size);

#endif
