#include "runtime/kernels/table.h"

const kernel *const kernel_table[] = {
#define PLAN_KERNEL(NAME, name) [KERNEL_##NAME] = &kernel_##name,
#include "runtime/plan/kernels.def"
};
_Static_assert(sizeof kernel_table / sizeof *kernel_table == KERNEL_COUNT, "a row for each kernel");

uint64_t kernel_multiplications(const plan_op *op) {
  const kernel *k = kernel_table[op->kernel];
  return k->multiplications ? k->multiplications(op) : op->macs;
}

size_t kernel_packed_size(const plan_op *op) {
  const kernel *k = kernel_table[op->kernel];
  return k->packed_size ? k->packed_size(op) : 0;
}

uint64_t kernel_state_bytes(const plan_op *op) {
  const kernel *k = kernel_table[op->kernel];
  return k->state_bytes ? k->state_bytes(op) : 0;
}
