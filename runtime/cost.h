/* The fixed cost model: which algorithm computes a convolution. It knows shapes only - no timing, no threads, no batch,
 * no load - so that a net's answers never depend on them. */
#ifndef LIBRESNET_RUNTIME_COST_H
#define LIBRESNET_RUNTIME_COST_H

#include "runtime/plan.h"

/* Predicted cost of one picture, in multiply-accumulates of a direct convolution at full speed. */
double cost_direct(const plan_op *conv);
double cost_winograd(const plan_op *conv);

/* True where F(4x4, 3x3) can compute the convolution at all: 3x3, stride 1, no dilation, one group. */
bool winograd_applies(const plan_op *conv);

#endif
