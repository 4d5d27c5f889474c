/* Threads that share some work. */
#ifndef RESNET_CLI_WORKERS_H
#define RESNET_CLI_WORKERS_H

#include <stdint.h>

/* Call work(context, i) for i from 0 to count - 1, each in a thread of its own but the
 * first, which is the caller's; return when all have. Where the system gives fewer
 * threads, those that there are must do the work. */
void cli_workers_run(uint32_t count, void (*task)(void *context, uint32_t worker), void *context);

#endif
