/* The WebP decoder behind image_decode. */
#ifndef RESNET_SUPPORT_IMAGE_WEBP_H
#define RESNET_SUPPORT_IMAGE_WEBP_H

#include "resnet.h"
#include "support/image.h"

/* Decode the pixels as stored and set *orientation to 1 to 8. The caller releases *out,
 * also on failure. Without libwebp, fail and name the format. */
bool image_decode_webp(const uint8_t *bytes, size_t size, const image_options *options,
                       image_rgb *out, int *orientation, resnet_error *error);

#endif
