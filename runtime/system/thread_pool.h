/* The threads of a session: a pthreadpool. */
#ifndef LIBRESNET_RUNTIME_SYSTEM_THREAD_POOL_H
#define LIBRESNET_RUNTIME_SYSTEM_THREAD_POOL_H

#include <pthreadpool.h>
#include <stdint.h>

enum { SYSTEM_MAX_THREADS = 256 };

/* Start a pool of 2 to SYSTEM_MAX_THREADS threads, the caller's own included; its workers
 * sleep. NULL if the process may not start so many. Close with pthreadpool_destroy. */
pthreadpool_t system_pool_start(uint32_t threads);

/* Send the workers of a pool of `threads` threads to sleep; NULL is allowed. Otherwise
 * they spin for the next task: on a Zen 4 for 0.1 ms with pthreadpool from tools/deps,
 * for 25 ms with others. */
void system_pool_rest(pthreadpool_t pool, uint32_t threads);

#endif
