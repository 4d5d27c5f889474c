/* The kind is found by walking back from the output, over what keeps the kind, to the
 * node that decides it. */
#include "loader/passes/find_scores.h"

#include <math.h>

#include "loader/import/nodes.h"

/* What the walk has passed. */
typedef struct tail {
  const graph_node *decides;
  bool bounded;     /* clamped to a part of [0,1] behind the last layer */
  bool is_shifted;  /* multiplied or shifted */
  bool is_uneven;   /* by batch norm, or with different factors for the channels */
  double low, high; /* images of 0 and 1 under the affine functions; channel 0 */
} tail;

static bool is_bounded(const graph_node *n) { return n->clamp_min >= 0 && n->clamp_max <= 1; }

static void pass_affine(tail *t, const graph_node *n, const pending_affine *d) {
  t->is_shifted = true;
  t->is_uneven = t->is_uneven || d->normalises;
  const double slope = t->high - t->low, base = t->low;
  t->low = base + slope * d->shift[0];
  t->high = base + slope * (d->scale[0] + d->shift[0]);
  for (uint32_t c = 1; c < n->shape.c; c++)
    if (d->scale[c] < d->scale[0] || d->scale[c] > d->scale[0]) t->is_uneven = true;
}

/* Walk over clamps, affine functions, and sums of vectors (ensembles, Concat). The affine
 * functions are composed from the last to the first, so that low and high hold for a
 * single one. */
static tail walk_back(const import_context *ctx) {
  tail t = {.high = 1};
  for (uint32_t i = ctx->graph->output;; i = node_at(ctx, i)->input[0]) {
    const graph_node *n = t.decides = node_at(ctx, i);
    switch (n->op) {
    case GRAPH_CLAMP:
      t.bounded = t.bounded || is_bounded(n);
      break;
    case GRAPH_AFFINE:
      t.bounded = t.bounded || is_bounded(n); /* HardSigmoid */
      pass_affine(&t, n, &ctx->affines[i]);
      break;
    case GRAPH_ADD:
      break;
    case GRAPH_SUBSAMPLE:
      if (n->shape.h == 1 && n->shape.w == 1) break;
      return t;
    default:
      return t;
    }
  }
}

/* Return whether the output joins p and 1 - p, in either order: the probabilities of two
 * classes. The parts have each one channel. */
static bool joins_complement(const import_context *ctx) {
  const graph_node *sum = node_at(ctx, ctx->graph->output);
  if (sum->op != GRAPH_ADD || sum->shape.c != 2) return false;
  for (uint32_t k = 0; k < 2; k++) {
    const graph_node *one = node_at(ctx, sum->input[k]), *other = node_at(ctx, sum->input[1 - k]);
    if (one->op != GRAPH_SUBSAMPLE || other->op != GRAPH_SUBSAMPLE) return false;
    const uint32_t rest = one->input[0], p = other->input[0];
    const pending_affine *d = &ctx->affines[rest];
    if (node_at(ctx, rest)->op == GRAPH_AFFINE && node_at(ctx, rest)->input[0] == p &&
        node_at(ctx, p)->op == GRAPH_SIGMOID && fabs(d->scale[0] + 1) <= 0 &&
        fabs(d->shift[0] - 1) <= 0)
      return true;
  }
  return false;
}

/* Return the kind of scores that are independent numbers in [0,1]. */
static resnet_scores independent(const tail *t, uint32_t count) {
  const bool in_range =
      t->bounded || (fmin(t->low, t->high) >= 0 && fmax(t->low, t->high) <= 1 && !t->is_uneven);
  if (count > 1) return RESNET_SCORES_MULTI_LABEL;
  return in_range ? RESNET_SCORES_BINARY_PROBABILITY : RESNET_SCORES_EMBEDDING;
}

/* Return whether a global average pool averages a map of class scores: what it reads is
 * the sum of a convolution, without an activation function. */
static bool pools_classes(const import_context *ctx, const graph_node *pool) {
  const graph_node *n = node_at(ctx, pool->input[0]);
  return pool->op == GRAPH_GLOBAL_AVERAGE_POOL && n->op == GRAPH_CONV;
}

static resnet_scores find_kind(const import_context *ctx) {
  const tail t = walk_back(ctx);
  const uint32_t count = node_at(ctx, ctx->graph->output)->shape.c;
  switch (t.decides->op) {
  case GRAPH_SOFTMAX:
    return count > 1 ? RESNET_SCORES_PROBABILITIES : RESNET_SCORES_EMBEDDING;
  case GRAPH_LOG_SOFTMAX:
    return count > 1 && !t.is_shifted ? RESNET_SCORES_LOG_PROBABILITIES : RESNET_SCORES_EMBEDDING;
  case GRAPH_SIGMOID:
    return joins_complement(ctx) ? RESNET_SCORES_PROBABILITIES : independent(&t, count);
  case GRAPH_FLATTEN:
  case GRAPH_POWER:
  case GRAPH_L2_NORMALIZE:
    return RESNET_SCORES_EMBEDDING;
  case GRAPH_GLOBAL_AVERAGE_POOL:
  case GRAPH_MAX_POOL:
  case GRAPH_AVERAGE_POOL:
    if (!pools_classes(ctx, t.decides)) return RESNET_SCORES_EMBEDDING;
    break;
  default:
    break;
  }
  if (t.bounded) return independent(&t, count);
  if (t.is_uneven && count > 1) return RESNET_SCORES_EMBEDDING;
  return count > 1 ? RESNET_SCORES_LOGITS : RESNET_SCORES_BINARY_LOGIT;
}

void scores_find(import_context *ctx) { ctx->graph->scores = find_kind(ctx); }
