/* The threads of a session: a pthreadpool, and the process that started it. */
#ifndef LIBRESNET_RUNTIME_SYSTEM_THREAD_POOL_H
#define LIBRESNET_RUNTIME_SYSTEM_THREAD_POOL_H

#include <pthreadpool.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SYSTEM_MAX_THREADS = 256 };

/* All zero: the calling thread alone. */
typedef struct system_pool {
  pthreadpool_t workers;
  uint32_t threads;
  pid_t owner; /* the process that has the threads: a forked child has none of them */
} system_pool;

/* Start 1 to SYSTEM_MAX_THREADS threads, the caller's own included; the others sleep.
 * Return false if the process may not start so many. */
bool system_pool_start(system_pool *pool, uint32_t threads);

/* End the threads. In a forked child only forget them: joining them would wait forever,
 * and their few kilobytes stay allocated. */
void system_pool_stop(system_pool *pool);

/* Return the threads for a run, or NULL if the caller's is the only one: in a session of
 * one thread, and in a forked child. */
pthreadpool_t system_pool_workers(const system_pool *pool);

/* Send the workers to sleep where pthreadpool is the system's: otherwise they spin for
 * the next task, for tens of milliseconds. */
void system_pool_rest(const system_pool *pool);

#endif
