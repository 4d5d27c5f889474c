#include "cli/compare/costs.h"

#include <math.h>
#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/plan.h"
#include "cli/system.h"
#include "support/statistics.h"

/* The sessions of a model run for max_seconds in all, but each session runs at least
 * MIN_RUNS and at most MAX_RUNS times. */
enum { MIN_RUNS = 16, MAX_RUNS = 1000, WARM_UP_RUNS = 3 };
static const double max_seconds = 1.0;

/* Confidence of the interval is 1 - noise_alpha. It is high because a model has many
 * shortcuts, and because runs that follow each other are alike. */
static const double noise_alpha = 0.001;

/* Sessions of one model, which run in turns. */
typedef enum variant {
  VARIANT_FUSED,   /* the plan as it is */
  VARIANT_CUT,     /* without any shortcut */
  VARIANT_UNFUSED, /* with separate additions */
  VARIANT_COUNT
} variant;

typedef struct timing {
  model_summary *model;
  variant variant;
  resnet_session *session;
  uint64_t *now; /* by block: nanoseconds of this run */
} timing;

typedef struct measurement {
  model_summary *model;
  timing variants[VARIANT_COUNT];
  float *input, *scores;
  /* (blocks,MAX_RUNS), in ms: fused minus cut, and unfused */
  double *costs, *unfused;
} measurement;

/* Return true if the op adds a shortcut. The ops of a block that make or add its shortcut
 * carry the shortcut's kind; only the op that adds it has two inputs. */
static bool adds(const resnet_op *op) {
  return op->shortcut != RESNET_SHORTCUT_NONE && op->input[1] != RESNET_NO_INDEX;
}

static bool makes(const resnet_op *op) {
  return op->shortcut != RESNET_SHORTCUT_NONE && op->input[1] == RESNET_NO_INDEX;
}

/* ---- time ---- */

/* Return true if the time belongs to a separate addition or to making the shortcut. */
static bool is_unfused_part(const resnet_op *op, resnet_point point) {
  return makes(op) || (adds(op) && point != RESNET_POINT_RESPONSE);
}

static void add_time(void *user, const resnet_response *response) {
  timing *t = user;
  const resnet_op *op = &t->model->plan.ops[response->op];
  if (op->block == RESNET_NO_INDEX ||
      (t->variant == VARIANT_UNFUSED && !is_unfused_part(op, response->point)))
    return;
  t->now[op->block] += response->nanoseconds;
}

static bool check_status(const model_summary *n, resnet_status status, const resnet_error *error) {
  if (status != RESNET_OK) cli_print_error(n->loaded.file, error);
  return status == RESNET_OK;
}

static bool cut_shortcuts(timing *t) {
  resnet_error error;
  bool ok = true;
  for (uint32_t b = 0; b < t->model->plan.block_count && ok; b++)
    if (cli_plan_has_shortcut(&t->model->plan, b))
      ok = check_status(
          t->model, resnet_session_skip(t->session, b, RESNET_SKIP_SHORTCUT, 0, &error), &error);
  return ok;
}

static bool open_variant(measurement *m, variant which) {
  const uint32_t blocks = m->model->plan.block_count;
  const resnet_observe observe =
      which == VARIANT_UNFUSED ? RESNET_OBSERVE_RESPONSES : RESNET_OBSERVE_OPS;
  timing *t = &m->variants[which];
  resnet_error error;
  *t = (timing){.model = m->model, .variant = which, .now = cli_allocate(blocks, sizeof *t->now)};
  return cli_model_open_session(&m->model->loaded, 1, 1, observe, &t->session) &&
         (which != VARIANT_CUT || cut_shortcuts(t)) &&
         check_status(m->model, resnet_session_observe(t->session, add_time, t, &error), &error);
}

static bool run_variant(const measurement *m, timing *t) {
  resnet_error error;
  for (uint32_t b = 0; b < m->model->plan.block_count; b++) t->now[b] = 0;
  return check_status(
      m->model, resnet_run(t->session, m->input, RESNET_LAYOUT_NHWC, 1, m->scores, &error), &error);
}

static void keep_times(const measurement *m, uint32_t run) {
  for (uint32_t b = 0; b < m->model->plan.block_count; b++) {
    const size_t at = (size_t)b * MAX_RUNS + run;
    m->costs[at] =
        ((double)m->variants[VARIANT_FUSED].now[b] - (double)m->variants[VARIANT_CUT].now[b]) / 1e6;
    m->unfused[at] = (double)m->variants[VARIANT_UNFUSED].now[b] / 1e6;
  }
}

/* Run the variants in turns. A different one begins each turn, since each run finds the
 * caches as the previous one left them. */
static bool time_variants(measurement *m) {
  const double start = cli_clock_seconds();
  const uint32_t min = MIN_RUNS + WARM_UP_RUNS, max = MAX_RUNS + WARM_UP_RUNS;
  uint32_t run = 0;
  for (; run < min || (run < max && cli_clock_seconds() - start < max_seconds); run++) {
    for (uint32_t v = 0; v < VARIANT_COUNT; v++)
      if (!run_variant(m, &m->variants[(run + v) % VARIANT_COUNT])) return false;
    if (run >= WARM_UP_RUNS) keep_times(m, run - WARM_UP_RUNS);
  }
  m->model->cost_runs = run - WARM_UP_RUNS;
  return true;
}

static void set_times(const measurement *m) {
  const uint32_t runs = m->model->cost_runs;
  for (uint32_t b = 0; b < m->model->plan.block_count; b++) {
    if (!cli_plan_has_shortcut(&m->model->plan, b)) continue;
    block_summary *s = &m->model->blocks[b];
    double *costs = m->costs + (size_t)b * MAX_RUNS, *unfused = m->unfused + (size_t)b * MAX_RUNS;
    stats_sort(costs, runs);
    stats_sort(unfused, runs);
    s->shortcut_interval = stats_sorted_median_interval(costs, runs, noise_alpha);
    s->shortcut_ms = s->shortcut_interval.low > 0 ? stats_sorted_median(costs, runs) : NAN;
    s->unfused_ms = stats_sorted_median(unfused, runs);
  }
}

static bool measure_times(model_summary *n) {
  measurement m = {.model = n};
  bool ok = true;
  const resnet_model_info *info = &n->loaded.info;
  const size_t values = (size_t)info->input_height * info->input_width * info->input_channels;
  m.input = cli_allocate(values, sizeof *m.input);
  cli_model_random_input(m.input, values);
  m.scores = cli_allocate(n->loaded.info.score_count, sizeof *m.scores);
  m.costs = cli_allocate((size_t)n->plan.block_count * MAX_RUNS, sizeof *m.costs);
  m.unfused = cli_allocate((size_t)n->plan.block_count * MAX_RUNS, sizeof *m.unfused);
  for (int w = 0; w < VARIANT_COUNT && ok; w++) ok = open_variant(&m, (variant)w);
  ok = ok && time_variants(&m);
  if (ok) set_times(&m);
  for (int w = 0; w < VARIANT_COUNT; w++) {
    resnet_session_close(&m.variants[w].session);
    free(m.variants[w].now);
  }
  free(m.input);
  free(m.scores);
  free(m.costs);
  free(m.unfused);
  return ok;
}

/* ---- bytes ---- */

/* Return the bytes that `op` reads from its input. A 1x1 convolution with strides reads
 * only as many pixels as it writes. */
static uint64_t input_bytes(const cli_plan *p, const resnet_op *op) {
  if (op->input[0] >= p->op_count) return 0;
  const resnet_op *source = &p->ops[op->input[0]];
  const bool pixelwise =
      op->parameters > 0 && op->parameters / op->channels <= source->channels + 1;
  return pixelwise ? (uint64_t)op->height * op->width * source->channels * sizeof(float)
                   : source->output_bytes;
}

/* Return the bytes of the ops that make the shortcut: inputs, weights and outputs. */
static uint64_t making_bytes(const cli_plan *p, uint32_t block) {
  uint64_t bytes = 0;
  for (uint32_t i = p->blocks[block].first_op; i <= p->blocks[block].last_op; i++) {
    const resnet_op *op = &p->ops[i];
    if (op->block == block && makes(op))
      bytes += input_bytes(p, op) + op->parameters * sizeof(float) + op->output_bytes;
  }
  return bytes;
}

/* Return the bytes that option A reads: every other pixel of the input's channels. */
static uint64_t subsampled_bytes(const cli_plan *p, const resnet_op *adding) {
  const uint32_t source = adding->input[1];
  const uint64_t channels = source < p->op_count ? p->ops[source].channels : 0;
  return (uint64_t)adding->height * adding->width * channels * sizeof(float);
}

static void set_bytes(model_summary *n, uint32_t block) {
  const cli_plan *p = &n->plan;
  block_summary *s = &n->blocks[block];
  for (uint32_t i = p->blocks[block].first_op; i <= p->blocks[block].last_op; i++) {
    const resnet_op *op = &p->ops[i];
    if (op->block != block || !adds(op)) continue;
    const uint64_t sum = op->output_bytes, making = making_bytes(p, block);
    const bool option_a = op->shortcut == RESNET_SHORTCUT_OPTION_A;
    const uint64_t read = option_a ? subsampled_bytes(p, op) : sum;
    s->shortcut_bytes = making + read;
    s->unfused_bytes = making + 3 * sum + (option_a ? read + sum : 0);
  }
}

bool compare_costs(comparison *c) {
  for (uint32_t i = 0; i < c->model_count; i++) {
    model_summary *n = &c->models[i];
    for (uint32_t b = 0; b < n->plan.block_count; b++) {
      n->blocks[b].shortcut_ms = n->blocks[b].unfused_ms = NAN;
      n->blocks[b].shortcut_interval = (stats_interval){NAN, NAN};
      n->blocks[b].shortcut_bytes = n->blocks[b].unfused_bytes = 0;
      if (cli_plan_has_shortcut(&n->plan, b)) set_bytes(n, b);
    }
    if (n->residual && !measure_times(n)) return false;
  }
  return true;
}
