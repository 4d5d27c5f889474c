#ifndef LIBRESNET_RUNTIME_KERNELS_GATE_H
#define LIBRESNET_RUNTIME_KERNELS_GATE_H

#include "runtime/kernels/kernel.h"

extern const kernel kernel_sigmoid, kernel_scale, kernel_multiply, kernel_channel_conv;

#endif
