/* resnet bench: latency of the net on random input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "message.h"
#include "model.h"
#include "plan.h"
#include "progress.h"
#include "table.h"
#include "terminal.h"

enum { DEFAULT_RUNS = 50, WARM_UP_RUNS = 5 };

typedef struct benchmark {
  const settings *settings;
  loaded_model model;
  plan plan;
  resnet_session *session;
  uint32_t threads, batch, runs;
  float *input, *scores;
  double *latency_ms;       /* of each run, sorted after timing */
  uint64_t *op_nanoseconds; /* least of all runs; NULL without --per-op */
} benchmark;

static uint64_t peak_rss_bytes(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
  return (uint64_t)usage.ru_maxrss;
#else
  return (uint64_t)usage.ru_maxrss * 1024;
#endif
}

/* The same values every time, in [-1, 1): xorshift32 (G. Marsaglia, 2003). */
static void fill_random(float *values, size_t count) {
  uint32_t state = 2463534242u;
  for (size_t i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    values[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
  }
}

static bool run_once(benchmark *b) {
  resnet_error error;
  if (resnet_run(b->session, b->input, RESNET_LAYOUT_NHWC, b->batch, b->scores, &error) == RESNET_OK) return true;
  complain(b->model.file, error.message);
  return false;
}

static void keep_least(void *user, const resnet_response *response) {
  uint64_t *least = (uint64_t *)user + response->op;
  if (response->nanoseconds < *least) *least = response->nanoseconds;
}

static int compare_doubles(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static bool time_runs(benchmark *b, progress *bar) {
  for (uint32_t i = 0; i < WARM_UP_RUNS; i++)
    if (!run_once(b)) return false;
  for (uint32_t i = 0; i < b->runs; i++) {
    double start = clock_seconds();
    if (!run_once(b)) return false;
    b->latency_ms[i] = (clock_seconds() - start) * 1e3;
    progress_advance(bar, 1);
  }
  qsort(b->latency_ms, b->runs, sizeof *b->latency_ms, compare_doubles);
  return true;
}

/* In runs of their own: observing takes time. */
static bool time_ops(benchmark *b, progress *bar) {
  resnet_error error;
  b->op_nanoseconds = allocate(b->plan.op_count, sizeof *b->op_nanoseconds);
  for (uint32_t i = 0; i < b->plan.op_count; i++) b->op_nanoseconds[i] = UINT64_MAX;
  if (resnet_session_observe(b->session, keep_least, b->op_nanoseconds, &error) != RESNET_OK) {
    complain(b->model.file, error.message);
    return false;
  }
  for (uint32_t i = 0; i < b->runs; i++) {
    if (!run_once(b)) return false;
    progress_advance(bar, 1);
  }
  return true;
}

static bool measure(benchmark *b) {
  const resnet_model_info *info = &b->model.info;
  size_t pixels = (size_t)info->input_height * info->input_width;
  size_t values = pixels * info->input_channels;
  b->input = allocate(b->batch, values * sizeof *b->input);
  b->scores = allocate(b->batch, info->classes * sizeof *b->scores);
  b->latency_ms = allocate(b->runs, sizeof *b->latency_ms);
  fill_random(b->input, b->batch * values);
  progress bar;
  bool per_op = b->settings->per_op;
  progress_start(&bar, (size_t)b->runs * (per_op ? 2 : 1), "runs", b->settings->quiet);
  bool good = time_runs(b, &bar) && (!per_op || time_ops(b, &bar));
  progress_finish(&bar);
  return good;
}

/* The least measured latency that at least this share of the runs did not exceed. */
static double percentile(const benchmark *b, uint32_t percent) {
  uint64_t rank = ((uint64_t)b->runs * percent + 99) / 100;
  return b->latency_ms[rank ? rank - 1 : 0];
}

static double median(const benchmark *b) { return (b->latency_ms[(b->runs - 1) / 2] + b->latency_ms[b->runs / 2]) / 2; }

static double total_nanoseconds(const benchmark *b) {
  double total = 0;
  for (uint32_t i = 0; i < b->plan.op_count; i++) total += (double)b->op_nanoseconds[i];
  return total;
}

/* Multiply-accumulates of the whole batch in 1e9 a second, which is as many a nanosecond. */
static double op_speed(const benchmark *b, uint32_t op) {
  double nanoseconds = (double)b->op_nanoseconds[op];
  return nanoseconds > 0 ? (double)b->plan.ops[op].macs * b->batch / nanoseconds : 0;
}

static void write_json_ops(const benchmark *b, json *j) {
  double total = total_nanoseconds(b);
  json_open_array(j, "ops");
  for (uint32_t i = 0; i < b->plan.op_count; i++) {
    const resnet_op *op = &b->plan.ops[i];
    json_open_object(j, NULL);
    json_integer(j, "index", i);
    json_text(j, "name", op->name);
    json_text(j, "kernel", op->kernel);
    json_text(j, "detail", op->detail);
    json_text(j, "block", plan_block_name(&b->plan, op));
    json_integer(j, "macs", op->macs);
    json_integer(j, "nanoseconds", b->op_nanoseconds[i]);
    json_number(j, "share", (double)b->op_nanoseconds[i] / total);
    json_number(j, "gmacs_per_second", op_speed(b, i));
    json_close_object(j);
  }
  json_close_array(j);
}

static void write_json(const benchmark *b) {
  json j = {.out = stdout};
  json_open_object(&j, NULL);
  model_write_json(&b->model, &j);
  json_integer(&j, "threads", b->threads);
  json_integer(&j, "batch", b->batch);
  json_integer(&j, "runs", b->runs);
  json_open_object(&j, "latency_ms");
  json_number(&j, "min", b->latency_ms[0]);
  json_number(&j, "median", median(b));
  json_number(&j, "p99", percentile(b, 99));
  json_close_object(&j);
  json_number(&j, "images_per_second", b->batch * 1e3 / median(b));
  json_number(&j, "gmacs_per_second", (double)b->model.info.macs * b->batch / (b->latency_ms[0] * 1e6));
  json_number(&j, "load_ms", b->model.load_ms);
  json_integer(&j, "peak_rss_bytes", peak_rss_bytes());
  if (b->op_nanoseconds) write_json_ops(b, &j);
  json_close_object(&j);
}

static void add_op_row(table *t, const benchmark *b, uint32_t index, double total) {
  const resnet_op *op = &b->plan.ops[index];
  char text[FORMAT_SIZE];
  table_add_number(t, index);
  table_add(t, op->kernel);
  table_add(t, op->detail);
  table_add(t, plan_block_name(&b->plan, op));
  (void)snprintf(text, sizeof text, "%.1f", (double)b->op_nanoseconds[index] / 1e3);
  table_add(t, text);
  (void)snprintf(text, sizeof text, "%.1f", 100 * (double)b->op_nanoseconds[index] / total);
  table_add(t, text);
  (void)snprintf(text, sizeof text, "%.1f", op_speed(b, index));
  table_add(t, op->macs ? text : "-");
  table_add(t, op->name);
}

static void print_ops(const benchmark *b) {
  static const char *const heading[] = {"op", "kernel", "detail", "block", "us", "%", "GMAC/s", "node"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "rlllrrrl"};
  for (size_t i = 0; i < t.columns; i++) table_add(&t, heading[i]);
  double total = total_nanoseconds(b);
  for (uint32_t i = 0; i < b->plan.op_count; i++) add_op_row(&t, b, i, total);
  (void)fputc('\n', stdout);
  table_print(&t);
}

static void print_text(const benchmark *b) {
  char text[FORMAT_SIZE];
  if (!b->settings->quiet) model_print(&b->model);
  (void)printf("work        threads %u, batch %u, %u runs after %d to warm up\n", b->threads, b->batch, b->runs,
               WARM_UP_RUNS);
  (void)printf("latency     %s%.3f ms%s median, %.3f least, %.3f p99\n", bold(), median(b), plain(), b->latency_ms[0],
               percentile(b, 99));
  (void)printf("speed       %.1f pictures/s, %.1f GMAC/s at best\n", b->batch * 1e3 / median(b),
               (double)b->model.info.macs * b->batch / (b->latency_ms[0] * 1e6));
  (void)printf("load        %.1f ms\n", b->model.load_ms);
  (void)printf("memory      %s at most\n", format_bytes(text, peak_rss_bytes()));
  if (b->op_nanoseconds) print_ops(b);
}

int command_bench(const settings *s) {
  benchmark b = {.settings = s, .runs = s->runs ? s->runs : DEFAULT_RUNS, .batch = s->batch ? s->batch : 1};
  if (!model_open(s, &b.model)) return EXIT_INPUT;
  b.threads = s->threads ? s->threads : processor_count();
  bool good =
      plan_read(&b.model, &b.plan) && model_open_session(&b.model, b.threads, b.batch, &b.session) && measure(&b);
  if (good && s->json)
    write_json(&b);
  else if (good)
    print_text(&b);
  resnet_session_close(&b.session);
  plan_release(&b.plan);
  free(b.input);
  free(b.scores);
  free(b.latency_ms);
  free(b.op_nanoseconds);
  resnet_model_close(&b.model.model);
  return good ? EXIT_GOOD : EXIT_INPUT;
}
