/* Preprocessings: the named ones, the guessed one, and the check of any. */
#ifndef LIBRESNET_RUNTIME_IMAGE_PRESETS_H
#define LIBRESNET_RUNTIME_IMAGE_PRESETS_H

#include "loader/base/error.h"
#include "resnet.h"

/* Return RESNET_OK when `preprocess` is valid: sizes 0 to 65535, a known order, scale and
 * std finite and greater than 0, mean finite. Else fail with RESNET_ERROR_ARGUMENT and a
 * message that names the member. */
resnet_status image_check_preprocess(const resnet_preprocess *preprocess, resnet_error *error);

/* Guess the preprocessing from the input size, for models whose file does not state it:
 * CIFAR's for 32 x 32, torchvision's ImageNet recipe for other sizes. */
void image_guess_preprocess(uint32_t height, uint32_t width, resnet_preprocess *out);

#endif
