#ifndef LIBRESNET_RUNTIME_KERNELS_GEMM_H
#define LIBRESNET_RUNTIME_KERNELS_GEMM_H

#include "runtime/plan/plan.h"

/* Whether the gemm kernel can compute the convolution: 1x1, stride 1, no padding, one
 * group, more than one pixel. */
bool gemm_applies(const plan_op *conv);

#endif
