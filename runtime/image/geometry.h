/* Which pixels of a scaled image become the model's input. */
#ifndef LIBRESNET_RUNTIME_IMAGE_GEOMETRY_H
#define LIBRESNET_RUNTIME_IMAGE_GEOMETRY_H

#include "loader/base/error.h"
#include "resnet.h"
#include "runtime/image/resample.h"

/* Set what is computed of each axis of the scaled image. `preprocess` is valid; automatic
 * sizes are those for an input of height x width. Fail when the result does not have that
 * size.
 * - RESNET_FIT_CROP: the side that decides becomes its resize, the other one keeps the
 *   proportion, rounded down, as in torchvision's Resize(int).
 * - Crop: it starts at half of what is cut, rounded half to even, as in torchvision's
 *   CenterCrop. */
resnet_status image_fit(const resnet_image *image, const resnet_preprocess *preprocess,
                        uint32_t height, uint32_t width, resample_range *columns,
                        resample_range *rows, resnet_error *error);

#endif
