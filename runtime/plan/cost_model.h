/* The fixed cost model: what it costs to compute a convolution in one way or another. It
 * knows shapes only - no timing, no threads, no load, no CPU - and how many pictures the
 * model was opened for, so that a net's answers never depend on anything else. */
#ifndef LIBRESNET_RUNTIME_PLAN_COST_MODEL_H
#define LIBRESNET_RUNTIME_PLAN_COST_MODEL_H

#include "runtime/plan/plan.h"

/* One way. */
typedef struct plan_candidate {
  plan_kernel kernel;
  winograd_form form;
  /* of one picture, in multiply-accumulates of a direct convolution at full speed */
  double cost;
  double bytes; /* of weights */
} plan_candidate;

/* The cheapest without transformed weights. With `adds` the result is read by the
 * addition of a shortcut only, which some kernels do themselves. */
plan_candidate plan_cost_plain(const plan_op *conv, bool adds, uint32_t batch);

/* By Winograd's algorithm, where winograd_applies to it or, for the stem's form,
 * winograd_stem_applies. */
plan_candidate plan_cost_winograd(const plan_op *conv, winograd_form form, uint32_t batch);

/* The same where winograd_strided_applies. */
plan_candidate plan_cost_winograd_stride2(const plan_op *conv, uint32_t batch);

#endif
