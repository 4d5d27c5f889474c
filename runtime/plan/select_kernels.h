/* Selection of the kernel that computes each convolution: by the cost model, as far as
 * the weights allow. */
#ifndef LIBRESNET_RUNTIME_PLAN_SELECT_KERNELS_H
#define LIBRESNET_RUNTIME_PLAN_SELECT_KERNELS_H

#include "runtime/plan/plan.h"

/* Set kernel, form and cost of each op that is a KERNEL_CONV so far. adds[i]: the only
 * reader of op i's result is the addition of a shortcut. */
resnet_status plan_select_kernels(plan_op *ops, const bool *adds, uint32_t count,
                                  const plan_options *options, memory *m, resnet_error *error);

/* Set winograd_safety of convolutions that Winograd's algorithm might compute, unless it
 * is known. The algorithm mixes the taps of a filter (h,w,c). It is unsafe
 * - with taps of very different sizes, since the rounding of the large ones would drown
 *   the small ones;
 * - with weights so large or small that the sums might leave a float's range. */
void plan_find_winograd_safety(graph *g);

#endif
