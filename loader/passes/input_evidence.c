#include "loader/passes/input_evidence.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "loader/import/nodes.h"
#include "loader/passes/input_statistics.h"

enum { MAX_CHANNELS = 3, MAX_STEPS = 64, TEXT_SIZE = 200 };

/* A value that is computed from the input alone: channel c is
 * scale[c] * input[source[c]] + shift[c]. */
typedef struct computed_input {
  uint32_t node, channels, input_channels;
  double scale[MAX_CHANNELS], shift[MAX_CHANNELS];
  uint32_t source[MAX_CHANNELS];
} computed_input;

/* What leads to the scores. A Concat that was merged leaves its parts behind. */
static bool *mark_live_nodes(import_context *ctx) {
  const uint32_t output = ctx->graph->output;
  bool *live = import_scratch(ctx, ctx->graph->node_count, sizeof *live);
  if (live) live[output] = true;
  for (uint32_t i = output + 1; live && i-- > 0;)
    for (uint32_t k = 0; live[i] && k < node_at(ctx, i)->input_count; k++)
      live[node_at(ctx, i)->input[k]] = true;
  return live;
}

/* Return the only reader of `node` that leads to the scores, or 0. */
static uint32_t only_reader(const import_context *ctx, const bool *live, uint32_t node) {
  uint32_t found = 0;
  for (uint32_t i = node + 1; i < ctx->graph->node_count; i++) {
    const graph_node *n = node_at(ctx, i);
    for (uint32_t k = 0; live[i] && k < n->input_count; k++) {
      if (n->input[k] != node) continue;
      if (found || n->input_count > 1) return 0;
      found = i;
    }
  }
  return found;
}

/* ---- what a node computes ---- */

static bool follow_affine(const import_context *ctx, uint32_t index, computed_input *v) {
  const pending_affine *d = &ctx->affines[index];
  if (!d->scale) return false;
  for (uint32_t c = 0; c < v->channels; c++) {
    v->scale[c] *= d->scale[c];
    v->shift[c] = v->shift[c] * d->scale[c] + d->shift[c];
  }
  return true;
}

/* Return whether filter `o` scales one channel, by one weight or by the mean of a window;
 * set this channel of the input and the scale. */
static bool scales_channel(const graph_node *n, uint32_t o, uint32_t inputs, uint32_t *channel,
                           double *scale) {
  const size_t size = n->weight_count / n->shape.c, of_group = inputs / n->groups;
  size_t found = 0, place = 0;
  double sum = 0, least = 0;
  for (size_t i = 0; i < size; i++) {
    const double weight = (double)n->weights[o * size + i];
    if (!(fabs(weight) > 0)) continue;
    if (found++ && i % of_group != place) return false;
    place = i % of_group;
    sum += weight;
    least = fmin(least, weight);
  }
  const bool is_mean = least >= 0 && fabs(sum - 1) < 1e-3;
  const bool every_pixel = n->window.stride_h == 1 && n->window.stride_w == 1;
  const uint32_t outputs_of_group = n->shape.c / n->groups;
  *channel = o / outputs_of_group * (uint32_t)of_group + (uint32_t)place;
  *scale = sum;
  return found > 0 && (is_mean || (found == 1 && every_pixel)) && *channel < inputs;
}

/* Follow a convolution that only scales, shifts, exchanges or repeats channels. */
static bool follow_conv(const graph_node *n, computed_input *v) {
  if ((n->shape.c != 1 && n->shape.c != MAX_CHANNELS) || !n->weights) return false;
  computed_input after = *v;
  after.channels = n->shape.c;
  for (uint32_t o = 0; o < n->shape.c; o++) {
    uint32_t from;
    double weight;
    if (!scales_channel(n, o, v->channels, &from, &weight)) return false;
    const double bias = n->bias ? (double)n->bias[o] : 0;
    after.scale[o] = v->scale[from] * weight;
    after.shift[o] = v->shift[from] * weight + bias;
    after.source[o] = v->source[from];
  }
  *v = after;
  return true;
}

/* Return whether a node of one input only leaves out, repeats or averages pixels: its
 * values have the range of its input's. */
static bool keeps_range(const graph_node *n) {
  switch (n->op) {
  case GRAPH_CLAMP:
  case GRAPH_PAD:
  case GRAPH_MAX_POOL:
  case GRAPH_AVERAGE_POOL:
  case GRAPH_GLOBAL_AVERAGE_POOL:
  case GRAPH_SUBSAMPLE:
  case GRAPH_FLATTEN:
    return true;
  default:
    return false;
  }
}

static bool follow(const import_context *ctx, uint32_t index, computed_input *v) {
  const graph_node *n = node_at(ctx, index);
  v->node = index;
  switch (n->op) {
  case GRAPH_AFFINE:
    return follow_affine(ctx, index, v);
  case GRAPH_CONV:
    return follow_conv(n, v);
  default:
    return keeps_range(n) && n->shape.c == v->channels;
  }
}

/* ---- what it shows ---- */

/* Return whether the input is unchanged, but for the epsilon of a batch normalisation. */
static bool is_identity(const computed_input *v) {
  for (uint32_t c = 0; c < v->channels; c++)
    if (fabs(v->scale[c] - 1) > 1e-3 || fabs(v->shift[c]) > 1e-3) return false;
  return true;
}

/* Return the statistics as input channels have them: before the graph exchanges them. */
static input_statistics statistics_of(const computed_input *v, const double *mean,
                                      const double *deviation) {
  input_statistics s = {.channels = v->channels, .learned = mean != NULL};
  const bool exchanged = v->input_channels == v->channels;
  for (uint32_t c = 0; c < v->channels; c++) {
    const uint32_t to = exchanged ? v->source[c] : c;
    s.mean[to] = ((mean ? mean[c] : 0) - v->shift[c]) / v->scale[c];
    s.deviation[to] = (deviation ? deviation[c] : 1) / v->scale[c];
  }
  return s;
}

static bool are_trivial(const pending_affine *d, uint32_t channels) {
  for (uint32_t c = 0; c < channels; c++)
    if (fabs(d->mean[c]) > 0 || fabs(d->deviation[c] - 1) > 1e-3) return false;
  return true;
}

/* Write "0.485, 0.456, 0.406", or one number if all are equal. */
static void list_numbers(const double *numbers, uint32_t count, char *text, size_t size) {
  bool equal = true;
  for (uint32_t c = 1; c < count; c++) equal = equal && !(fabs(numbers[c] - numbers[0]) > 0);
  if (count == 1 || equal)
    (void)snprintf(text, size, "%.4g", numbers[0]);
  else
    (void)snprintf(text, size, "(%.4g, %.4g, %.4g)", numbers[0], numbers[1], numbers[2]);
}

static void describe(const import_context *ctx, uint32_t node, const input_statistics *s,
                     char text[TEXT_SIZE]) {
  char mean[48], deviation[48];
  list_numbers(s->mean, s->channels, mean, sizeof mean);
  list_numbers(s->deviation, s->channels, deviation, sizeof deviation);
  (void)snprintf(text, TEXT_SIZE, "node '%.40s' computes (x - %s) / %s of input x",
                 node_at(ctx, node)->name, mean, deviation);
}

/* What was found. */
typedef struct finding {
  graph_evidence *best;
  char text[TEXT_SIZE];
  bool has_range; /* a step shows the range by itself: what follows changes nothing */
} finding;

/* Return whether the graph turns normalised images into images of a range. */
static bool is_inverse(const graph_evidence *e) {
  return e->kind == GRAPH_EVIDENCE_VALUES && e->std[0] < 0.99F;
}

/* Set what the value shows. A step that fits nothing makes those before it uncertain,
 * unless the network learned it. */
static void weigh(const import_context *ctx, const computed_input *v, const input_statistics *s,
                  finding *f) {
  const graph_evidence_kind before = f->best->kind;
  const bool known = before != GRAPH_EVIDENCE_NONE && before != GRAPH_EVIDENCE_UNKNOWN;
  graph_evidence found = {0};
  pass_recognise_statistics(s, &found);
  if (found.kind == GRAPH_EVIDENCE_UNKNOWN && known && (s->learned || f->has_range)) return;
  *f->best = found;
  f->has_range = f->has_range || is_inverse(&found);
  describe(ctx, v->node, s, f->text);
}

/* A clamp of the unchanged input shows its range. */
static void weigh_clamp(const import_context *ctx, const computed_input *v, finding *f) {
  const graph_node *n = node_at(ctx, v->node);
  const double low = (double)n->clamp_min, high = (double)n->clamp_max;
  const bool known = (low == 0 && (high == 1 || high == 255)) || (low == -1 && high == 1);
  if (!known || !is_identity(v)) return;
  pass_set_range(low, high, f->best);
  f->has_range = true;
  (void)snprintf(f->text, TEXT_SIZE, "node '%.40s' clips the input to %g and %g", n->name, low,
                 high);
}

/* Follow the input up to the first layer. Return the last node that was followed. */
static uint32_t follow_input(const import_context *ctx, const bool *live, finding *f) {
  const graph_shape shape = node_at(ctx, 0)->shape;
  computed_input v = {.channels = shape.c, .input_channels = shape.c};
  for (uint32_t c = 0; c < shape.c; c++) {
    v.scale[c] = 1;
    v.source[c] = c;
  }
  for (int step = 0; step < MAX_STEPS; step++) {
    const uint32_t next = only_reader(ctx, live, v.node);
    if (next == 0) break;
    const pending_affine *d = &ctx->affines[next];
    const bool learned = d->mean && !are_trivial(d, v.channels);
    const computed_input before = v;
    if (!follow(ctx, next, &v)) return before.node;
    if (node_at(ctx, next)->op == GRAPH_CLAMP) weigh_clamp(ctx, &v, f);
    const input_statistics s =
        learned ? statistics_of(&before, d->mean, d->deviation) : statistics_of(&v, NULL, NULL);
    const bool changed = memcmp(v.scale, before.scale, sizeof v.scale) != 0 ||
                         memcmp(v.shift, before.shift, sizeof v.shift) != 0;
    if (changed && !is_identity(&v)) weigh(ctx, &v, &s, f);
    if (learned) break;
  }
  return v.node;
}

/* ---- what cannot be followed ------------------------------------------------------- */

/* Return whether a node has weights that the network learned. A batch normalisation
 * before the layers is one, a mixture of an image's channels is none. */
static bool is_layer(const import_context *ctx, uint32_t index) {
  const graph_node *n = node_at(ctx, index);
  const graph_window *w = &n->window;
  switch (n->op) {
  case GRAPH_AFFINE:
    return ctx->affines[index].normalises;
  case GRAPH_CONV:
    return n->shape.c > MAX_CHANNELS || w->kernel_h > 1 || w->kernel_w > 1 || w->stride_h > 1 ||
           w->stride_w > 1;
  case GRAPH_LINEAR:
  case GRAPH_CHANNEL_CONV:
    return true;
  default:
    return false;
  }
}

/* Return the first node behind `followed` that changes the values of the input before
 * any layer, or 0. */
static uint32_t find_change(const import_context *ctx, bool *live, uint32_t followed) {
  bool *of_input = live; /* what no layer computes; live is not needed any more */
  for (uint32_t i = 1; i <= ctx->graph->output; i++) {
    const graph_node *n = node_at(ctx, i);
    bool all = of_input[i] && (i <= followed || !is_layer(ctx, i));
    for (uint32_t k = 0; k < n->input_count; k++) all = all && of_input[n->input[k]];
    of_input[i] = all;
    if (all && i > followed && !keeps_range(n) && !ctx->selections[i]) return i;
  }
  return 0;
}

/* Say that constants alone do not tell the values of the input. */
static void warn_of_change(const import_context *ctx, uint32_t node, finding *f) {
  if (node == 0 || f->best->kind != GRAPH_EVIDENCE_NONE) return;
  f->best->kind = GRAPH_EVIDENCE_UNKNOWN;
  (void)snprintf(f->text, TEXT_SIZE,
                 "node '%.40s' changes the input's values, and not by a scale and a shift alone",
                 node_at(ctx, node)->name);
}

/* Bytes are 0 to 255 in every graph. */
static void take_bytes(const import_context *ctx, finding *f) {
  const bool bgr = f->best->kind == GRAPH_EVIDENCE_VALUES && f->best->bgr;
  if (!ctx->input_is_bytes) return;
  if (f->best->kind != GRAPH_EVIDENCE_VALUES)
    (void)snprintf(f->text, TEXT_SIZE, "input '%.60s' is declared as bytes (uint8)",
                   node_at(ctx, 0)->output);
  pass_set_range(0, 255, f->best);
  f->best->bgr = bgr;
}

resnet_status pass_find_input_evidence(import_context *ctx) {
  graph_evidence *best = &ctx->graph->evidence;
  finding found = {.best = best};
  const uint32_t channels = node_at(ctx, 0)->shape.c;
  if (channels != 1 && channels != MAX_CHANNELS) return RESNET_OK; /* no image */
  bool *live = mark_live_nodes(ctx);
  if (!live) return err_no_memory(ctx->error, "the graph's nodes");
  const uint32_t followed = follow_input(ctx, live, &found);
  warn_of_change(ctx, find_change(ctx, live, followed), &found);
  take_bytes(ctx, &found);
  if (best->kind == GRAPH_EVIDENCE_NONE) return RESNET_OK;
  best->text = mem_copy_string(ctx->memory, found.text, strlen(found.text));
  return best->text ? RESNET_OK : err_no_memory(ctx->error, "a diagnostic");
}
