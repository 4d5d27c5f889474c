/* The workspace of convolutions that compute parts of an op by thread. */
#ifndef LIBRESNET_RUNTIME_KERNELS_WORKSPACE_H
#define LIBRESNET_RUNTIME_KERNELS_WORKSPACE_H

#include "runtime/kernels/kernel.h"

/* Return the floats, whole cache lines, of one input pixel. Kernels that read zeros for
 * inputs outside the image keep one such pixel at the start of their workspace. */
size_t kernel_pixel_floats(const plan_op *op);

/* Request a workspace of `shared` floats and of `each` for each thread. */
resnet_status kernel_size_workspace(kernel_call *call, size_t shared, size_t each,
                                    resnet_error *error);

#endif
