/* The workspace of convolutions that compute parts of an op by thread. */
#ifndef LIBRESNET_RUNTIME_KERNELS_WORKSPACE_H
#define LIBRESNET_RUNTIME_KERNELS_WORKSPACE_H

#include "runtime/kernels/kernel.h"

enum { KERNEL_LINE = 16 /* floats of a cache line, and at least those of any vector */ };

_Static_assert(KERNEL_LINE * sizeof(float) >= SIMD_MAX_BYTES, "a line holds whole vectors");

/* Return the floats, whole cache lines, of one input pixel. Kernels that read zeros for
 * inputs outside the image keep one such pixel at the start of their workspace. */
size_t kernel_pixel_floats(const plan_op *op);

/* Request a workspace of `shared` floats and of `each` for each thread. */
resnet_status kernel_size_workspace(kernel_call *call, size_t shared, size_t each,
                                    resnet_error *error);

#endif
