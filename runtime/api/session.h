/* The session behind the public handle: all that changes while a model runs. */
#ifndef LIBRESNET_RUNTIME_API_SESSION_H
#define LIBRESNET_RUNTIME_API_SESSION_H

#include "runtime/api/model.h"
#include "runtime/image/prepare.h"
#include "runtime/kernels/kernel.h"
#include "runtime/plan/ablate.h"

/* What a session runs, and the buffers and operators for it. Lies within its session:
 * `plan` may point into it. */
typedef struct program {
  const plan *plan;    /* the model's, or the edited one */
  plan_ablated edited; /* all zero where the plan is the model's */
  /* batch * plan->arena_floats, and what kernels read past the end */
  float *arena;
  op_state *states; /* by op */
  void *workspace;
  size_t workspace_size;
  size_t shaped_batch; /* pictures that the operators are set for now; 0: none */
} program;

struct resnet_session {
  const resnet_model *model;
  memory *memory;     /* the model's */
  pthreadpool_t pool; /* NULL for one thread */
  uint32_t threads;
  size_t batch;     /* pictures that the buffers take */
  uint64_t run_end; /* when the last run did, in nanoseconds; 0: none has */
  const vector_functions *vector;
  program program;
  float *scores; /* (batch,classes), for resnet_classify */
  image_scratch scratch;
  resnet_observe observe;
  resnet_observer observer;
  void *observer_user;
  /* nanoseconds that ops took since the observer was told anything */
  uint64_t untold;
  plan_block_ablation *edits; /* by block of the model's plan */
  bool apart;                 /* the program has the points of RESNET_OBSERVE_RESPONSES */
};

/* Where op `index` of the session's plan writes: (batch,h,w,c). */
float *session_output(const resnet_session *session, uint32_t index);

/* Op `index` of the session's plan, about to run on `batch` pictures or to be made
 * ready. */
kernel_call session_call(const resnet_session *session, uint32_t index, size_t batch);

/* Make session->program, all zero before, as session->edits and session->apart say. On
 * failure it is all zero. */
resnet_status program_open(resnet_session *session, resnet_error *error);
void program_close(resnet_session *session);

/* Set the operators for `batch` pictures. Allocates only the first time: XNNPACK's tables
 * depend on a picture's size.
 */
resnet_status program_shape(resnet_session *session, size_t batch, resnet_error *error);

/* Nanoseconds of a clock that only goes forward. */
uint64_t session_now(void);

/* Run one op, and tell the observer, if there is one (lens.c). */
void observed_run(resnet_session *session, uint32_t index, const kernel_call *call);

/* Tell the observer, if there is one, what lies in op 0's output. */
void observed_input(resnet_session *session, size_t batch);

/* Run the plan on the `batch` pictures, at most session->batch, that lie in op 0's
 * output. */
resnet_status session_run(resnet_session *session, size_t batch, resnet_error *error);

/* CPUs that the calling thread may use, by its affinity mask and its control groups'
 * limits; at least 1 (cpus.c). */
uint32_t usable_cpus(void);

#endif
