/* SHA-256 (FIPS 180-4), to identify files. */
#ifndef RESNET_SUPPORT_SHA256_H
#define RESNET_SUPPORT_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BLOCK = 64, SHA256_TEXT = 65 };

typedef struct sha256 {
  uint32_t state[8];
  uint8_t block[SHA256_BLOCK]; /* the bytes of an incomplete block */
  uint64_t size;               /* bytes so far */
} sha256;

void sha256_start(sha256 *hash);
void sha256_add(sha256 *hash, const void *bytes, size_t size);

/* Write the hash in hexadecimal, NUL-terminated. `hash` must be started again before its
 * next use. */
void sha256_finish(sha256 *hash, char text[SHA256_TEXT]);

/* Hash a file and count its bytes. Return false if it cannot be read, with the reason in
 * errno. */
bool sha256_file(const char *path, char text[SHA256_TEXT], uint64_t *bytes);

#endif
