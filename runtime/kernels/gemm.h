#ifndef LIBRESNET_RUNTIME_KERNELS_GEMM_H
#define LIBRESNET_RUNTIME_KERNELS_GEMM_H

#include "runtime/kernels/kernel.h"

/* Return true for a convolution of at most 1,024 taps, of any stride, dilation and
 * padding, with one group or with at least 4 output channels in each. */
bool kernel_gemm_applies(const plan_op *conv);

#endif
