#ifndef LIBRESNET_RUNTIME_KERNELS_POOL_H
#define LIBRESNET_RUNTIME_KERNELS_POOL_H

#include "runtime/kernels/kernel.h"

extern const kernel kernel_max_pool, kernel_average_pool, kernel_global_average_pool;

#endif
