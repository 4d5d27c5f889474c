#include "loader/graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/mask.h"

const graph_op_row graph_op_rows[GRAPH_OP_COUNT] = {
#define GRAPH_OP(NAME, name, inputs, fields, check, kernel)                                        \
  [GRAPH_##NAME] = {#NAME, inputs, fields},
#include "loader/graph/ops.def"
};

bool graph_op_uses(graph_op op, unsigned use) { return (graph_op_rows[op].fields & use) != 0; }

void graph_release_nodes(memory *m, graph_node *nodes, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    mem_release(m, nodes[i].name);
    mem_release(m, nodes[i].output);
    if (nodes[i].weights_borrowed) continue;
    mem_release(m, nodes[i].weights);
    mem_release(m, nodes[i].bias);
  }
  mem_release(m, nodes);
}

void graph_release_labels(graph *g) {
  for (uint32_t i = 0; i < g->label_count; i++) mem_release(g->memory, g->labels[i]);
  mem_release(g->memory, g->labels);
  g->labels = NULL;
  g->label_count = 0;
}

void graph_release(graph *g) {
  memory *m = g->memory;
  if (!m) return;
  graph_release_nodes(m, g->nodes, g->node_count);
  for (uint32_t i = 0; i < g->block_count; i++) mem_release(m, g->blocks[i].name);
  for (uint32_t i = 0; i < g->diagnostic_count; i++) mem_release(m, g->diagnostics[i].message);
  mem_release(m, g->diagnostics);
  mem_release(m, g->blocks);
  graph_release_labels(g);
  mem_release(m, g->name);
  mem_release(m, g->producer);
  mem_release(m, g->evidence.text);
  memset(g, 0, sizeof *g);
}

resnet_status graph_add_diagnostic(graph *g, resnet_error *error, resnet_severity severity,
                                   const char *format, ...) {
  char text[RESNET_ERROR_MESSAGE_SIZE];
  if (g->diagnostic_count == GRAPH_MAX_DIAGNOSTICS) return RESNET_OK;
  if (!g->diagnostics)
    g->diagnostics = mem_allocate(g->memory, GRAPH_MAX_DIAGNOSTICS, sizeof *g->diagnostics);
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  mask_text(text);
  char *message = g->diagnostics ? mem_copy_string(g->memory, text, strlen(text)) : NULL;
  if (!message) return err_no_memory(error, "the diagnostics");
  g->diagnostics[g->diagnostic_count++] = (graph_diagnostic){severity, message};
  return RESNET_OK;
}

/* ---- blocks ------------------------------------------------------------------------ */

bool graph_continues_branch(const graph *g, uint32_t index) {
  const graph_node *n = &g->nodes[index];
  if (n->op != GRAPH_SCALE) return n->input_count == 1;
  uint32_t gate = n->input[1];
  /* inputs come before their readers */
  while (gate > n->input[0] && g->nodes[gate].input_count == 1) gate = g->nodes[gate].input[0];
  return gate == n->input[0];
}

resnet_shortcut graph_shortcut_kind(const graph *g, uint32_t source, uint32_t end) {
  bool has_weights = false, pools = false, subsamples = false;
  if (end == source) return RESNET_SHORTCUT_IDENTITY;
  for (uint32_t i = end; i != source; i = g->nodes[i].input[0]) {
    const graph_op op = g->nodes[i].op;
    has_weights |= op == GRAPH_CONV || op == GRAPH_LINEAR || op == GRAPH_CHANNEL_CONV;
    pools |= op == GRAPH_MAX_POOL || op == GRAPH_AVERAGE_POOL;
    subsamples |= op == GRAPH_SUBSAMPLE;
  }
  if (has_weights) return RESNET_SHORTCUT_PROJECTION;
  if (pools) return RESNET_SHORTCUT_POOL;
  return subsamples ? RESNET_SHORTCUT_OPTION_A : RESNET_SHORTCUT_NONE;
}

/* ---- pools ------------------------------------------------------------------------- */

/* Return the smallest x with low <= a * x mod m <= high; UINT32_MAX: there is none.
 * a < m and low <= high < m; m and a shrink as in Euclid's algorithm. */
static uint64_t first_in_range(uint64_t a, uint64_t m, uint64_t low, uint64_t high) {
  if (low == 0) return 0;
  if (a == 0) return UINT32_MAX;
  const uint64_t x = (low + a - 1) / a;
  if (x * a <= high) return x;
  /* no multiple of a is in the range: y multiples of m bring one there */
  const uint64_t y = first_in_range(m % a, a, (a - high % a) % a, (a - low % a) % a);
  return y == UINT32_MAX ? UINT32_MAX : (low + m * y + a - 1) / a;
}

/* Return whether each window has a tap inside, along one axis. Window i begins at
 * i * stride - before. One that begins inside has its first tap there. One that begins
 * before the input has a first tap behind the border, less than `dilation` inside. */
static bool span_has_taps(uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t before,
                          uint32_t in, uint32_t out) {
  if (before > (uint64_t)(kernel - 1) * dilation) return false;
  if ((uint64_t)(out - 1) * stride >= (uint64_t)before + in) return false;
  if (dilation <= in) return true;
  /* places of the first taps: that of the window at 0, then `stride` more for each */
  const uint32_t first = (dilation - before % dilation) % dilation;
  if (before == 0) return true;
  if (first >= in) return false;
  const uint64_t outside =
      first_in_range(stride % dilation, dilation, in - first, dilation - 1 - first);
  return outside >= out || outside * stride >= before;
}

bool graph_pool_has_taps(const graph_window *w, graph_shape in, graph_shape out) {
  return span_has_taps(w->kernel_h, w->stride_h, w->dilation_h, w->pad_top, in.h, out.h) &&
         span_has_taps(w->kernel_w, w->stride_w, w->dilation_w, w->pad_left, in.w, out.w);
}

/* ---- numbers ----------------------------------------------------------------------- */

bool graph_all_finite(const float *numbers, size_t count) {
  /* IEEE 754: with all bits of the exponent set, a float is infinite or NaN. */
  static const uint32_t exponent = 0x7f800000;
  uint32_t others = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &numbers[i], sizeof bits);
    /* No early exit, so that compilers vectorise the loop. */
    others |= (bits & exponent) == exponent;
  }
  return others == 0;
}

bool graph_is_binary(resnet_scores scores) {
  return scores == RESNET_SCORES_BINARY_LOGIT || scores == RESNET_SCORES_BINARY_PROBABILITY;
}

uint32_t graph_class_count(resnet_scores scores, uint32_t count) {
  if (scores == RESNET_SCORES_EMBEDDING) return 0;
  return graph_is_binary(scores) ? 2 : count;
}

/* Return whether node `index` gives what an activation function of the scores made, e.g.
 * percentages, through scales, clamps and sums. A long way counts as one. */
static bool follows_scores(const graph *g, uint32_t index) {
  enum { MAX_STEPS = 64, MAX_OPEN = 16 };
  uint32_t open[MAX_OPEN] = {index}, count = 1;
  for (int step = 0; count && step < MAX_STEPS; step++) {
    const graph_node *n = &g->nodes[open[--count]];
    switch (n->op) {
    case GRAPH_SOFTMAX:
    case GRAPH_SIGMOID:
    case GRAPH_FLATTEN:
    case GRAPH_POWER:
    case GRAPH_L2_NORMALIZE:
      return true;
    case GRAPH_ADD:
    case GRAPH_AFFINE:
    case GRAPH_CLAMP:
    case GRAPH_SUBSAMPLE:
      if (count + n->input_count > MAX_OPEN) return true;
      for (uint32_t k = 0; k < n->input_count; k++) open[count++] = n->input[k];
      break;
    default:
      break;
    }
  }
  return count > 0;
}

void graph_take_as_classes(graph *g, uint32_t count) {
  const graph_node *last = &g->nodes[g->output];
  if (last->shape.c == count && count > 1 && last->op != GRAPH_LOG_SOFTMAX &&
      !follows_scores(g, g->output))
    g->scores = RESNET_SCORES_LOGITS;
}
