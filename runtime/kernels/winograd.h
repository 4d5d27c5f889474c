/* Which convolutions Winograd's algorithm can compute. Which of them it should compute is
 * the cost model's choice (runtime/plan/cost_model.h). */
#ifndef LIBRESNET_RUNTIME_KERNELS_WINOGRAD_H
#define LIBRESNET_RUNTIME_KERNELS_WINOGRAD_H

#include "runtime/kernels/kernel.h"

/* Return true for a 3x3 convolution of stride 1, no dilation, one group. */
bool winograd_applies(const plan_op *conv);

/* Return true for a 7x7 convolution of stride 2, no dilation, one group, up to 4 input
 * channels. */
bool winograd_stem_applies(const plan_op *conv);

const simd_winograd_form *winograd_find_form(const simd_set *simd, winograd_form form);

#endif
