/* Check whether this process may start threads. */
#ifndef LIBRESNET_RUNTIME_SYSTEM_THREADS_H
#define LIBRESNET_RUNTIME_SYSTEM_THREADS_H

#include <stdbool.h>
#include <stdint.h>

/* Return true if `count` threads could be alive at the same time: start and end them.
 * Call this before pthreadpool_create, which waits forever for a thread that does not
 * start. Another program may still take the last thread in between. */
bool system_can_start_threads(uint32_t count);

#endif
