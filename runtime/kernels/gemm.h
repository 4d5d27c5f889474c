#ifndef LIBRESNET_RUNTIME_KERNELS_GEMM_H
#define LIBRESNET_RUNTIME_KERNELS_GEMM_H

#include "runtime/kernels/kernel.h"

/* Return true for a 1x1 convolution of stride 1 without padding, of one group and more
 * than one pixel. */
bool kernel_gemm_applies(const plan_op *conv);

#endif
