#ifndef LIBRESNET_RUNTIME_KERNELS_TABLE_H
#define LIBRESNET_RUNTIME_KERNELS_TABLE_H

#include "runtime/kernels/kernel.h"

/* The rows, by plan_kernel. */
extern const kernel *const kernel_table[KERNEL_COUNT];

#endif
