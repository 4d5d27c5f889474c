/* Cost model of convolutions. Costs depend on shapes and on the batch that the model was
 * opened for, not on timing, threads, load or CPU, so that scores depend on nothing
 * else. */
#ifndef LIBRESNET_RUNTIME_PLAN_COST_MODEL_H
#define LIBRESNET_RUNTIME_PLAN_COST_MODEL_H

#include "runtime/plan/plan.h"

/* A kernel that could compute a convolution, and what it would cost. */
typedef struct plan_candidate {
  plan_kernel kernel;
  winograd_form form;
  double cost;  /* per sample; 1: a multiply-accumulate of XNNPACK's convolution */
  double bytes; /* of weights */
} plan_candidate;

/* Return the cheapest candidate without transformed weights. With `adds` the only reader
 * of the result is the addition of a shortcut, which some kernels compute themselves. */
plan_candidate plan_cost_plain(const plan_op *conv, bool adds, uint32_t batch);

/* Return Winograd's algorithm as a candidate. `conv` satisfies winograd_applies or, for
 * WINOGRAD_F5X5_4X4, winograd_stem_applies. */
plan_candidate plan_cost_winograd(const plan_op *conv, winograd_form form, uint32_t batch);

/* Return stride-2 Winograd as a candidate. `conv` satisfies winograd_stride2_applies. */
plan_candidate plan_cost_winograd_stride2(const plan_op *conv, uint32_t batch);

#endif
