/* Run work in several threads. */
#ifndef RESNET_CLI_WORKERS_H
#define RESNET_CLI_WORKERS_H

#include <stdint.h>

/* Call task(context, i) for i from 0 to count - 1, each in its own thread; the caller
 * runs i = 0. Return when all calls have returned. If the system provides fewer threads,
 * fewer calls are made, and these must do all the work. */
void cli_workers_run(uint32_t count, void (*task)(void *context, uint32_t worker), void *context);

#endif
