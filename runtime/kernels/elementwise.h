#ifndef LIBRESNET_RUNTIME_KERNELS_ELEMENTWISE_H
#define LIBRESNET_RUNTIME_KERNELS_ELEMENTWISE_H

#include "runtime/kernels/kernel.h"

extern const kernel kernel_input, kernel_clamp, kernel_affine;

#endif
