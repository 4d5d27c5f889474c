/* The threads behind pthreadpool's interface, which XNNPACK takes, in place of
 * pthreadpool's own src/pthreads.c. Its other sources split loops into ranges of tasks,
 * and let each thread take tasks from the ranges of others.
 *
 * A call of pthreadpool_parallelize_* is a region: an op, or a part of one. The calling
 * thread opens the region, takes tasks until none is left, closes it, and waits for the
 * workers that have registered and not yet left. A worker registers only in an open
 * region. So the caller never waits for a worker that the system did not run in time, and
 * does its tasks itself.
 *
 * All that is decided here changes who computes a task, never its result. */
#if defined(__linux__)
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE /* sched_getcpu */
#endif
#include <pthread.h>
#include <pthreadpool/threadpool-object.h>
#include <pthreadpool/threadpool-utils.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/system/clock.h"
#include "runtime/system/wait.h"

/* The state of a pool is one number: the region's generation, whether the region is open,
 * how many workers have registered in it, and how many of these are active. Equal
 * generations of different regions do no harm: a worker reads what a region does only
 * after it has registered. */
#define ONE_ACTIVE 1u
#define ACTIVE_MASK 0x3ffu
#define OPEN 0x400u
#define STOP 0x800u
#define ONE_REGISTERED 0x1000u
#define REGISTERED_MASK 0x3ff000u
#define ONE_GENERATION 0x400000u
#define GENERATION_MASK 0xffc00000u

enum {
  CACHE_LINE = 64,
  MAX_WORKERS = 1023,      /* that the state can count */
  SPIN_NS = 50000,         /* before a thread sleeps; waking it takes about as long */
  PAUSES_PER_LOOK = 8,     /* between two looks at the clock and the CPU */
  MAX_SKIPPED_WAKES = 64,  /* regions that begin without waking sleeping workers */
  MOVE_PAUSE_NS = 2000000, /* between two moves of a worker to another CPU */
  UNKNOWN_CPU = UINT16_MAX
};

typedef struct worker {
  pthread_t thread;
  struct control *control;
  struct thread_info *info;
} worker;

/* Is in front of its struct pthreadpool, in one allocation. */
typedef struct control {
  _Alignas(CACHE_LINE) system_word state;
  _Alignas(CACHE_LINE) _Atomic uint32_t sleepers; /* workers that (soon) sleep */
  _Atomic uint16_t caller_cpu;                    /* where the last region was opened */
  _Atomic bool workers_rest;                      /* workers do not spin */
  _Alignas(CACHE_LINE) system_word caller_sleeps;
  /* The rest belongs to the caller whose region is open. */
  _Alignas(CACHE_LINE) atomic_flag busy;
  uint32_t skipped_wakes; /* regions with sleeping workers since the last wake */
  uint32_t wakes_to_skip; /* 0: wake in each region */
  uint32_t worker_count;
  worker *workers;
  _Atomic uint16_t *worker_cpus; /* where each last registered */
} control;

static size_t round_to_line(size_t bytes) {
  return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static control *control_of(struct pthreadpool *pool) {
  return (control *)(void *)((char *)pool - round_to_line(sizeof(control)));
}

static uint16_t current_cpu(void) {
#if defined(__linux__)
  const int cpu = sched_getcpu();
  return cpu >= 0 && cpu < UNKNOWN_CPU ? (uint16_t)cpu : UNKNOWN_CPU;
#else
  return UNKNOWN_CPU;
#endif
}

/* Store a number that seldom changes: a store takes the cache line from other CPUs. */
static void remember_cpu(_Atomic uint16_t *kept, uint16_t cpu) {
  if (atomic_load_explicit(kept, memory_order_relaxed) != cpu)
    atomic_store_explicit(kept, cpu, memory_order_relaxed);
}

/* ---- workers ---- */

/* Return whether the state holds a region that a worker has not seen, or the end. */
static bool is_news(uint32_t state, uint32_t seen) {
  return (state & STOP) || ((state & OPEN) && (state & GENERATION_MASK) != seen);
}

/* Spin for news. Stop when it took too long, and at once while the caller waits for the
 * CPU that this worker spins on. */
static uint32_t spin_for_news(control *c, uint32_t seen) {
  uint32_t state = atomic_load(&c->state.value);
  const uint64_t end = system_now_ns() + SPIN_NS;
  while (!is_news(state, seen) && !atomic_load_explicit(&c->workers_rest, memory_order_relaxed) &&
         current_cpu() != atomic_load_explicit(&c->caller_cpu, memory_order_relaxed) &&
         system_now_ns() < end) {
    for (int i = 0; i < PAUSES_PER_LOOK && !is_news(state, seen); i++) {
      pthreadpool_yield();
      state = atomic_load_explicit(&c->state.value, memory_order_relaxed);
    }
  }
  return state;
}

static uint32_t wait_for_news(control *c, uint32_t seen) {
  uint32_t state = spin_for_news(c, seen);
  if (is_news(state, seen)) return state;
  /* The caller changes the state, then reads `sleepers`: one sees the other's change. */
  atomic_fetch_add(&c->sleepers, 1);
  while (!is_news(state = atomic_load(&c->state.value), seen)) system_word_wait(&c->state, state);
  atomic_fetch_sub(&c->sleepers, 1);
  return state;
}

/* Return whether a task is left. The answer may be wrong if the region ends meanwhile.
 * That does no harm: it only decides whether a worker tries to register. */
static bool has_tasks(struct pthreadpool *pool) {
  for (size_t i = 0; i < pool->threads_count.value; i++) {
    /* below 0 after threads have found the range empty */
    const size_t left = pthreadpool_load_relaxed_size_t(&pool->threads[i].range_length);
    if (left > 0 && left <= PTRDIFF_MAX) return true;
  }
  return false;
}

/* Return true if the worker now belongs to the open region. */
static bool join_region(control *c, uint32_t *state) {
  *state = atomic_load_explicit(&c->state.value, memory_order_relaxed);
  while (*state & OPEN)
    if (atomic_compare_exchange_weak_explicit(&c->state.value, state,
                                              *state + ONE_REGISTERED + ONE_ACTIVE,
                                              memory_order_acquire, memory_order_relaxed))
      return true;
  return false;
}

/* The last worker to leave a closed region wakes the caller. */
static void leave_region(control *c) {
  const uint32_t before = atomic_fetch_sub(&c->state.value, ONE_ACTIVE);
  if ((before & ACTIVE_MASK) == ONE_ACTIVE && !(before & OPEN) &&
      atomic_load(&c->caller_sleeps.value) && atomic_exchange(&c->caller_sleeps.value, 0))
    system_word_wake(&c->caller_sleeps, 1);
}

/* Take tasks until none is left. */
static void take_tasks(struct pthreadpool *pool, struct thread_info *info) {
  const thread_function_t function =
      (thread_function_t)pthreadpool_load_relaxed_void_p(&pool->thread_function);
  const uint32_t flags = pthreadpool_load_relaxed_uint32_t(&pool->flags);
  const struct fpu_state before = get_fpu_state();
  if (flags & PTHREADPOOL_FLAG_DISABLE_DENORMALS) disable_fpu_denormals();
  function(pool, info);
  if (flags & PTHREADPOOL_FLAG_DISABLE_DENORMALS) set_fpu_state(before);
}

/* Move this thread to a CPU that the caller does not run on, then allow it all CPUs
 * again. Linux leaves both on one CPU, although others are idle, for as long as they take
 * turns: in a virtual machine it takes idle CPUs for busy ones. */
static void leave_cpu(uint16_t cpu) {
#if defined(__linux__)
  cpu_set_t allowed, others;
  if (cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  others = allowed;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0)
    (void)sched_setaffinity(0, sizeof allowed, &allowed);
#else
  (void)cpu;
#endif
}

/* Return true if this thread is on another CPU than the caller: on the same one it could
 * only take the caller's time. Then move away, but not too often. */
static bool is_apart(const control *c, uint64_t *next_move) {
  const uint16_t cpu = atomic_load_explicit(&c->caller_cpu, memory_order_relaxed);
  if (cpu == UNKNOWN_CPU || current_cpu() != cpu) return true;
  const uint64_t now = system_now_ns();
  if (now < *next_move) return false;
  *next_move = now + MOVE_PAUSE_NS;
  leave_cpu(cpu);
  return current_cpu() != cpu;
}

static void *run_worker(void *user) {
  const worker *w = user;
  control *c = w->control;
  _Atomic uint16_t *cpu = &c->worker_cpus[w - c->workers];
  uint64_t next_move = 0;
  uint32_t seen = 0;
  (void)is_apart(c, &next_move);
  leave_region(c);
  for (;;) {
    uint32_t state = wait_for_news(c, seen);
    if (state & STOP) return NULL;
    seen = state & GENERATION_MASK;
    if (!is_apart(c, &next_move) || !has_tasks(w->info->threadpool) || !join_region(c, &state))
      continue;
    seen = state & GENERATION_MASK;
    remember_cpu(cpu, current_cpu());
    take_tasks(w->info->threadpool, w->info);
    leave_region(c);
  }
}

/* ---- the caller ---- */

static bool worker_shares_cpu(const control *c) {
  const uint16_t cpu = current_cpu();
  for (uint32_t i = 0; i < c->worker_count && cpu != UNKNOWN_CPU; i++)
    if (atomic_load_explicit(&c->worker_cpus[i], memory_order_relaxed) == cpu) return true;
  return false;
}

static uint32_t active(control *c, memory_order order) {
  return atomic_load_explicit(&c->state.value, order) & ACTIVE_MASK;
}

/* Wait until the workers of the closed region have left. Spin first, unless one of them
 * may wait for the CPU that this thread spins on. */
static void wait_for_workers(control *c) {
  if (active(c, memory_order_acquire) == 0) return;
  if (!worker_shares_cpu(c)) {
    const uint64_t end = system_now_ns() + SPIN_NS;
    do {
      for (int i = 0; i < PAUSES_PER_LOOK; i++) {
        if (active(c, memory_order_acquire) == 0) return;
        pthreadpool_yield();
      }
    } while (system_now_ns() < end);
  }
  for (;;) {
    /* A worker leaves, then reads `caller_sleeps`: one sees the other's change. */
    atomic_store(&c->caller_sleeps.value, 1);
    if (active(c, memory_order_seq_cst) == 0) break;
    system_word_wait(&c->caller_sleeps, 1);
  }
  atomic_store(&c->caller_sleeps.value, 0);
}

static void open_region(control *c, bool workers_rest) {
  const uint32_t state = atomic_load_explicit(&c->state.value, memory_order_relaxed);
  if (atomic_load_explicit(&c->workers_rest, memory_order_relaxed) != workers_rest)
    atomic_store_explicit(&c->workers_rest, workers_rest, memory_order_relaxed);
  remember_cpu(&c->caller_cpu, current_cpu());
  atomic_store(&c->state.value, (state & GENERATION_MASK) + ONE_GENERATION + OPEN);
}

/* Wake sleeping workers for the open region of `tasks` tasks. A worker comes too late if
 * the region is short or its CPU is busy. While none comes in time, wake ever more
 * seldom; once one has, wake in each region again. */
static void wake_workers(control *c, size_t tasks) {
  const uint32_t sleepers = atomic_load(&c->sleepers);
  if (sleepers == 0 || c->skipped_wakes++ < c->wakes_to_skip) return;
  c->skipped_wakes = 0;
  if (c->wakes_to_skip < MAX_SKIPPED_WAKES) c->wakes_to_skip = 2 * c->wakes_to_skip + 1;
  system_word_wake(&c->state, tasks - 1 < sleepers ? (uint32_t)(tasks - 1) : sleepers);
}

static void close_region(control *c) {
  if (atomic_fetch_and(&c->state.value, ~OPEN) & REGISTERED_MASK) c->wakes_to_skip = 0;
  wait_for_workers(c);
}

typedef struct region {
  thread_function_t function;
  void *task, *context;
  const void *params;
  size_t params_size, tasks;
  uint32_t flags;
} region;

/* Give each thread of the pool an equal range of the tasks. */
static void set_region(struct pthreadpool *pool, const region *r) {
  pthreadpool_store_relaxed_void_p(&pool->thread_function, (void *)r->function);
  pthreadpool_store_relaxed_void_p(&pool->task, r->task);
  pthreadpool_store_relaxed_void_p(&pool->argument, r->context);
  pthreadpool_store_relaxed_uint32_t(&pool->flags, r->flags);
  if (r->params_size > 0) memcpy(&pool->params, r->params, r->params_size);
  const struct fxdiv_result_size_t share = fxdiv_divide_size_t(r->tasks, pool->threads_count);
  size_t start = 0;
  for (size_t i = 0; i < pool->threads_count.value; i++) {
    struct thread_info *info = &pool->threads[i];
    const size_t length = share.quotient + (i < share.remainder);
    pthreadpool_store_relaxed_size_t(&info->range_start, start);
    pthreadpool_store_relaxed_size_t(&info->range_end, start + length);
    pthreadpool_store_relaxed_size_t(&info->range_length, length);
    start += length;
  }
}

static void set_threads(struct pthreadpool *pool, size_t count) {
  pool->threads_count = fxdiv_init_size_t(count);
  for (size_t i = 0; i < count; i++) {
    pool->threads[i].thread_number = i;
    pool->threads[i].threadpool = pool;
  }
}

/* Compute a region without the workers. */
static void run_alone(const region *r) {
  _Alignas(CACHE_LINE) char memory[sizeof(struct pthreadpool) + sizeof(struct thread_info)] = {0};
  struct pthreadpool *pool = (void *)memory;
  set_threads(pool, 1);
  set_region(pool, r);
  take_tasks(pool, &pool->threads[0]);
}

static void run_together(struct pthreadpool *pool, control *c, const region *r) {
  set_region(pool, r);
  open_region(c, r->flags & PTHREADPOOL_FLAG_YIELD_WORKERS);
  wake_workers(c, r->tasks);
  take_tasks(pool, &pool->threads[0]);
  close_region(c);
}

/* The workers serve one region at a time. While they serve one, another caller, or a task
 * that calls, goes on by itself. */
void pthreadpool_parallelize(struct pthreadpool *pool, thread_function_t function,
                             const void *params, size_t params_size, void *task, void *context,
                             size_t tasks, uint32_t flags) {
  const region r = {function, task, context, params, params_size, tasks, flags};
  control *c = control_of(pool);
  if (atomic_flag_test_and_set_explicit(&c->busy, memory_order_acquire)) {
    run_alone(&r);
    return;
  }
  run_together(pool, c, &r);
  atomic_flag_clear_explicit(&c->busy, memory_order_release);
}

/* ---- a pool's life ---- */

/* Return a pool without threads, one allocation: control, pool, workers, their CPUs. */
static struct pthreadpool *allocate_pool(size_t threads) {
  const size_t pool_at = round_to_line(sizeof(control));
  const size_t workers_at =
      pool_at + sizeof(struct pthreadpool) + threads * sizeof(struct thread_info);
  const size_t cpus_at = workers_at + round_to_line(threads * sizeof(worker));
  const size_t bytes = cpus_at + threads * sizeof(_Atomic uint16_t);
  void *memory = NULL;
  if (posix_memalign(&memory, CACHE_LINE, bytes) != 0) return NULL;
  memset(memory, 0, bytes);
  char *start = memory;
  control *c = memory;
  struct pthreadpool *pool = (void *)(start + pool_at);
  c->workers = (void *)(start + workers_at);
  c->worker_cpus = (void *)(start + cpus_at);
  system_word_init(&c->state);
  system_word_init(&c->caller_sleeps);
  atomic_flag_clear(&c->busy);
  for (size_t i = 0; i < threads; i++) atomic_init(&c->worker_cpus[i], UNKNOWN_CPU);
  set_threads(pool, threads);
  return pool;
}

/* Start the workers as if all were active in a region, and wait until they have left it:
 * a starting thread makes system calls, which a later run should not. */
static bool start_workers(struct pthreadpool *pool) {
  control *c = control_of(pool);
  atomic_store(&c->caller_cpu, current_cpu());
  atomic_store(&c->state.value, (uint32_t)(pool->threads_count.value - 1) * ONE_ACTIVE);
  while (c->worker_count + 1 < pool->threads_count.value) {
    worker *w = &c->workers[c->worker_count];
    w->control = c;
    w->info = &pool->threads[c->worker_count + 1];
    if (pthread_create(&w->thread, NULL, run_worker, w) != 0) return false;
    c->worker_count++;
  }
  wait_for_workers(c);
  return true;
}

void pthreadpool_destroy(struct pthreadpool *pool) {
  if (!pool) return;
  control *c = control_of(pool);
  atomic_fetch_or(&c->state.value, STOP);
  system_word_wake(&c->state, c->worker_count);
  for (uint32_t i = 0; i < c->worker_count; i++) (void)pthread_join(c->workers[i].thread, NULL);
  system_word_destroy(&c->caller_sleeps);
  system_word_destroy(&c->state);
  free(c);
}

static size_t online_cpus(void) {
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (size_t)online : 1;
}

/* Return NULL also if the system does not start a thread. */
struct pthreadpool *pthreadpool_create(size_t threads) {
  if (threads == 0) threads = online_cpus();
  if (threads > MAX_WORKERS + 1) return NULL;
  struct pthreadpool *pool = allocate_pool(threads);
  if (!pool || start_workers(pool)) return pool;
  pthreadpool_destroy(pool);
  return NULL;
}
