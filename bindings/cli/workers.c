#include "cli/workers.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cli/memory.h"

typedef struct worker {
  void (*task)(void *context, uint32_t worker);
  void *context;
  uint32_t index;
  pthread_t thread;
  bool started;
} worker;

static void *start(void *argument) {
  const worker *w = argument;
  w->task(w->context, w->index);
  return NULL;
}

void cli_workers_run(uint32_t count, void (*task)(void *context, uint32_t worker), void *context) {
  worker *workers = cli_allocate(count, sizeof *workers);
  for (uint32_t i = 1; i < count; i++) {
    workers[i] = (worker){.task = task, .context = context, .index = i};
    workers[i].started = pthread_create(&workers[i].thread, NULL, start, &workers[i]) == 0;
  }
  task(context, 0);
  for (uint32_t i = 1; i < count; i++)
    if (workers[i].started) (void)pthread_join(workers[i].thread, NULL);
  free(workers);
}
