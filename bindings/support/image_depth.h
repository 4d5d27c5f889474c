/* Images with 16 bits a channel, made 8-bit. */
#ifndef RESNET_SUPPORT_IMAGE_DEPTH_H
#define RESNET_SUPPORT_IMAGE_DEPTH_H

#include "support/image.h"

/* Fill out->pixels from big-endian 16-bit values: `channels` (1 or 3) for each pixel.
 * `deep` may be the pixels themselves if there is one channel. Also set out->depth, whose
 * `channels` the caller has set. */
void image_depth_reduce(const uint8_t *deep, unsigned channels, const image_options *options,
                        image_rgb *out);

#endif
