#ifndef LIBRESNET_RUNTIME_KERNELS_WINOGRAD_STRIDE2_H
#define LIBRESNET_RUNTIME_KERNELS_WINOGRAD_STRIDE2_H

#include "runtime/kernels/kernel.h"

/* Return true for a 3x3 convolution of stride 2, no dilation, one group. */
bool winograd_stride2_applies(const plan_op *conv);

#endif
