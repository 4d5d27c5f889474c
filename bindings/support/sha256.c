#include "support/sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { READ_SIZE = 1 << 14 };

/* First 32 bits of the fractions of the cube roots of the first 64 primes (FIPS 180-4,
 * 4.2.2). */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, unsigned bits) { return x >> bits | x << (32 - bits); }

static uint32_t read_big_endian(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* FIPS 180-4, 6.2.2, step 1. */
static void expand(const uint8_t *block, uint32_t w[64]) {
  for (int t = 0; t < 16; t++) w[t] = read_big_endian(block + 4 * t);
  for (int t = 16; t < 64; t++) {
    uint32_t a = w[t - 15], b = w[t - 2];
    w[t] = (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10) + w[t - 7] +
           (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[t - 16];
  }
}

/* FIPS 180-4, 6.2.2, steps 2 to 4. */
static void take_block(sha256 *hash, const uint8_t *block) {
  uint32_t w[64], *state = hash->state;
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5],
           g = state[6], h = state[7];
  expand(block, w);
  for (int t = 0; t < 64; t++) {
    uint32_t choice = (e & f) ^ (~e & g), majority = (a & b) ^ (a & c) ^ (b & c);
    uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice + k[t] + w[t];
    uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority;
    h = g, g = f, f = e, e = d + t1;
    d = c, c = b, b = a, a = t1 + t2;
  }
  const uint32_t after[8] = {a, b, c, d, e, f, g, h};
  for (int i = 0; i < 8; i++) state[i] += after[i];
}

void sha256_start(sha256 *hash) {
  /* First 32 bits of the fractions of the square roots of the first 8 primes (5.3.3). */
  *hash = (sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                             0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(sha256 *hash, const void *bytes, size_t size) {
  const uint8_t *from = bytes;
  while (size > 0) {
    size_t used = hash->size % SHA256_BLOCK, space = SHA256_BLOCK - used,
           part = size < space ? size : space;
    memcpy(hash->block + used, from, part);
    hash->size += part;
    from += part;
    size -= part;
    if (part == space) take_block(hash, hash->block);
  }
}

/* Pad with a one bit, zeros, and the length in bits up to the end of a block (5.1.1). */
void sha256_finish(sha256 *hash, char text[SHA256_TEXT]) {
  static const uint8_t padding[SHA256_BLOCK] = {0x80};
  const uint64_t bits = hash->size * 8;
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
  const size_t used = hash->size % SHA256_BLOCK, end = SHA256_BLOCK - sizeof length;
  sha256_add(hash, padding, used < end ? end - used : end + SHA256_BLOCK - used);
  sha256_add(hash, length, sizeof length);
  for (int i = 0; i < 8; i++) (void)snprintf(text + 8 * i, 9, "%08x", hash->state[i]);
}

bool sha256_file(const char *path, char text[SHA256_TEXT], uint64_t *bytes) {
  uint8_t buffer[READ_SIZE];
  sha256 hash;
  sha256_start(&hash);
  FILE *file = fopen(path, "rb");
  if (!file) return false;
  for (size_t count; (count = fread(buffer, 1, sizeof buffer, file)) > 0;)
    sha256_add(&hash, buffer, count);
  const bool ok = ferror(file) == 0;
  const int reason = errno;
  *bytes = hash.size;
  sha256_finish(&hash, text);
  (void)fclose(file);
  errno = reason;
  return ok;
}
