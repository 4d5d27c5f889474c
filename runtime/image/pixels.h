/* Rows of a caller's picture, whatever its pixel format, as RGB. */
#ifndef LIBRESNET_RUNTIME_IMAGE_PIXELS_H
#define LIBRESNET_RUNTIME_IMAGE_PIXELS_H

#include "loader/base/error.h"
#include "resnet.h"

enum { IMAGE_SIDE_MAX = 65535 };

/* RESNET_OK when every pixel has an address: pixels not NULL, sides 1 to IMAGE_SIDE_MAX,
 * a known format, a stride of at least a row's bytes, planes that end within the address
 * space. */
resnet_status image_check(const resnet_image *image, resnet_error *error);

/* Pixels x to x + count - 1 of row y as RGB; the picture has passed image_check. Written
 * to `buffer` (count * 3 bytes) unless the format is RGB itself: then the result points
 * into the picture. No byte outside these pixels is read. */
const uint8_t *image_row_rgb(const resnet_image *image, uint32_t y, uint32_t x, uint32_t count,
                             uint8_t *buffer);

#endif
