/* Images to the input of a session's model. */
#ifndef LIBRESNET_RUNTIME_API_PREPARE_H
#define LIBRESNET_RUNTIME_API_PREPARE_H

#include "runtime/api/session.h"

/* Return RESNET_OK when `session` and `images` are not NULL, `count` is not 0, and images
 * have as many channels as the model's input. `function` is the public one. */
resnet_status session_check_images(const char *function, const resnet_session *session,
                                   const resnet_image *images, size_t count, resnet_error *error);

/* Write the prepared images to `input` (count,h,w,c). Errors name an image by its
 * position, counted from `first`. */
resnet_status session_prepare(resnet_session *session, const resnet_image *images, size_t count,
                              size_t first, float *input, resnet_error *error);

#endif
