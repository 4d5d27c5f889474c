/* Pictures to network input: pixel formats, Pillow's bilinear resize bit for bit, centre
 * crop, normalisation. */
#ifndef LIBRESNET_RUNTIME_IMAGE_PREPARE_H
#define LIBRESNET_RUNTIME_IMAGE_PREPARE_H

#include "loader/base/error.h"
#include "loader/base/memory.h"
#include "resnet.h"

/* Scratch of a session: grows to the largest picture seen, zero-initialised but for
 * `memory`, released by image_scratch_release. Holds a few rows and the resize weights,
 * never a whole picture. */
typedef struct image_scratch {
  memory *memory;
  void *block[4];
  size_t size[4];
} image_scratch;

/* Leaves the scratch ready for use again. */
void image_scratch_release(image_scratch *scratch);

/* RESNET_OK when `preprocess` can be followed: sizes of 0 to 65535, a known order, scale
 * and std finite and greater than 0, mean finite. Else RESNET_ERROR_ARGUMENT, with a
 * message that names the member. */
resnet_status image_check_preprocess(const resnet_preprocess *preprocess, resnet_error *error);

/* Write the picture, prepared as `preprocess` says, to out (height,width,3), interleaved.
 * Fails by name when the picture is malformed (NULL, zero or above 65535 sizes, stride
 * below a row) or does not come out as height x width; the preprocessing is checked as by
 * image_check_preprocess. The resized sides are (resize, resize * longer / shorter), the
 * latter rounded down; the crop starts at half of what is cut, rounded half to even: both
 * as torchvision's Resize(int) and CenterCrop have it. Arithmetic of the values is
 * float32 step by step, as torchvision's to_tensor and normalize have it: pixel / scale,
 * minus mean, over std. */
resnet_status image_prepare(const resnet_image *image, const resnet_preprocess *preprocess,
                            uint32_t height, uint32_t width, float *out, image_scratch *scratch,
                            resnet_error *error);

/* Pillow's Image.resize((out_width, out_height), BILINEAR) of 8-bit RGB, bit for bit as
 * of version 13; older versions differ in a rounding where the height loses more than
 * twice as many pixels as the width. Rows are width * 3 bytes apart, those of `out`
 * out_width * 3. All sizes 1 to 65535. */
resnet_status image_resize_rgb(const uint8_t *in, uint32_t width, uint32_t height, uint8_t *out,
                               uint32_t out_width, uint32_t out_height, image_scratch *scratch,
                               resnet_error *error);

#endif
