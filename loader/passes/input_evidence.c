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

/* Return whether filter `o` reads one number of the image, in the centre of its window;
 * set its channel of the input and its weight. */
static bool is_single_weight(const graph_node *n, uint32_t o, uint32_t inputs, uint32_t *channel,
                             double *weight) {
  const graph_window *w = &n->window;
  const size_t size = n->weight_count / n->shape.c, of_group = size / w->kernel_h / w->kernel_w;
  const size_t centre = (w->kernel_h / 2 * (size_t)w->kernel_w + w->kernel_w / 2) * of_group;
  size_t found = size;
  for (size_t i = 0; i < size; i++) {
    if (!(fabsf(n->weights[o * size + i]) > 0)) continue;
    if (found < size) return false;
    found = i;
  }
  if (found < centre || found >= centre + of_group) return false;
  const uint32_t outputs_of_group = n->shape.c / n->groups;
  *channel = o / outputs_of_group * (inputs / n->groups) + (uint32_t)(found - centre);
  *weight = (double)n->weights[o * size + found];
  return *channel < inputs;
}

static bool keeps_pixels(const graph_window *w) {
  return w->stride_h == 1 && w->stride_w == 1 && w->kernel_h % 2 == 1 && w->kernel_w % 2 == 1 &&
         w->pad_top == w->pad_bottom && w->pad_left == w->pad_right &&
         w->pad_top == w->kernel_h / 2 * w->dilation_h &&
         w->pad_left == w->kernel_w / 2 * w->dilation_w;
}

/* Follow a convolution that only scales, shifts, exchanges or repeats channels. */
static bool follow_conv(const graph_node *n, computed_input *v) {
  if (n->shape.c > MAX_CHANNELS || !n->weights || !keeps_pixels(&n->window)) return false;
  computed_input after = *v;
  after.channels = n->shape.c;
  for (uint32_t o = 0; o < n->shape.c; o++) {
    uint32_t from;
    double weight;
    if (!is_single_weight(n, o, v->channels, &from, &weight)) return false;
    const double bias = n->bias ? (double)n->bias[o] : 0;
    after.scale[o] = v->scale[from] * weight;
    after.shift[o] = v->shift[from] * weight + bias;
    after.source[o] = v->source[from];
  }
  *v = after;
  return true;
}

static bool follow(const import_context *ctx, uint32_t index, computed_input *v) {
  const graph_node *n = node_at(ctx, index);
  v->node = index;
  switch (n->op) {
  case GRAPH_AFFINE:
    return follow_affine(ctx, index, v);
  case GRAPH_CONV:
    return follow_conv(n, v);
  case GRAPH_CLAMP:
  case GRAPH_PAD:
    return true;
  default:
    return false;
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

/* Keep what the value shows if it is more than what was found before it. */
static void weigh(const import_context *ctx, const computed_input *v, const input_statistics *s,
                  graph_evidence *best, char text[TEXT_SIZE]) {
  graph_evidence found = {0};
  pass_recognise_statistics(s, &found);
  if (found.kind == GRAPH_EVIDENCE_UNKNOWN && best->kind != GRAPH_EVIDENCE_NONE &&
      best->kind != GRAPH_EVIDENCE_UNKNOWN)
    return;
  *best = found;
  describe(ctx, v->node, s, text);
}

/* A clamp of the unchanged input shows its range. */
static void weigh_clamp(const import_context *ctx, const computed_input *v, graph_evidence *best,
                        char text[TEXT_SIZE]) {
  const graph_node *n = node_at(ctx, v->node);
  const double low = (double)n->clamp_min, high = (double)n->clamp_max;
  const bool known = (low == 0 && (high == 1 || high == 255)) || (low == -1 && high == 1);
  if (!known || !is_identity(v)) return;
  pass_set_range(low, high, best);
  (void)snprintf(text, TEXT_SIZE, "node '%.40s' clips the input to %g and %g", n->name, low, high);
}

/* Follow the input up to the first layer. Return the last node that was followed. */
static uint32_t follow_input(const import_context *ctx, const bool *live, graph_evidence *best,
                             char text[TEXT_SIZE]) {
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
    if (node_at(ctx, next)->op == GRAPH_CLAMP) weigh_clamp(ctx, &v, best, text);
    const input_statistics s =
        learned ? statistics_of(&before, d->mean, d->deviation) : statistics_of(&v, NULL, NULL);
    const bool changed = memcmp(v.scale, before.scale, sizeof v.scale) != 0 ||
                         memcmp(v.shift, before.shift, sizeof v.shift) != 0;
    if (changed && !is_identity(&v)) weigh(ctx, &v, &s, best, text);
    if (learned) break;
  }
  return v.node;
}

/* ---- what cannot be followed ------------------------------------------------------- */

/* Return whether node `index` computes images from images, pixel by pixel: no layer. */
static bool is_pixelwise(const import_context *ctx, uint32_t index) {
  const graph_node *n = node_at(ctx, index);
  switch (n->op) {
  case GRAPH_AFFINE:
    return !ctx->affines[index].normalises; /* a batch norm before layers is one */
  case GRAPH_CONV:
    return n->shape.c <= MAX_CHANNELS && n->window.kernel_h == 1 && n->window.kernel_w == 1 &&
           n->window.stride_h == 1 && n->window.stride_w == 1;
  case GRAPH_ADD:
  case GRAPH_CLAMP:
  case GRAPH_PAD:
  case GRAPH_SOFTMAX:
  case GRAPH_LOG_SOFTMAX:
  case GRAPH_SIGMOID:
  case GRAPH_LEAKY_RELU:
  case GRAPH_PRELU:
  case GRAPH_SCALE:
  case GRAPH_POWER:
  case GRAPH_L2_NORMALIZE:
    return true;
  default:
    return false;
  }
}

/* Return the first node behind `followed` that changes the values of the input, pixel by
 * pixel, or 0. */
static uint32_t find_change(const import_context *ctx, bool *live, uint32_t followed) {
  bool *of_input = live; /* what is not followed any more */
  for (uint32_t i = 1; i <= ctx->graph->output; i++) {
    const graph_node *n = node_at(ctx, i);
    bool all = of_input[i] && is_pixelwise(ctx, i);
    for (uint32_t k = 0; k < n->input_count; k++) all = all && of_input[n->input[k]];
    of_input[i] = all;
    const bool keeps = n->op == GRAPH_CLAMP || n->op == GRAPH_PAD || ctx->selections[i];
    if (all && i > followed && !keeps) return i;
  }
  return 0;
}

/* Say that constants alone do not tell the values of the input. */
static void warn_of_change(const import_context *ctx, uint32_t node, graph_evidence *best,
                           char text[TEXT_SIZE]) {
  if (node == 0 || best->kind != GRAPH_EVIDENCE_NONE) return;
  best->kind = GRAPH_EVIDENCE_UNKNOWN;
  (void)snprintf(text, TEXT_SIZE,
                 "node '%.40s' changes the input's values, and not by a scale and a shift alone",
                 node_at(ctx, node)->name);
}

/* Bytes are 0 to 255, whatever the graph makes of them. */
static void take_bytes(const import_context *ctx, graph_evidence *best, char text[TEXT_SIZE]) {
  const bool bgr = best->kind == GRAPH_EVIDENCE_VALUES && best->bgr;
  if (!ctx->input_is_bytes) return;
  if (best->kind != GRAPH_EVIDENCE_VALUES)
    (void)snprintf(text, TEXT_SIZE, "input '%.60s' is declared as bytes (uint8)",
                   node_at(ctx, 0)->output);
  pass_set_range(0, 255, best);
  best->bgr = bgr;
}

resnet_status pass_find_input_evidence(import_context *ctx) {
  graph_evidence *best = &ctx->graph->evidence;
  char text[TEXT_SIZE] = "";
  const uint32_t channels = node_at(ctx, 0)->shape.c;
  if (channels != 1 && channels != MAX_CHANNELS) return RESNET_OK; /* no image */
  bool *live = mark_live_nodes(ctx);
  if (!live) return err_no_memory(ctx->error, "the graph's nodes");
  const uint32_t followed = follow_input(ctx, live, best, text);
  warn_of_change(ctx, find_change(ctx, live, followed), best, text);
  take_bytes(ctx, best, text);
  if (best->kind == GRAPH_EVIDENCE_NONE) return RESNET_OK;
  best->text = mem_copy_string(ctx->memory, text, strlen(text));
  return best->text ? RESNET_OK : err_no_memory(ctx->error, "a diagnostic");
}
