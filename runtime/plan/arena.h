/* The arena: one buffer that holds the outputs of all ops. */
#ifndef LIBRESNET_RUNTIME_PLAN_ARENA_H
#define LIBRESNET_RUNTIME_PLAN_ARENA_H

#include "runtime/plan/plan.h"

/* Set every op's arena_offset. Outputs that are not alive at the same time share memory;
 * a kernel that works in place writes over its input. */
resnet_status plan_assign_arena(plan *p, resnet_error *error);

#endif
