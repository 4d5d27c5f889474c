#ifndef LIBRESNET_RUNTIME_KERNELS_CONV_GROUPED_H
#define LIBRESNET_RUNTIME_KERNELS_CONV_GROUPED_H

#include "runtime/kernels/kernel.h"

/* Return true for a convolution of several groups of at most 128 input channels each,
 * depthwise ones included. Its strides are at most 8, and its window, with dilations, has
 * at most 64 rows and columns. */
bool kernel_grouped_applies(const plan_op *conv);

#endif
