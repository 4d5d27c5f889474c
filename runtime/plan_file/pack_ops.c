#include "runtime/plan_file/pack_ops.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "loader/base/sort.h"
#include "runtime/kernels/table.h"
#include "runtime/system/cpus.h"

/* Weights that pay for a second thread: starting one takes as long as packing 100 kB. */
static const uint64_t min_shared_bytes = 8 << 20;

typedef struct packing {
  plan_op **order;
  uint32_t count;
  memory *memory;
  atomic_uint next; /* first op that no thread has taken */
  atomic_bool failed;
  resnet_status status; /* the second thread's */
  resnet_error error;
} packing;

static int by_weights(const void *a, const void *b) {
  const plan_op *x = *(plan_op *const *)a, *y = *(plan_op *const *)b;
  return x->weight_count < y->weight_count ? 1 : x->weight_count > y->weight_count ? -1 : 0;
}

/* Pack ops until none is left or one has failed. */
static resnet_status pack_some(packing *w, resnet_error *error) {
  uint32_t i;
  while (!atomic_load(&w->failed) && (i = atomic_fetch_add(&w->next, 1)) < w->count) {
    const kernel *k = kernel_table[w->order[i]->kernel];
    const resnet_status status = k->pack ? k->pack(w->order[i], w->memory, error) : RESNET_OK;
    if (status == RESNET_OK) continue;
    atomic_store(&w->failed, true);
    return status;
  }
  return RESNET_OK;
}

static void *pack_beside(void *context) {
  packing *w = context;
  w->status = pack_some(w, &w->error);
  return NULL;
}

/* Start the second thread, which takes no signals. */
static bool start(packing *w, pthread_t *thread) {
  sigset_t all, before;
  (void)sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
  const bool started = pthread_create(thread, NULL, pack_beside, w) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}

static resnet_status pack_shared(packing *w, resnet_error *error) {
  pthread_t thread;
  const bool started = start(w, &thread);
  const resnet_status status = pack_some(w, error);
  if (started) (void)pthread_join(thread, NULL);
  if (status != RESNET_OK || w->status == RESNET_OK) return status;
  if (error) *error = w->error;
  return w->status;
}

/* Return true if the budget holds all packed weights twice, beside what is there. Then no
 * allocation can fail for what the other thread holds meanwhile: whether a model opens
 * must not depend on timing. */
static bool has_room(const plan *p) {
  const memory *m = p->memory;
  const uint64_t used = atomic_load(&m->used);
  uint64_t left = m->budget > used ? (m->budget - used) / 2 : 0;
  if (!m->budget) return true;
  for (uint32_t i = 0; i < p->op_count; i++) {
    const uint64_t bytes = kernel_packed_size(&p->ops[i]);
    if (bytes > left) return false;
    left -= bytes;
  }
  return true;
}

/* A caller's own allocator is called by the caller's thread alone. */
static bool is_shared(const plan *p) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < p->op_count; i++) bytes += p->ops[i].weight_count * sizeof(float);
  return bytes >= min_shared_bytes && !p->memory->hooks.allocate && cpu_allowed() > 1 &&
         has_room(p);
}

/* The largest weights come first, while little else is packed: an op's weights are in
 * memory twice while they are packed. */
resnet_status plan_file_pack_ops(plan *p, resnet_memory use, resnet_error *error) {
  packing w = {.count = p->op_count, .memory = p->memory, .status = RESNET_OK};
  w.order = mem_allocate(p->memory, p->op_count, sizeof(plan_op *));
  if (!w.order) return err_no_memory(error, "the plan");
  for (uint32_t i = 0; i < p->op_count; i++) w.order[i] = &p->ops[i];
  sort_items(w.order, p->op_count, sizeof(plan_op *), by_weights);
  const bool shared = use != RESNET_MEMORY_SMALL && is_shared(p);
  const resnet_status status = shared ? pack_shared(&w, error) : pack_some(&w, error);
  mem_release(p->memory, w.order);
  return status;
}
