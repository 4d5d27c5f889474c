#include "cli/compare/costs.h"

#include <math.h>
#include <stdlib.h>

#include "cli/terminal.h"
#include "support/message.h"

/* Runs of each session: as many as fit the time, within these. */
enum { LEAST_RUNS = 10, MOST_RUNS = 1000, WARM_UP_RUNS = 3, HALVES = 2 };
static const double most_seconds = 1.0;

/* Sessions of one net that take turns. */
typedef enum way {
  WAY_FUSED, /* the plan as it is */
  WAY_CUT,   /* without any shortcut */
  WAY_APART, /* with additions of their own */
  WAY_COUNT
} way;

typedef struct timing {
  net_summary *net;
  way way;
  resnet_session *session;
  uint64_t *now;           /* by block: nanoseconds of this run */
  uint64_t *least[HALVES]; /* by block: of even and odd runs */
} timing;

typedef struct measurement {
  net_summary *net;
  timing ways[WAY_COUNT];
  float *input, *scores;
} measurement;

/* Of a block's ops those that add or make its shortcut bear its kind; the one that adds
 * reads two. */
static bool adds(const resnet_op *op) {
  return op->shortcut != RESNET_SHORTCUT_NONE && op->input[1] != RESNET_NO_INDEX;
}

static bool makes(const resnet_op *op) {
  return op->shortcut != RESNET_SHORTCUT_NONE && op->input[1] == RESNET_NO_INDEX;
}

/* ---- time ---- */

/* Whether the time belongs to the addition or what it adds. */
static bool is_apart(const resnet_op *op, resnet_point point) {
  return makes(op) || (adds(op) && point != RESNET_POINT_RESPONSE);
}

static void add_time(void *user, const resnet_response *response) {
  timing *t = user;
  const resnet_op *op = &t->net->plan.ops[response->op];
  if (op->block == RESNET_NO_INDEX || (t->way == WAY_APART && !is_apart(op, response->point)))
    return;
  t->now[op->block] += response->nanoseconds;
}

static bool worked(const net_summary *n, resnet_status status, const resnet_error *error) {
  if (status != RESNET_OK) complain(n->model.file, error->message);
  return status == RESNET_OK;
}

static bool cut_shortcuts(timing *t) {
  resnet_error error;
  bool good = true;
  for (uint32_t b = 0; b < t->net->plan.block_count && good; b++)
    if (has_shortcut(&t->net->plan, b))
      good = worked(t->net, resnet_session_skip(t->session, b, RESNET_SKIP_SHORTCUT, 0, &error),
                    &error);
  return good;
}

static bool open_way(measurement *m, way which) {
  const uint32_t blocks = m->net->plan.block_count;
  const resnet_observe observe = which == WAY_APART ? RESNET_OBSERVE_RESPONSES : RESNET_OBSERVE_OPS;
  timing *t = &m->ways[which];
  resnet_error error;
  *t = (timing){.net = m->net, .way = which, .now = allocate(blocks, sizeof *t->now)};
  for (int half = 0; half < HALVES; half++) {
    t->least[half] = allocate(blocks, sizeof *t->least[half]);
    for (uint32_t b = 0; b < blocks; b++) t->least[half][b] = UINT64_MAX;
  }
  return model_open_session(&m->net->model, 1, 1, observe, &t->session) &&
         (which != WAY_CUT || cut_shortcuts(t)) &&
         worked(m->net, resnet_session_observe(t->session, add_time, t, &error), &error);
}

static bool run_way(measurement *m, timing *t, uint32_t run) {
  const uint32_t blocks = m->net->plan.block_count;
  resnet_error error;
  for (uint32_t b = 0; b < blocks; b++) t->now[b] = 0;
  if (!worked(m->net, resnet_run(t->session, m->input, RESNET_LAYOUT_NHWC, 1, m->scores, &error),
              &error))
    return false;
  uint64_t *least = t->least[run % HALVES];
  for (uint32_t b = 0; b < blocks && run >= WARM_UP_RUNS; b++)
    if (t->now[b] < least[b]) least[b] = t->now[b];
  return true;
}

static bool time_ways(measurement *m) {
  const double start = clock_seconds();
  const uint32_t least = LEAST_RUNS + WARM_UP_RUNS, most = MOST_RUNS + WARM_UP_RUNS;
  uint32_t run = 0;
  for (; run < least || (run < most && clock_seconds() - start < most_seconds); run++)
    for (int w = 0; w < WAY_COUNT; w++)
      if (!run_way(m, &m->ways[w], run)) return false;
  m->net->cost_runs = run - WARM_UP_RUNS;
  return true;
}

static double least_ms(const timing *t, uint32_t block) {
  const uint64_t even = t->least[0][block], odd = t->least[1][block];
  return (double)(even < odd ? even : odd) / 1e6;
}

static double noise_ms(const timing *t, uint32_t block) {
  return fabs((double)t->least[0][block] - (double)t->least[1][block]) / 1e6;
}

static void set_times(const measurement *m) {
  const timing *fused = &m->ways[WAY_FUSED], *cut = &m->ways[WAY_CUT], *apart = &m->ways[WAY_APART];
  for (uint32_t b = 0; b < m->net->plan.block_count; b++) {
    if (!has_shortcut(&m->net->plan, b)) continue;
    block_summary *s = &m->net->blocks[b];
    const double cost = least_ms(fused, b) - least_ms(cut, b);
    s->shortcut_ms = fabs(cost) > fmax(noise_ms(fused, b), noise_ms(cut, b)) ? cost : NAN;
    s->unfused_ms = least_ms(apart, b);
  }
}

static bool measure_times(net_summary *n) {
  measurement m = {.net = n};
  bool good = true;
  const resnet_model_info *info = &n->model.info;
  const size_t values = (size_t)info->input_height * info->input_width * info->input_channels;
  m.input = allocate(values, sizeof *m.input);
  model_random_input(m.input, values);
  m.scores = allocate(n->model.info.classes, sizeof *m.scores);
  for (int w = 0; w < WAY_COUNT && good; w++) good = open_way(&m, (way)w);
  good = good && time_ways(&m);
  if (good) set_times(&m);
  for (int w = 0; w < WAY_COUNT; w++) {
    resnet_session_close(&m.ways[w].session);
    free(m.ways[w].now);
    for (int half = 0; half < HALVES; half++) free(m.ways[w].least[half]);
  }
  free(m.input);
  free(m.scores);
  return good;
}

/* ---- bytes ---- */

/* What op `op` reads of its input: a 1x1 convolution with strides no more pixels than it
 * writes. */
static uint64_t input_bytes(const plan *p, const resnet_op *op) {
  if (op->input[0] >= p->op_count) return 0;
  const resnet_op *source = &p->ops[op->input[0]];
  const bool pixelwise =
      op->parameters > 0 && op->parameters / op->channels <= source->channels + 1;
  return pixelwise ? (uint64_t)op->height * op->width * source->channels * sizeof(float)
                   : source->output_bytes;
}

/* For the ops that make the shortcut: input, weights, output. */
static uint64_t making_bytes(const plan *p, uint32_t block) {
  uint64_t bytes = 0;
  for (uint32_t i = p->blocks[block].first_op; i <= p->blocks[block].last_op; i++) {
    const resnet_op *op = &p->ops[i];
    if (op->block == block && makes(op))
      bytes += input_bytes(p, op) + op->parameters * sizeof(float) + op->output_bytes;
  }
  return bytes;
}

/* Option A reads every other pixel of the channels that there are. */
static uint64_t subsampled_bytes(const plan *p, const resnet_op *adding) {
  const uint32_t source = adding->input[1];
  const uint64_t channels = source < p->op_count ? p->ops[source].channels : 0;
  return (uint64_t)adding->height * adding->width * channels * sizeof(float);
}

static void set_bytes(net_summary *n, uint32_t block) {
  const plan *p = &n->plan;
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
  for (uint32_t i = 0; i < c->net_count; i++) {
    net_summary *n = &c->nets[i];
    for (uint32_t b = 0; b < n->plan.block_count; b++) {
      n->blocks[b].shortcut_ms = n->blocks[b].unfused_ms = NAN;
      n->blocks[b].shortcut_bytes = n->blocks[b].unfused_bytes = 0;
      if (has_shortcut(&n->plan, b)) set_bytes(n, b);
    }
    if (n->residual && !measure_times(n)) return false;
  }
  return true;
}
