#ifndef LIBRESNET_RUNTIME_KERNELS_PAD_H
#define LIBRESNET_RUNTIME_KERNELS_PAD_H

#include "runtime/kernels/kernel.h"

extern const kernel kernel_pad;

#endif
