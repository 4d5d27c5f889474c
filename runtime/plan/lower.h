/* Lowering: graph to plan. */
#ifndef LIBRESNET_RUNTIME_PLAN_LOWER_H
#define LIBRESNET_RUNTIME_PLAN_LOWER_H

#include "runtime/plan/plan.h"

/* Return whether such a node is a convolution or a fully connected layer, whose algorithm
 * is selected (cost_model.h). */
bool plan_selects_algorithm(graph_op op);

/* Lower `g` to *out. Takes over its weights and names; the caller still releases `g`,
 * which is left without them. On failure *out is all zero. */
resnet_status plan_lower(plan *out, memory *m, graph *g, const plan_options *options,
                         resnet_error *error);

#endif
