/* What Winograd's algorithm can compute at all; what it should is the cost model's to say
 * (runtime/plan/cost_model.h). */
#ifndef LIBRESNET_RUNTIME_KERNELS_WINOGRAD_H
#define LIBRESNET_RUNTIME_KERNELS_WINOGRAD_H

#include "runtime/plan/plan.h"

/* A 3x3 convolution of stride 1, no dilation, one group. */
bool winograd_applies(const plan_op *conv);

/* A 7x7 convolution of stride 2, no dilation, one group, up to 4 input channels. */
bool winograd_stem_applies(const plan_op *conv);

/* A 3x3 convolution of stride 2, no dilation, one group. */
bool winograd_strided_applies(const plan_op *conv);

#endif
