/* SHA-256 (FIPS 180-4): what people compare files by. */
#ifndef RESNET_SUPPORT_SHA256_H
#define RESNET_SUPPORT_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BLOCK = 64, SHA256_TEXT = 65 };

typedef struct sha256 {
  uint32_t state[8];
  uint8_t block[SHA256_BLOCK]; /* bytes that do not make a whole one yet */
  uint64_t size;               /* bytes so far */
} sha256;

void sha256_start(sha256 *hash);
void sha256_add(sha256 *hash, const void *bytes, size_t size);

/* The hash in hexadecimal, NUL-terminated. `hash` is then used up. */
void sha256_finish(sha256 *hash, char text[SHA256_TEXT]);

/* The hash of a file and how many bytes it has. False: it can't be read, errno says
 * why. */
bool sha256_file(const char *path, char text[SHA256_TEXT], uint64_t *bytes);

#endif
