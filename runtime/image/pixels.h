/* Rows of a caller's image as RGB, from any pixel format. */
#ifndef LIBRESNET_RUNTIME_IMAGE_PIXELS_H
#define LIBRESNET_RUNTIME_IMAGE_PIXELS_H

#include <stdbool.h>

#include "loader/base/error.h"
#include "resnet.h"

enum { IMAGE_SIDE_MAX = 65535 };

/* Return RESNET_OK when every pixel has an address: pixels are not NULL, sides are 1 to
 * IMAGE_SIDE_MAX, the format is known, the stride is at least the bytes of a row, and the
 * planes end within the address space. Else fail with RESNET_ERROR_ARGUMENT. */
resnet_status image_check(const resnet_image *image, resnet_error *error);

/* Return pixels x to x + count - 1 of row y as RGB; with `grey` all three are the luma of
 * Pillow's convert("L"). They are written to `buffer` (count * 3 bytes), unless nothing
 * is converted: then the result points into the image. `image` has passed image_check. No
 * byte outside these pixels is read. */
const uint8_t *image_row_rgb(const resnet_image *image, uint32_t y, uint32_t x, uint32_t count,
                             bool grey, uint8_t *buffer);

#endif
