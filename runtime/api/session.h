/* The session behind the public handle: everything that changes while a model runs. */
#ifndef LIBRESNET_RUNTIME_API_SESSION_H
#define LIBRESNET_RUNTIME_API_SESSION_H

#include "runtime/api/executor.h"
#include "runtime/api/model.h"
#include "runtime/image/prepare.h"
#include "runtime/system/caches.h"
#include "runtime/system/thread_pool.h"

struct resnet_session {
  const resnet_model *model;
  memory *memory;    /* the model's */
  uint64_t refusals; /* the memory's count before this session asked for any */
  system_pool pool;
  pthreadpool_t workers; /* for the run in progress; NULL: the caller's thread alone */
  size_t batch;          /* samples that the buffers hold */
  const simd_set *simd;
  system_caches caches;
  executor executor;
  float *probabilities; /* (batch,classes), for resnet_classify */
  image_scratch scratch;
  resnet_observe observe;
  resnet_observer observer;
  void *observer_user;
  uint64_t pending_ns;            /* time of ops since the observer was last called */
  plan_block_ablation *ablations; /* by block of the model's plan */
  bool unfused; /* the executor's plan has the points of RESNET_OBSERVE_RESPONSES */
};

/* Turn RESNET_ERROR_MEMORY into RESNET_ERROR_LIMIT if the budget has refused memory since
 * session->refusals was read; return other statuses as they are. */
resnet_status session_explain_budget(const resnet_session *session, resnet_status status,
                                     resnet_error *error);

#endif
