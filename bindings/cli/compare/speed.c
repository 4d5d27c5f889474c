/* What `resnet compare` measures of each net apart from its answers. */
#include <math.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/compare/compare.h"
#include "cli/terminal.h"
#include "support/message.h"

enum { WARM_UP_RUNS = 10, RUNS = 200, FEWEST_RUNS = 20 };

/* Of runs of all nets; after it FEWEST_RUNS are enough. */
static const double most_seconds = 10;

/* ---- memory ------------------------------------------------------------------------ */

static bool run_random(resnet_session *session, const resnet_model_info *info) {
  const size_t values = (size_t)info->input_height * info->input_width * info->input_channels;
  float *input = allocate(values, sizeof *input), *scores = allocate(info->classes, sizeof *scores);
  model_random_input(input, values);
  const bool good = resnet_run(session, input, RESNET_LAYOUT_NHWC, 1, scores, NULL) == RESNET_OK;
  free(input);
  free(scores);
  return good;
}

/* Nothing is said: what is wrong with the model, the caller finds out by itself. */
static uint64_t peak_of_one_run(const settings *s) {
  loaded_model m;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_error error;
  resnet_session_options_init(&options);
  options.threads = 1;
  if (!model_try(s, &m, &error)) return 0;
  bool good = resnet_session_open(m.model, &options, &session, &error) == RESNET_OK &&
              run_random(session, &m.info);
  resnet_session_close(&session);
  resnet_model_close(&m.model);
  return good ? peak_memory_bytes() : 0;
}

uint64_t measure_peak(const settings *s) {
  int ends[2];
  uint64_t peak = 0;
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    const uint64_t own = peak_of_one_run(s);
    _exit(write(ends[1], &own, sizeof own) == (ssize_t)sizeof own ? EXIT_GOOD : EXIT_INPUT);
  }
  (void)close(ends[1]);
  if (child > 0 && read(ends[0], &peak, sizeof peak) != (ssize_t)sizeof peak) peak = 0;
  (void)close(ends[0]);
  if (child > 0) (void)waitpid(child, NULL, 0);
  return peak;
}

/* ---- latency ----------------------------------------------------------------------- */

typedef struct timed_net {
  resnet_session *session;
  float *input, *scores;
  double *latencies; /* in ms */
} timed_net;

static bool open_net(const net_summary *net, timed_net *t) {
  const resnet_model_info *info = &net->model.info;
  const size_t values = (size_t)info->input_height * info->input_width * info->input_channels;
  t->input = allocate(values, sizeof *t->input);
  t->scores = allocate(info->classes, sizeof *t->scores);
  t->latencies = allocate(RUNS, sizeof *t->latencies);
  model_random_input(t->input, values);
  return model_open_session(&net->model, 1, 1, RESNET_OBSERVE_RESPONSES, &t->session);
}

static void close_net(timed_net *t) {
  resnet_session_close(&t->session);
  free(t->input);
  free(t->scores);
  free(t->latencies);
}

static bool time_run(const net_summary *net, timed_net *t, double *ms) {
  resnet_error error;
  const double start = clock_seconds();
  const bool good =
      resnet_run(t->session, t->input, RESNET_LAYOUT_NHWC, 1, t->scores, &error) == RESNET_OK;
  *ms = (clock_seconds() - start) * 1e3;
  if (!good) complain(net->model.file, error.message);
  return good;
}

/* The nets take turns, so that whatever else the machine does slows all alike. Before its
 * turn each runs once untimed: the one before has filled the caches with weights of its
 * own. */
static bool time_nets(const comparison *c, timed_net *nets, uint32_t *runs) {
  const double start = clock_seconds();
  bool good = true;
  double ms;
  for (int i = 0; i < WARM_UP_RUNS && good; i++)
    for (uint32_t n = 0; n < c->net_count && good; n++) good = time_run(&c->nets[n], &nets[n], &ms);
  for (*runs = 0; *runs < RUNS && good; ++*runs) {
    if (*runs >= FEWEST_RUNS && clock_seconds() - start > most_seconds) break;
    for (uint32_t n = 0; n < c->net_count && good; n++)
      good = time_run(&c->nets[n], &nets[n], &ms) &&
             time_run(&c->nets[n], &nets[n], &nets[n].latencies[*runs]);
  }
  return good;
}

bool compare_latency(comparison *c) {
  timed_net *nets = allocate(c->net_count, sizeof *nets);
  uint32_t runs = 0;
  bool good = true;
  for (uint32_t n = 0; n < c->net_count && good; n++) good = open_net(&c->nets[n], &nets[n]);
  good = good && time_nets(c, nets, &runs);
  for (uint32_t n = 0; n < c->net_count; n++) {
    net_summary *net = &c->nets[n];
    if (good) {
      sort_values(nets[n].latencies, runs);
      net->latency_runs = runs;
      net->latency_least_ms = sorted_percentile(nets[n].latencies, runs, 0);
      net->latency_median_ms = sorted_median(nets[n].latencies, runs);
      net->latency_p99_ms = sorted_percentile(nets[n].latencies, runs, 99);
    }
    close_net(&nets[n]);
  }
  free(nets);
  return good;
}
