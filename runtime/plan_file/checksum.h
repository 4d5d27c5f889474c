/* Checksums of a plan file. They find damage, not forgery. */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_CHECKSUM_H
#define LIBRESNET_RUNTIME_PLAN_FILE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Return the 64-bit XXH3 hash (xxhash.com) of `size` bytes, at the speed of memory. It is
 * the same on every CPU. Random damage remains unnoticed with a chance of 2^-64; a forger
 * can find bytes with the same hash. */
uint64_t plan_file_checksum(const void *bytes, size_t size);

/* Return the CRC-32 of the name of a kernel or an algorithm. */
uint32_t plan_file_name_crc(const char *name);

/* Return the CRC-32 of a file's front, computed with 0 in place of the header's CRC. */
uint32_t plan_file_front_crc(const uint8_t *front, size_t size);

#endif
