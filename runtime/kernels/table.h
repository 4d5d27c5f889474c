#ifndef LIBRESNET_RUNTIME_KERNELS_TABLE_H
#define LIBRESNET_RUNTIME_KERNELS_TABLE_H

#include "runtime/kernels/kernel.h"

/* kernel_input, kernel_conv, ...: one row each, see kernels.def. */
#define PLAN_KERNEL(NAME, name) extern const kernel kernel_##name;
#include "runtime/plan/kernels.def"

/* The rows, by plan_kernel. */
extern const kernel *const kernel_table[KERNEL_COUNT];

/* Return the op's kernel.multiplications; its macs where its kernel has none. */
uint64_t kernel_multiplications(const plan_op *op);

/* Return the op's kernel.packed_size; 0 where its kernel has none. */
size_t kernel_packed_size(const plan_op *op);

/* Return the op's kernel.state_bytes; 0 where its kernel has none. */
uint64_t kernel_state_bytes(const plan_op *op);

#endif
