#include "cli/compare/speed.h"

#include <math.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/compare/comparison.h"
#include "cli/exit_status.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/options.h"
#include "cli/system.h"
#include "support/statistics.h"

enum { WARM_UP_RUNS = 10, RUNS = 200, MIN_RUNS = 20 };

/* Time for the runs of all models. After it, MIN_RUNS runs are enough. */
static const double max_seconds = 10;

/* ---- memory ---- */

static bool run_random(resnet_session *session, const resnet_model_info *info) {
  const size_t values = (size_t)info->input_height * info->input_width * info->input_channels;
  float *input = cli_allocate(values, sizeof *input),
        *scores = cli_allocate(info->score_count, sizeof *scores);
  cli_model_random_input(input, values);
  const bool ok = resnet_run(session, input, RESNET_LAYOUT_NHWC, 1, scores, NULL) == RESNET_OK;
  free(input);
  free(scores);
  return ok;
}

/* Return the peak memory of this process after one run, or 0. Print no errors: the parent
 * process opens the same model and reports them. */
static uint64_t peak_of_one_run(const settings *s) {
  loaded_model m;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_error error;
  resnet_session_options_init(&options);
  options.threads = 1;
  if (!cli_model_try_open(s, &m, &error)) return 0;
  bool ok = resnet_session_open(m.model, &options, &session, &error) == RESNET_OK &&
            run_random(session, &m.info);
  resnet_session_close(&session);
  cli_model_close(&m);
  return ok ? cli_peak_memory_bytes() : 0;
}

uint64_t compare_peak_memory(const settings *s) {
  int ends[2];
  uint64_t peak = 0;
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    const uint64_t own = peak_of_one_run(s);
    _exit(write(ends[1], &own, sizeof own) == (ssize_t)sizeof own ? EXIT_OK : EXIT_INPUT);
  }
  (void)close(ends[1]);
  if (child > 0 && read(ends[0], &peak, sizeof peak) != (ssize_t)sizeof peak) peak = 0;
  (void)close(ends[0]);
  if (child > 0) (void)waitpid(child, NULL, 0);
  return peak;
}

/* ---- latency ---- */

typedef struct timed_model {
  resnet_session *session;
  float *input, *scores;
  double *latencies; /* in ms */
} timed_model;

static bool open_model(const model_summary *model, timed_model *t) {
  const resnet_model_info *info = &model->loaded.info;
  const size_t values = (size_t)info->input_height * info->input_width * info->input_channels;
  t->input = cli_allocate(values, sizeof *t->input);
  t->scores = cli_allocate(info->score_count, sizeof *t->scores);
  t->latencies = cli_allocate(RUNS, sizeof *t->latencies);
  cli_model_random_input(t->input, values);
  return cli_model_open_session(&model->loaded, 1, 1, RESNET_OBSERVE_RESPONSES, &t->session);
}

static void close_model(timed_model *t) {
  resnet_session_close(&t->session);
  free(t->input);
  free(t->scores);
  free(t->latencies);
}

static bool time_run(const model_summary *model, timed_model *t, double *ms) {
  resnet_error error;
  const double start = cli_clock_seconds();
  const bool ok =
      resnet_run(t->session, t->input, RESNET_LAYOUT_NHWC, 1, t->scores, &error) == RESNET_OK;
  *ms = (cli_clock_seconds() - start) * 1e3;
  if (!ok) cli_print_error(model->loaded.file, &error);
  return ok;
}

/* Time the models in turns, so that other load on the machine affects all alike. Each
 * model first runs once untimed, because the previous one has filled the caches with its
 * weights. */
static bool time_models(const comparison *c, timed_model *models, uint32_t *runs) {
  const double start = cli_clock_seconds();
  bool ok = true;
  double ms;
  for (int i = 0; i < WARM_UP_RUNS && ok; i++)
    for (uint32_t n = 0; n < c->model_count && ok; n++)
      ok = time_run(&c->models[n], &models[n], &ms);
  for (*runs = 0; *runs < RUNS && ok; ++*runs) {
    if (*runs >= MIN_RUNS && cli_clock_seconds() - start > max_seconds) break;
    for (uint32_t n = 0; n < c->model_count && ok; n++)
      ok = time_run(&c->models[n], &models[n], &ms) &&
           time_run(&c->models[n], &models[n], &models[n].latencies[*runs]);
  }
  return ok;
}

bool compare_latency(comparison *c) {
  timed_model *models = cli_allocate(c->model_count, sizeof *models);
  uint32_t runs = 0;
  bool ok = true;
  for (uint32_t n = 0; n < c->model_count && ok; n++) ok = open_model(&c->models[n], &models[n]);
  ok = ok && time_models(c, models, &runs);
  for (uint32_t n = 0; n < c->model_count; n++) {
    model_summary *model = &c->models[n];
    if (ok) {
      stats_sort(models[n].latencies, runs);
      model->latency_runs = runs;
      model->latency_min_ms = stats_sorted_percentile(models[n].latencies, runs, 0);
      model->latency_median_ms = stats_sorted_median(models[n].latencies, runs);
      model->latency_p99_ms = stats_sorted_percentile(models[n].latencies, runs, 99);
    }
    close_model(&models[n]);
  }
  free(models);
  return ok;
}
