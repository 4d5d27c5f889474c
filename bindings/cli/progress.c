#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/system.h"

enum { BAR_WIDTH = 24 };
static const double seconds_between_drawings = 0.1;

void cli_progress_start(progress *p, size_t total, const char *unit, bool quiet) {
  memset(p, 0, sizeof *p);
  p->total = total;
  p->unit = unit;
  p->shown = !quiet && total > 0 && (cli_events_are_open() || isatty(STDERR_FILENO));
  atomic_init(&p->done, 0);
  (void)pthread_mutex_init(&p->drawing, NULL);
  p->start = cli_clock_seconds();
}

static void draw(progress *p, size_t done, double now) {
  p->last = now;
  if (cli_events_are_open()) {
    cli_event_progress(done, p->total, p->unit);
    return;
  }
  double seconds = now - p->start;
  double rate = seconds > 0 ? (double)done / seconds : 0;
  double left = rate > 0 ? (double)(p->total - done) / rate : 0;
  int filled = (int)(BAR_WIDTH * done / p->total);
  (void)fprintf(stderr, "\r\033[K%3d %% [%.*s%*s] %zu/%zu %s, %.*f/s, %.0f s left",
                (int)(100 * done / p->total), filled, "########################",
                BAR_WIDTH - filled, "", done, p->total, p->unit, rate < 10 ? 1 : 0, rate, left);
  (void)fflush(stderr);
}

void cli_progress_advance(progress *p, size_t count) {
  size_t done = atomic_fetch_add(&p->done, count) + count;
  /* Do not wait for another thread that draws. */
  if (!p->shown || pthread_mutex_trylock(&p->drawing) != 0) return;
  double now = cli_clock_seconds();
  if (now - p->last >= seconds_between_drawings) draw(p, done, now);
  (void)pthread_mutex_unlock(&p->drawing);
}

void cli_progress_finish(progress *p) {
  if (p->shown && !cli_events_are_open()) (void)fputs("\r\033[K", stderr);
  (void)pthread_mutex_destroy(&p->drawing);
}
