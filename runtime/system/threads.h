/* Whether the system lets this process start threads. */
#ifndef LIBRESNET_RUNTIME_SYSTEM_THREADS_H
#define LIBRESNET_RUNTIME_SYSTEM_THREADS_H

#include <stdbool.h>
#include <stdint.h>

/* Start `count` threads that are alive at the same time, and end them. pthreadpool waits
 * for ever for a thread that could not be started: it is asked for some only once as many
 * have been seen to start. Between the two another program may take the last one. */
bool threads_can_start(uint32_t count);

#endif
