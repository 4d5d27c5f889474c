#include "runtime/system/thread_pool.h"

#include <unistd.h>

#if defined(SYSTEM_FOREIGN_POOL)
#include <pthread.h>

#include "runtime/system/clock.h"
#endif

pthreadpool_t system_pool_workers(const system_pool *pool) {
  return pool->workers && getpid() == pool->owner ? pool->workers : NULL;
}

#if defined(SYSTEM_FOREIGN_POOL)
/* ns between two runs; waking threads takes a fraction of it */
enum { LONG_PAUSE = 200000 };

static void *pass(void *gate) {
  (void)pthread_mutex_lock(gate);
  (void)pthread_mutex_unlock(gate);
  return NULL;
}

/* Return true if `count` threads could be alive at the same time: start and end them.
 * A foreign pthreadpool_create waits forever for a thread that does not start. Another
 * program may still take the last thread in between. */
static bool can_start_threads(uint32_t count) {
  pthread_t started[SYSTEM_MAX_THREADS];
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  uint32_t n = 0;
  if (count > SYSTEM_MAX_THREADS || pthread_mutex_lock(&gate) != 0) return false;
  while (n < count && pthread_create(&started[n], NULL, pass, &gate) == 0) n++;
  (void)pthread_mutex_unlock(&gate);
  for (uint32_t i = 0; i < n; i++) (void)pthread_join(started[i], NULL);
  return n == count;
}

static void do_nothing(void *context, size_t index) {
  (void)context;
  (void)index;
}

/* Send the workers to sleep. Only a task can carry the flag YIELD_WORKERS. */
static void rest(pthreadpool_t workers) {
  if (workers)
    pthreadpool_parallelize_1d(workers, do_nothing, NULL, pthreadpool_get_threads_count(workers),
                               PTHREADPOOL_FLAG_YIELD_WORKERS);
}

static pthreadpool_t create_workers(uint32_t threads) {
  pthreadpool_t workers = can_start_threads(threads - 1) ? pthreadpool_create(threads) : NULL;
  rest(workers);
  return workers;
}

/* Predict from the previous gap. A caller that returned within LONG_PAUSE will likely do
 * so again: keep the workers spinning. Otherwise let them sleep after the run. */
void system_pool_begin_run(system_pool *pool) {
  pool->paused = system_now_ns() - pool->run_end > LONG_PAUSE;
}

void system_pool_end_run(system_pool *pool) {
  if (pool->paused) rest(system_pool_workers(pool));
  pool->run_end = system_now_ns();
}
#else
/* Our own pthreadpool_create fails if a thread does not start. */
static pthreadpool_t create_workers(uint32_t threads) { return pthreadpool_create(threads); }

/* Our own workers sleep by themselves after 50 us (SPIN_NS in pthreadpool.c). */
void system_pool_begin_run(system_pool *pool) { (void)pool; }

void system_pool_end_run(system_pool *pool) { (void)pool; }
#endif

bool system_pool_start(system_pool *pool, uint32_t threads) {
  *pool = (system_pool){.threads = threads, .owner = getpid()};
  if (threads == 1) return true;
  pool->workers = create_workers(threads);
  return pool->workers != NULL;
}

void system_pool_stop(system_pool *pool) {
  pthreadpool_t workers = system_pool_workers(pool);
  if (workers) pthreadpool_destroy(workers);
  *pool = (system_pool){0};
}
