/* Images to model input: pixel formats, Pillow's resize bit for bit, centre crop,
 * normalisation. */
#ifndef LIBRESNET_RUNTIME_IMAGE_PREPARE_H
#define LIBRESNET_RUNTIME_IMAGE_PREPARE_H

#include "loader/base/error.h"
#include "loader/base/memory.h"
#include "resnet.h"

/* Scratch memory of a session: a few rows and the resize weights, never a whole image. It
 * grows to what the largest image needs. Starts all zero but for `memory`; released by
 * image_scratch_release. */
typedef struct image_scratch {
  memory *memory;
  void *block[4];
  size_t size[4];
} image_scratch;

/* Release the blocks; the scratch can be used again. */
void image_scratch_release(image_scratch *scratch);

/* Resize, crop and normalise `image` into out (height,width,channels); channels are 1 or
 * 3. Fail when the image or the preprocessing is invalid (image_check,
 * image_check_preprocess), or when the result is not height x width (image_fit).
 * - Grey is converted before it is scaled.
 * - Values: (pixel / scale - mean) / std in float32 step by step, as in torchvision's
 *   to_tensor and normalize. */
resnet_status image_prepare(const resnet_image *image, const resnet_preprocess *preprocess,
                            uint32_t height, uint32_t width, uint32_t channels, float *out,
                            image_scratch *scratch, resnet_error *error);

/* Resize 8-bit RGB, bit for bit as Pillow 13's Image.resize((out_width, out_height),
 * filter). Older versions round differently where the height loses more than twice as
 * many pixels as the width. Rows of `in` are width * 3 bytes apart, rows of `out`
 * out_width * 3. All sizes are 1 to 65535. */
resnet_status image_resize_rgb(const uint8_t *in, uint32_t width, uint32_t height, uint8_t *out,
                               uint32_t out_width, uint32_t out_height, resnet_filter filter,
                               image_scratch *scratch, resnet_error *error);

#endif
