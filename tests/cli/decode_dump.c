/* Decode an image as the program does and write "WIDTH HEIGHT\n" and its RGB bytes:
 * test_cli.py compares them with Pillow's. */
#include <stdio.h>

#include "support/image.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  image_rgb p;
  resnet_error error;
  if (!image_read(argv[1], NULL, &p, &error)) {
    (void)fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  (void)printf("%u %u\n", p.width, p.height);
  size_t bytes = (size_t)p.width * p.height * 3;
  bool ok = fwrite(p.pixels, 1, bytes, stdout) == bytes && fflush(stdout) == 0;
  image_release(&p);
  return ok ? 0 : 1;
}
