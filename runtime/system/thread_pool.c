#include "runtime/system/thread_pool.h"

#include <unistd.h>

#if defined(SYSTEM_FOREIGN_POOL)
#include <pthread.h>
#endif

pthreadpool_t system_pool_workers(const system_pool *pool) {
  return pool->workers && getpid() == pool->owner ? pool->workers : NULL;
}

#if defined(SYSTEM_FOREIGN_POOL)
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

/* Only a task can carry the flag YIELD_WORKERS. */
void system_pool_rest(const system_pool *pool) {
  pthreadpool_t workers = system_pool_workers(pool);
  if (workers)
    pthreadpool_parallelize_1d(workers, do_nothing, NULL, pool->threads,
                               PTHREADPOOL_FLAG_YIELD_WORKERS);
}
#else
/* Our own pthreadpool_create fails if a thread does not start. */
static bool can_start_threads(uint32_t count) { return count < SYSTEM_MAX_THREADS; }

/* Our own workers sleep by themselves after 50 us (SPIN_NS in pthreadpool.c). */
void system_pool_rest(const system_pool *pool) { (void)pool; }
#endif

bool system_pool_start(system_pool *pool, uint32_t threads) {
  *pool = (system_pool){.threads = threads, .owner = getpid()};
  if (threads == 1) return true;
  if (can_start_threads(threads - 1)) pool->workers = pthreadpool_create(threads);
  system_pool_rest(pool);
  return pool->workers != NULL;
}

void system_pool_stop(system_pool *pool) {
  pthreadpool_t workers = system_pool_workers(pool);
  if (workers) pthreadpool_destroy(workers);
  *pool = (system_pool){0};
}
