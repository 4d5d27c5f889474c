/* A progress bar with rate and time left, on standard error, where that is a terminal. */
#ifndef RESNET_CLI_PROGRESS_H
#define RESNET_CLI_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct progress {
  size_t total;
  const char *unit; /* what is counted, e.g. "images" */
  bool shown;
  atomic_size_t done;
  pthread_mutex_t drawing; /* guards the following and the terminal */
  double start, last;
} progress;

/* Nothing is ever drawn when `quiet` or where standard error is no terminal. */
void cli_progress_start(progress *p, size_t total, const char *unit, bool quiet);

/* `count` more are done. From any thread. */
void cli_progress_advance(progress *p, size_t count);

/* Wipe the bar. */
void cli_progress_finish(progress *p);

#endif
