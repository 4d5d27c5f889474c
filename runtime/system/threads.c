#include "runtime/system/threads.h"

#include <pthread.h>

enum { MAX_THREADS = 256 };

static void *pass(void *gate) {
  (void)pthread_mutex_lock(gate);
  (void)pthread_mutex_unlock(gate);
  return NULL;
}

bool system_can_start_threads(uint32_t count) {
  pthread_t started[MAX_THREADS];
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  uint32_t n = 0;
  if (count > MAX_THREADS || pthread_mutex_lock(&gate) != 0) return false;
  while (n < count && pthread_create(&started[n], NULL, pass, &gate) == 0) n++;
  (void)pthread_mutex_unlock(&gate);
  for (uint32_t i = 0; i < n; i++) (void)pthread_join(started[i], NULL);
  return n == count;
}
