/* Pictures to network input: pixel formats, Pillow's bilinear resize bit for bit, centre crop, normalisation. */
#ifndef LIBRESNET_RUNTIME_IMAGE_H
#define LIBRESNET_RUNTIME_IMAGE_H

#include "loader/failure.h"
#include "loader/memory.h"
#include "resnet.h"

/* Scratch of a session: grows to the largest picture seen, zero-initialised, released by image_scratch_release. */
typedef struct image_scratch {
  memory *memory;
  void *block[4];
  size_t size[4];
} image_scratch;

void image_scratch_release(image_scratch *scratch);

/* Write the picture, prepared as `preprocess` says, to out (height,width,3), interleaved. Fails by name when the picture
 * is malformed (NULL, zero or above 65535 sizes, stride below a row) or does not come out as height x width. */
resnet_status image_prepare(const resnet_image *image, const resnet_preprocess *preprocess, uint32_t height,
                            uint32_t width, float *out, image_scratch *scratch, resnet_error *error);

/* Pillow's Image.resize((out_width, out_height), BILINEAR) of 8-bit RGB, bit for bit. Rows are width * 3 bytes apart. */
resnet_status image_resize_rgb(const uint8_t *in, uint32_t width, uint32_t height, uint8_t *out, uint32_t out_width,
                               uint32_t out_height, image_scratch *scratch, resnet_error *error);

#endif
