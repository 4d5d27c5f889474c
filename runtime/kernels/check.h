#ifndef LIBRESNET_RUNTIME_KERNELS_CHECK_H
#define LIBRESNET_RUNTIME_KERNELS_CHECK_H

#include "runtime/kernels/kernel.h"

/* Refuse an op whose packed weights, `rows` of `floats` each and a bias, are more bytes
 * than a size_t holds. */
resnet_status kernel_check_packed_weights(const plan_op *op, size_t rows, size_t floats,
                                          resnet_error *error);

#endif
