#ifndef LIBRESNET_RUNTIME_KERNELS_CONV_XNNPACK_H
#define LIBRESNET_RUNTIME_KERNELS_CONV_XNNPACK_H

#include "runtime/kernels/kernel.h"

/* CONV: any convolution, and fully connected layers. */
extern const kernel kernel_conv;

#endif
