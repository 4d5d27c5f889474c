/* Correct checksums for a plan file that was modified, as an attacker would write
 * them. */
#ifndef LIBRESNET_TESTS_PLAN_SEAL_H
#define LIBRESNET_TESTS_PLAN_SEAL_H

#include <stddef.h>
#include <stdint.h>

/* Offsets in the front; all 0 if the front makes no sense. */
typedef struct plan_places {
  size_t tail; /* the preprocessing, behind the graph */
  size_t key;  /* conv, memory, batch, cpu, build */
  /* count of convolutions; 4 bytes for each follow: the CRC of its algorithm's name */
  size_t algorithms;
  size_t sums; /* checksums of weights */
  /* count of ops; 20 bytes for each follow: kernel, size, checksum */
  size_t ops;
  size_t packed;  /* the first packed blob */
  size_t weights; /* the first array of weights */
} plan_places;

plan_places plan_find_places(const uint8_t *file, size_t size);

/* Collect the offsets of the numbers in the graph's nodes, 4 bytes each; return how many,
 * at most `max`. */
size_t plan_find_numbers(const uint8_t *file, size_t size, size_t *places, size_t max);

/* Compute every checksum again, as far as the file can be walked through. */
void plan_seal(uint8_t *file, size_t size);

#endif
