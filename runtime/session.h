/* The session behind the public handle: all that changes while a model runs. */
#ifndef LIBRESNET_RUNTIME_SESSION_H
#define LIBRESNET_RUNTIME_SESSION_H

#include "runtime/image.h"
#include "runtime/kernels/kernel.h"
#include "runtime/model.h"

struct resnet_session {
  const resnet_model *model;
  memory *memory;     /* the model's */
  pthreadpool_t pool; /* NULL for one thread */
  uint32_t threads;
  size_t batch;        /* pictures that the buffers take */
  size_t shaped_batch; /* pictures that the operators are set for now */
  uint64_t run_end;    /* when the last run did, in nanoseconds; 0: none has */
  const vector_functions *vector;
  float *arena;     /* batch * plan.arena_floats, and what XNNPACK reads past the end */
  op_state *states; /* by op */
  void *workspace;
  size_t workspace_size;
  float *scores; /* (batch,classes), for resnet_classify */
  image_scratch scratch;
  resnet_observer observer;
  void *observer_user;
};

/* Where op `index` writes: (batch,h,w,c). */
float *session_output(const resnet_session *session, uint32_t index);

/* Run the plan on the `batch` pictures, at most session->batch, that lie in op 0's output. */
resnet_status session_run(resnet_session *session, size_t batch, resnet_error *error);

/* CPUs that the calling thread may use, by its affinity mask and its control groups' limits; at least 1 (cpus.c). */
uint32_t usable_cpus(void);

#endif
