/* Plans derived from a model's plan for one session: blocks removed or swapped, and fused
 * ops split so that every point can be observed. */
#ifndef LIBRESNET_RUNTIME_PLAN_ABLATE_H
#define LIBRESNET_RUNTIME_PLAN_ABLATE_H

#include "runtime/plan/plan.h"

/* The change of one block. */
typedef struct plan_block_ablation {
  resnet_skip mode;
  uint32_t other; /* SWAP: the block that it changes places with */
} plan_block_ablation;

/* Points that an op emits to an observer: one bit for each resnet_point of its output,
 * and one for its input. */
enum {
  PLAN_EMITS_OUTPUT = 1 << RESNET_POINT_OUTPUT,
  PLAN_EMITS_RESPONSE = 1 << RESNET_POINT_RESPONSE,
  PLAN_EMITS_SHORTCUT = 1 << RESNET_POINT_SHORTCUT,
  PLAN_EMITS_CLASS_MAP = 1 << RESNET_POINT_CLASS_MAP,
  PLAN_EMITS_INPUT = 1 << 4 /* emit input[1] as a SHORTCUT before the op runs */
};

/* The model's op that an op of a derived plan belongs to, and the points that it
 * emits. */
typedef struct plan_op_role {
  uint32_t op; /* of the model's plan */
  unsigned emits;
} plan_op_role;

/* A derived plan. Its ops borrow weights and names from the model's plan, which must
 * outlive it. */
typedef struct plan_ablated {
  plan plan;           /* without blocks and totals; its arena is its own */
  plan_op_role *roles; /* by op */
} plan_ablated;

/* Derive a plan from `from`, with one ablation for each of its blocks. With `observed`,
 * every ReLU and every addition becomes an op of its own. Fail with
 * RESNET_ERROR_UNSUPPORTED where shapes forbid an ablation. On failure *out is all
 * zero. */
resnet_status plan_ablate(plan_ablated *out, const plan *from, const plan_block_ablation *ablations,
                          bool observed, resnet_error *error);

/* Release everything that `ablated` owns and zero it; an all-zero one is allowed. */
void plan_ablated_release(plan_ablated *ablated);

#endif
