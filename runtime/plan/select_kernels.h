/* Which kernel computes each convolution of a net, from the cost model and from what the
 * weights allow. */
#ifndef LIBRESNET_RUNTIME_PLAN_SELECT_KERNELS_H
#define LIBRESNET_RUNTIME_PLAN_SELECT_KERNELS_H

#include "runtime/plan/plan.h"

/* Set kernel, tile and cost of those of the ops that are a KERNEL_CONV until now.
 * adds[i]: op i's result is read by the addition of a shortcut only. */
resnet_status plan_select_kernels(plan_op *ops, const bool *adds, uint32_t count,
                                  const plan_options *options, memory *m, resnet_error *error);

/* Look at the weights of convolutions that Winograd's algorithm might compute, where that
 * is not known yet: uneven are those with a filter (h,w,c) whose taps are so unlike in
 * size that the algorithm, which mixes them, would drown the small ones in the rounding
 * of the large ones, or whose weights are so large or small that mixing them might leave
 * a float's range. */
void plan_find_winograd_safety(graph *g);

#endif
