/* The executor of a session: its plan, and the buffers and operators to run it. */
#ifndef LIBRESNET_RUNTIME_API_EXECUTOR_H
#define LIBRESNET_RUNTIME_API_EXECUTOR_H

#include "runtime/kernels/kernel.h"
#include "runtime/plan/ablate.h"

/* Member of its session. It cannot be copied while in use: `plan` may point into it. */
typedef struct executor {
  const plan *plan;     /* the model's, or ablated.plan */
  plan_ablated ablated; /* all zero where the plan is the model's */
  float *arena;         /* batch * plan->arena_floats, and slack that kernels read */
  kernel_state *states; /* by op */
  void *workspace;
  size_t workspace_size; /* bytes */
  uint64_t reserved;     /* bytes counted in the budget for the operators' own memory */
  size_t shaped_batch;   /* samples that the operators are set up for; 0: none */
  bool verified;         /* all packed weights of the plan were verified */
} executor;

/* Make session->executor, which is all zero, from session->ablations and
 * session->unfused. On failure it is all zero again. */
resnet_status executor_open(resnet_session *session, resnet_error *error);

void executor_close(resnet_session *session);

/* Set up the operators for `batch` samples. Allocates only the first time, since
 * XNNPACK's tables depend on the size of a sample alone. */
resnet_status executor_shape(resnet_session *session, size_t batch, resnet_error *error);

/* Find the session's threads; call it before the first executor_call of a run. The
 * process may have forked since the previous run. */
void executor_begin(resnet_session *session);

/* Run the plan on the `batch` samples in op 0's output, at most session->batch. The first
 * run verifies the weights that are in a plan file, and fails if they are damaged. */
resnet_status executor_run(resnet_session *session, size_t batch, resnet_error *error);

/* Return the output of op `index` of the session's plan: (batch,h,w,c). */
float *executor_output(const resnet_session *session, uint32_t index);

/* Return the call that runs, or sets up, op `index` of the session's plan for `batch`
 * samples. */
kernel_call executor_call(const resnet_session *session, uint32_t index, size_t batch);

#endif
