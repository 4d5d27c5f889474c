#ifndef LIBRESNET_RUNTIME_KERNELS_CONV_GROUPED_H
#define LIBRESNET_RUNTIME_KERNELS_CONV_GROUPED_H

#include "runtime/kernels/kernel.h"

/* Return true for a convolution of several groups of few channels, depthwise ones
 * included, whose window is not huge. */
bool kernel_grouped_applies(const plan_op *conv);

#endif
