/* Preprocessings: the named ones, the guessed one, and the check of any. */
#ifndef LIBRESNET_RUNTIME_IMAGE_PRESETS_H
#define LIBRESNET_RUNTIME_IMAGE_PRESETS_H

#include "loader/base/error.h"
#include "loader/graph/graph.h"
#include "resnet.h"

/* Return RESNET_OK when `preprocess` is valid for inputs of `channels`: sizes 0 to 65535
 * or none, known enums, scale and std finite and greater than 0, mean finite. Members of
 * channels that the input does not have are not looked at. Else fail with
 * RESNET_ERROR_ARGUMENT and a message that names the member. */
resnet_status image_check_preprocess(const resnet_preprocess *preprocess, uint32_t channels,
                                     resnet_error *error);

/* Guess the preprocessing from the input, for models whose file does not state it: grey
 * for one channel, CIFAR's for 32 x 32, torchvision's ImageNet recipe for others. Images
 * for inputs that are not square are stretched. */
void image_guess_preprocess(uint32_t height, uint32_t width, uint32_t channels,
                            resnet_preprocess *out);

/* Set the values that the graph shows, in place of those that were guessed. */
void image_apply_evidence(const graph_evidence *evidence, uint32_t channels, resnet_preprocess *p);

/* Replace automatic sizes by those for an input of height x width, and the order and
 * statistics by grey's where one channel is used. `p` is valid. */
void image_resolve_preprocess(resnet_preprocess *p, uint32_t height, uint32_t width,
                              uint32_t channels);

#endif
