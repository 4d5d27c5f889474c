/* resnet bench: latency of the model on random input. */
#include "cli/commands/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit_status.h"
#include "cli/format.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/model_text.h"
#include "cli/options.h"
#include "cli/plan.h"
#include "cli/progress.h"
#include "cli/system.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "support/json.h"
#include "support/statistics.h"

enum { DEFAULT_RUNS = 50, WARM_UP_RUNS = 5, MAX_OBSERVED_RUNS = 1000 };

/* An observed run: its duration, and the duration of each op in it. */
typedef struct observed_run {
  double seconds;
  const uint64_t *op_nanoseconds;
} observed_run;

typedef struct benchmark {
  const settings *settings;
  loaded_model model;
  cli_plan plan;
  resnet_session *session;
  uint32_t threads, batch, runs;
  float *input, *scores;
  double *latency_ms; /* of each run, sorted after timing */
  /* Only with --per-op, else NULL and 0: */
  uint32_t observed_runs, settled_runs;
  uint64_t *observations;          /* (observed_runs,ops), in nanoseconds */
  double *op_ms, sum_ms, whole_ms; /* see settle_ops */
} benchmark;

static bool run_once(benchmark *b) {
  resnet_error error;
  if (resnet_run(b->session, b->input, RESNET_LAYOUT_NHWC, b->batch, b->scores, &error) ==
      RESNET_OK)
    return true;
  cli_print_error(b->model.file, &error);
  return false;
}

static bool time_once(benchmark *b, double *seconds) {
  double start = cli_clock_seconds();
  bool ok = run_once(b);
  *seconds = cli_clock_seconds() - start;
  return ok;
}

static void keep(void *user, const resnet_response *response) {
  uint64_t *observations = user;
  observations[response->op] = response->nanoseconds;
}

static bool observe_once(benchmark *b, observed_run *run, uint64_t *observations) {
  run->op_nanoseconds = observations;
  (void)resnet_session_observe(b->session, keep, observations, NULL);
  bool ok = time_once(b, &run->seconds);
  (void)resnet_session_observe(b->session, NULL, NULL, NULL);
  return ok;
}

static int compare_runs(const void *a, const void *b) {
  const double left = ((const observed_run *)a)->seconds,
               right = ((const observed_run *)b)->seconds;
  return (left > right) - (left < right);
}

/* Average the ops over the fastest quarter of the observed runs, which other processes
 * disturb least. All ops are averaged over the same runs, so that they add up to the
 * whole run; the minimum of each op would not. */
static void settle_ops(benchmark *b, observed_run *runs) {
  b->settled_runs = (b->observed_runs + 3) / 4;
  b->op_ms = cli_allocate(b->plan.op_count, sizeof *b->op_ms);
  qsort(runs, b->observed_runs, sizeof *runs, compare_runs);
  for (uint32_t i = 0; i < b->settled_runs; i++) {
    b->whole_ms += runs[i].seconds * 1e3 / b->settled_runs;
    for (uint32_t op = 0; op < b->plan.op_count; op++)
      b->op_ms[op] += (double)runs[i].op_nanoseconds[op] / 1e6 / b->settled_runs;
  }
  for (uint32_t op = 0; op < b->plan.op_count; op++) b->sum_ms += b->op_ms[op];
}

/* Alternate plain and observed runs, so that other load on the machine affects both
 * alike. Observing must not slow down the plain runs. */
static bool time_runs(benchmark *b, progress *bar) {
  observed_run *observed = cli_allocate(b->observed_runs, sizeof *observed);
  bool ok = true;
  for (uint32_t i = 0; i < WARM_UP_RUNS && ok; i++) ok = run_once(b);
  for (uint32_t i = 0; i < b->runs && ok; i++) {
    ok = time_once(b, &b->latency_ms[i]);
    b->latency_ms[i] *= 1e3;
    if (i < b->observed_runs)
      ok = ok && observe_once(b, &observed[i], b->observations + (size_t)i * b->plan.op_count);
    cli_progress_advance(bar, 1);
  }
  stats_sort(b->latency_ms, b->runs);
  if (ok && b->observed_runs) settle_ops(b, observed);
  free(observed);
  return ok;
}

static bool measure(benchmark *b) {
  const resnet_model_info *info = &b->model.info;
  size_t pixels = (size_t)info->input_height * info->input_width;
  size_t values = pixels * info->input_channels;
  b->input = cli_allocate(b->batch, values * sizeof *b->input);
  b->scores = cli_allocate(b->batch, info->score_count * sizeof *b->scores);
  b->latency_ms = cli_allocate(b->runs, sizeof *b->latency_ms);
  cli_model_random_input(b->input, b->batch * values);
  if (b->settings->per_op) {
    b->observed_runs = b->runs < MAX_OBSERVED_RUNS ? b->runs : MAX_OBSERVED_RUNS;
    b->observations =
        cli_allocate((size_t)b->observed_runs * b->plan.op_count, sizeof *b->observations);
  }
  progress bar;
  cli_progress_start(&bar, b->runs, "runs", b->settings->quiet);
  bool ok = time_runs(b, &bar);
  cli_progress_finish(&bar);
  return ok;
}

static double median(const benchmark *b) { return stats_sorted_median(b->latency_ms, b->runs); }

/* Return 1e9 operations a second. A multiply-accumulate counts as two operations; all
 * multiply-accumulates of a direct convolution are counted. */
static double gflops(const benchmark *b, uint64_t macs, double ms) {
  return ms > 0 ? 2 * (double)macs * b->batch / (ms * 1e6) : 0;
}

static void write_json_ops(const benchmark *b, json *j) {
  json_open_object(j, "ops_ms");
  json_integer(j, "runs", b->settled_runs);
  json_number(j, "sum", b->sum_ms);
  json_number(j, "whole", b->whole_ms);
  json_close_object(j);
  json_open_array(j, "ops");
  for (uint32_t i = 0; i < b->plan.op_count; i++) {
    const resnet_op *op = &b->plan.ops[i];
    json_open_object(j, NULL);
    json_integer(j, "index", i);
    json_text(j, "name", op->name);
    json_text(j, "kernel", op->kernel);
    json_text(j, "detail", op->detail);
    json_text(j, "block", cli_plan_block_name(&b->plan, op));
    json_integer(j, "macs", op->macs);
    json_number(j, "nanoseconds", b->op_ms[i] * 1e6);
    json_number(j, "share", b->op_ms[i] / b->sum_ms);
    json_number(j, "gflops", gflops(b, op->macs, b->op_ms[i]));
    json_close_object(j);
  }
  json_close_array(j);
}

static void write_json(const benchmark *b) {
  json j = {.out = stdout};
  json_open_object(&j, NULL);
  cli_model_write_json(&b->model, &j);
  json_integer(&j, "threads", b->threads);
  json_integer(&j, "batch", b->batch);
  json_integer(&j, "runs", b->runs);
  json_open_object(&j, "latency_ms");
  json_number(&j, "min", b->latency_ms[0]);
  json_number(&j, "median", median(b));
  json_number(&j, "p99", stats_sorted_percentile(b->latency_ms, b->runs, 99));
  json_close_object(&j);
  json_number(&j, "images_per_second", b->batch * 1e3 / median(b));
  json_number(&j, "gflops", gflops(b, b->model.info.macs, median(b)));
  json_number(&j, "load_ms", b->model.load_ms);
  json_integer(&j, "peak_rss_bytes", cli_peak_memory_bytes());
  if (b->op_ms) write_json_ops(b, &j);
  json_close_object(&j);
}

static void add_op_row(table *t, const benchmark *b, uint32_t index) {
  const resnet_op *op = &b->plan.ops[index];
  char text[FORMAT_SIZE];
  cli_table_add_number(t, index);
  cli_table_add(t, op->kernel);
  cli_table_add(t, op->detail);
  cli_table_add(t, cli_plan_block_name(&b->plan, op));
  (void)snprintf(text, sizeof text, "%.1f", b->op_ms[index] * 1e3);
  cli_table_add(t, text);
  (void)snprintf(text, sizeof text, "%.1f", 100 * b->op_ms[index] / b->sum_ms);
  cli_table_add(t, text);
  (void)snprintf(text, sizeof text, "%.1f", gflops(b, op->macs, b->op_ms[index]));
  cli_table_add(t, op->macs ? text : "-");
  cli_table_add(t, op->name);
}

static void print_ops(const benchmark *b) {
  static const char *const heading[] = {"op", "kernel", "detail",  "block",
                                        "us", "%",      "GFLOP/s", "node"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "rlllrrrl"};
  for (size_t i = 0; i < t.columns; i++) cli_table_add(&t, heading[i]);
  for (uint32_t i = 0; i < b->plan.op_count; i++) add_op_row(&t, b, i);
  (void)fputc('\n', stdout);
  cli_table_print(&t);
  (void)printf("\nsum         %.3f ms of %.3f ms for the run, %.1f %% (mean of the fastest %u of "
               "%u observed runs)\n",
               b->sum_ms, b->whole_ms, 100 * b->sum_ms / b->whole_ms, b->settled_runs,
               b->observed_runs);
}

static void print_text(const benchmark *b) {
  char text[FORMAT_SIZE];
  if (!b->settings->quiet) cli_model_print(&b->model);
  (void)printf("work        threads %u, batch %u, %u runs after %d warm-up runs\n", b->threads,
               b->batch, b->runs, WARM_UP_RUNS);
  (void)printf("latency     %s%.3f ms%s median, %.3f min, %.3f p99\n", cli_bold(), median(b),
               cli_plain(), b->latency_ms[0], stats_sorted_percentile(b->latency_ms, b->runs, 99));
  (void)printf("speed       %.1f images/s, %.1f GFLOP/s\n", b->batch * 1e3 / median(b),
               gflops(b, b->model.info.macs, median(b)));
  (void)printf("load        %.1f ms\n", b->model.load_ms);
  (void)printf("memory      %s peak\n", cli_format_bytes(text, cli_peak_memory_bytes()));
  if (b->op_ms) print_ops(b);
}

int command_bench(const settings *s) {
  benchmark b = {
      .settings = s, .runs = s->runs ? s->runs : DEFAULT_RUNS, .batch = s->batch ? s->batch : 1};
  settings with_batch = *s;
  with_batch.plan_batch = b.batch;
  if (!cli_model_open(&with_batch, &b.model)) return b.model.exit_code;
  b.threads = s->threads ? s->threads : cli_processor_count();
  bool ok = cli_plan_read(&b.model, &b.plan) &&
            cli_model_open_session(&b.model, b.threads, b.batch, RESNET_OBSERVE_OPS, &b.session) &&
            measure(&b);
  if (ok && s->json)
    write_json(&b);
  else if (ok)
    print_text(&b);
  resnet_session_close(&b.session);
  cli_plan_release(&b.plan);
  free(b.input);
  free(b.scores);
  free(b.latency_ms);
  free(b.observations);
  free(b.op_ms);
  cli_model_close(&b.model);
  return ok ? EXIT_OK : EXIT_INPUT;
}
