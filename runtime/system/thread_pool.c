#include "runtime/system/thread_pool.h"

#include <pthread.h>
#include <stdbool.h>

static void *pass(void *gate) {
  (void)pthread_mutex_lock(gate);
  (void)pthread_mutex_unlock(gate);
  return NULL;
}

/* Return true if `count` threads could be alive at the same time: start and end them.
 * pthreadpool_create waits forever for a thread that does not start. Another program may
 * still take the last thread in between. */
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
void system_pool_rest(pthreadpool_t pool, uint32_t threads) {
  if (pool)
    pthreadpool_parallelize_1d(pool, do_nothing, NULL, threads, PTHREADPOOL_FLAG_YIELD_WORKERS);
}

pthreadpool_t system_pool_start(uint32_t threads) {
  if (!can_start_threads(threads - 1)) return NULL;
  pthreadpool_t pool = pthreadpool_create(threads);
  system_pool_rest(pool, threads);
  return pool;
}
