#include "runtime/kernels/check.h"

resnet_status kernel_check_packed_weights(const plan_op *op, size_t rows, size_t floats,
                                          resnet_error *error) {
  size_t count, bytes;
  if (mem_size_multiply(rows, floats, &count) && count <= SIZE_MAX - op->shape.c &&
      mem_size_multiply(count + op->shape.c, sizeof(float), &bytes))
    return RESNET_OK;
  return err_fail(
      error, RESNET_ERROR_LIMIT,
      "node '%s' (Conv): the packed weights of %u x %u channels do not fit the address space",
      op->name, op->shape.c, op->in.c);
}
