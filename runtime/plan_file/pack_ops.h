/* Packing the weights of all ops of a plan, on two threads if these are many. */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_PACK_OPS_H
#define LIBRESNET_RUNTIME_PLAN_FILE_PACK_OPS_H

#include "runtime/plan/plan.h"

/* Let each op's kernel pack its weights. The threads take ops from one list, so the
 * caller never waits for more than one op of the other thread; the packed bits do not
 * depend on it. With RESNET_MEMORY_SMALL one thread packs: two would hold the unpacked
 * weights of two ops beside their packed ones. */
resnet_status plan_file_pack_ops(plan *p, resnet_memory use, resnet_error *error);

#endif
