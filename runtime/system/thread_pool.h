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
  /* for a system's pthreadpool: system_now_ns() at the end of the last run, 0: none yet;
   * whether the run in progress came long after it */
  uint64_t run_end;
  bool paused;
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

/* Call these before and after each run. Where pthreadpool is the system's, its workers
 * spin for tens of milliseconds after a run; they are sent to sleep if the caller is
 * likely to pause. */
void system_pool_begin_run(system_pool *pool);
void system_pool_end_run(system_pool *pool);

#endif
