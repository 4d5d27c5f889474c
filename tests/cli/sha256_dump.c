/* Prints the SHA-256 of every prefix of standard input, the empty one first, each hashed
 * in two pieces. */
#include <stdint.h>
#include <stdio.h>

#include "support/sha256.h"

int main(void) {
  static uint8_t bytes[4096];
  const size_t size = fread(bytes, 1, sizeof bytes, stdin);
  for (size_t length = 0; length <= size; length++) {
    char text[SHA256_TEXT];
    sha256 hash;
    sha256_start(&hash);
    sha256_add(&hash, bytes, length / 3);
    sha256_add(&hash, bytes + length / 3, length - length / 3);
    sha256_finish(&hash, text);
    (void)puts(text);
  }
  return 0;
}
