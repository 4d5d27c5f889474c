#include "runtime/kernels/workspace.h"

size_t kernel_pixel_floats(const plan_op *op) { return round_up(op->in.c, KERNEL_LINE); }

resnet_status kernel_size_workspace(kernel_call *call, size_t shared, size_t each,
                                    resnet_error *error) {
  const size_t threads = pthreadpool_get_threads_count(call->pool);
  size_t floats;
  if (!mem_size_multiply(threads, each, &floats) || floats > SIZE_MAX / sizeof(float) ||
      shared > SIZE_MAX / sizeof(float) - floats)
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "node '%s' (Conv): the buffers of %zu threads do not fit the address space",
                    call->op->name, threads);
  call->workspace_size = (shared + floats) * sizeof(float);
  return RESNET_OK;
}
