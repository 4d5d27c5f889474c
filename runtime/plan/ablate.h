/* A plan changed for one session: ops that tell what fusion erases, and blocks skipped or
 * swapped. */
#ifndef LIBRESNET_RUNTIME_PLAN_ABLATE_H
#define LIBRESNET_RUNTIME_PLAN_ABLATE_H

#include "runtime/plan/plan.h"

/* What becomes of one block. */
typedef struct block_edit {
  resnet_skip mode;
  uint32_t other; /* SWAP: the block whose place it takes */
} block_edit;

/* What an op's output is told as, one bit for each resnet_point, and one more. */
enum {
  TELLS_OUTPUT = 1 << RESNET_POINT_OUTPUT,
  TELLS_RESPONSE = 1 << RESNET_POINT_RESPONSE,
  TELLS_SHORTCUT = 1 << RESNET_POINT_SHORTCUT,
  TELLS_CLASS_MAP = 1 << RESNET_POINT_CLASS_MAP,
  TELLS_INPUT = 1 << 4 /* its input[1] is told as a SHORTCUT before it runs */
};

/* What an op stands for. */
typedef struct op_role {
  uint32_t op; /* of the model's plan */
  unsigned tells;
} op_role;

/* Ops borrow their weights, packed or not, and their words from the model's plan, which
 * must live longer. */
typedef struct edited_plan {
  plan plan; /* without blocks and totals; its arena is its own */
  op_role *roles;
} edited_plan;

/* Change the plan `from` as `edits` say, one for each of its blocks. With `observed`,
 * every ReLU and addition becomes an op of its own. Refuses what shapes do not allow. On
 * failure *out is all zero. */
resnet_status plan_edit(edited_plan *out, const plan *from, const block_edit *edits, bool observed,
                        resnet_error *error);

void edited_plan_release(edited_plan *edited);

#endif
