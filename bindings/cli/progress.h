/* A progress bar with rate and remaining time. It is drawn on standard error if that is a
 * terminal. With an open event stream, it writes progress events instead. */
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
  pthread_mutex_t drawing; /* guards the terminal and the fields below */
  double start, last;
} progress;

/* Start the bar. If `quiet` is set, show neither bar nor events. */
void cli_progress_start(progress *p, size_t total, const char *unit, bool quiet);

/* Count `count` more units as done. Any thread may call this. */
void cli_progress_advance(progress *p, size_t count);

/* Erase the bar. */
void cli_progress_finish(progress *p);

#endif
