#include "runtime/kernels/kernel.h"

resnet_status check_packed_weights(const plan_op *op, size_t rows, size_t floats, resnet_error *error) {
  size_t count, bytes;
  if (size_multiply(rows, floats, &count) && count <= SIZE_MAX - op->shape.c &&
      size_multiply(count + op->shape.c, sizeof(float), &bytes))
    return RESNET_OK;
  return fail(error, RESNET_ERROR_LIMIT,
              "node '%s' (Conv): the packed weights of %u x %u channels do not fit the address space", op->name,
              op->shape.c, op->in.c);
}

resnet_status tile_workspace(kernel_call *call, size_t zeros, size_t block, resnet_error *error) {
  const size_t threads = pthreadpool_get_threads_count(call->pool);
  size_t floats;
  if (!size_multiply(threads, block, &floats) || floats > SIZE_MAX / sizeof(float) - zeros)
    return fail(error, RESNET_ERROR_LIMIT, "node '%s' (Conv): the buffers of %zu threads do not fit the address space",
                call->op->name, threads);
  call->workspace_size = (zeros + floats) * sizeof(float);
  return RESNET_OK;
}
