#include "cli/report/thumbnails.h"

#include <stdlib.h>
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/dataset.h"
#include "cli/report/markup.h"
#include "support/image.h"
#include "support/image_png_write.h"

enum { MAX_SIDE = 64 };

/* Shrink a larger image; each pixel is the average of the window that it covers. */
static bool shrink(image_rgb *p, resnet_error *error) {
  uint32_t longer = p->width > p->height ? p->width : p->height;
  if (longer <= MAX_SIDE) return true;
  image_rgb small = {0};
  uint64_t width = (uint64_t)p->width * MAX_SIDE / longer,
           height = (uint64_t)p->height * MAX_SIDE / longer;
  if (!image_allocate(&small, width ? width : 1, height ? height : 1, error)) return false;
  for (uint32_t y = 0; y < small.height; y++) {
    size_t top = (size_t)y * p->height / small.height,
           bottom = (size_t)(y + 1) * p->height / small.height;
    for (uint32_t x = 0; x < small.width; x++) {
      size_t left = (size_t)x * p->width / small.width,
             right = (size_t)(x + 1) * p->width / small.width;
      uint64_t sums[3] = {0}, count = (uint64_t)(bottom - top) * (right - left);
      for (size_t i = top; i < bottom; i++)
        for (size_t j = left; j < right; j++)
          for (size_t k = 0; k < 3; k++) sums[k] += p->pixels[(i * p->width + j) * 3 + k];
      for (size_t k = 0; k < 3; k++)
        small.pixels[((size_t)y * small.width + x) * 3 + k] =
            (uint8_t)((sums[k] + count / 2) / count);
    }
  }
  image_release(p);
  *p = small;
  return true;
}

static void copy_row(void *user, uint32_t y, uint8_t *row) {
  const image_rgb *p = user;
  memcpy(row, p->pixels + (size_t)y * p->width * 3, (size_t)p->width * 3);
}

/* Return the image as PNG, for the caller to free, or NULL on failure. */
static uint8_t *encode(image_rgb *p, size_t *size) {
  char *bytes = NULL;
  resnet_error error;
  FILE *out = open_memstream(&bytes, size);
  if (!out) return NULL;
  bool ok = image_write_png(out, p->width, p->height, copy_row, p, &error);
  if (fclose(out) == 0 && ok) return (uint8_t *)bytes;
  free(bytes);
  return NULL;
}

size_t report_write_thumbnail(comparison *c, size_t index, FILE *out) {
  image_rgb p;
  resnet_error error;
  size_t size = 0;
  uint8_t *bytes = cli_dataset_decode(&c->data, index, &p, &error) && shrink(&p, &error)
                       ? encode(&p, &size)
                       : NULL;
  if (bytes) {
    (void)fprintf(out,
                  "<img alt=\"Image %zu\" width=\"%u\" height=\"%u\" src=\"data:image/png;base64,",
                  index + 1, p.width, p.height);
    markup_write_base64(out, bytes, size);
    (void)fputs("\">", out);
  } else {
    (void)fputs("<span class=\"absent\">cannot be read</span>", out);
  }
  free(bytes);
  image_release(&p);
  return size / 3 * 4 + 128;
}
