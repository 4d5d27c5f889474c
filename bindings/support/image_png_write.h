/* Write images as PNG files. */
#ifndef RESNET_SUPPORT_IMAGE_PNG_WRITE_H
#define RESNET_SUPPORT_IMAGE_PNG_WRITE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "resnet.h"

/* Fill row y with RGB pixels. */
typedef void (*image_row_maker)(void *user, uint32_t y, uint8_t *row);

/* Write a PNG of the rows that make_row makes, from top to bottom. The same pixels give
 * the same bytes. The caller checks `out` for write errors. */
bool image_write_png(FILE *out, uint32_t width, uint32_t height, image_row_maker make_row,
                     void *user, resnet_error *error);

#endif
