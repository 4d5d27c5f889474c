/* A plan changed for one session: ops that tell what fusion erases, and blocks skipped or
 * swapped. */
#ifndef LIBRESNET_RUNTIME_PLAN_ABLATE_H
#define LIBRESNET_RUNTIME_PLAN_ABLATE_H

#include "runtime/plan/plan.h"

/* What becomes of one block. */
typedef struct plan_block_ablation {
  resnet_skip mode;
  uint32_t other; /* SWAP: the block whose place it takes */
} plan_block_ablation;

/* What an op's output is told as, one bit for each resnet_point, and one more. */
enum {
  PLAN_EMITS_OUTPUT = 1 << RESNET_POINT_OUTPUT,
  PLAN_EMITS_RESPONSE = 1 << RESNET_POINT_RESPONSE,
  PLAN_EMITS_SHORTCUT = 1 << RESNET_POINT_SHORTCUT,
  PLAN_EMITS_CLASS_MAP = 1 << RESNET_POINT_CLASS_MAP,
  PLAN_EMITS_INPUT = 1 << 4 /* its input[1] is told as a SHORTCUT before it runs */
};

/* What an op stands for. */
typedef struct plan_op_role {
  uint32_t op; /* of the model's plan */
  unsigned tells;
} plan_op_role;

/* Ops borrow their weights, packed or not, and their words from the model's plan, which
 * must live longer. */
typedef struct plan_ablated {
  plan plan; /* without blocks and totals; its arena is its own */
  plan_op_role *roles;
} plan_ablated;

/* Change the plan `from` as `edits` say, one for each of its blocks. With `observed`,
 * every ReLU and addition becomes an op of its own. Refuses what shapes do not allow. On
 * failure *out is all zero. */
resnet_status plan_ablate(plan_ablated *out, const plan *from, const plan_block_ablation *edits,
                          bool observed, resnet_error *error);

void plan_ablated_release(plan_ablated *edited);

#endif
