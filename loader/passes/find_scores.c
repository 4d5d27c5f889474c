/* What the numbers are is followed from the layers to the output: each node keeps it,
 * changes it, or loses it. */
#include "loader/passes/find_scores.h"

#include <math.h>

#include "loader/import/nodes.h"

typedef enum number_kind {
  LOGITS,       /* sums of a layer */
  INDEPENDENT,  /* each within bounds, by itself */
  DISTRIBUTION, /* within bounds, with a known sum */
  LOGARITHMS,   /* a distribution's */
  FEATURES
} number_kind;

/* What is known of a node's numbers. */
typedef struct numbers {
  number_kind kind;
  bool uneven;  /* scaled by batch norm, or with different factors for the channels */
  bool clamped; /* independent by a clamp alone, as quantised features are, too */
  double low, high, sum;
  uint32_t first, count; /* channels that hold them; the others are 0 */
  /* A single channel is scale * the number of node `base` + shift. */
  uint32_t base;
  double scale, shift;
} numbers;

static const double TOLERANCE = 1e-6, CLIPPED = 1e-3; /* by losses that take logarithms */

static bool is_bounded(const numbers *x) {
  return x->kind == INDEPENDENT || x->kind == DISTRIBUTION;
}

static void set_features(numbers *x) { x->kind = FEATURES; }

/* Make them numbers between low and high, the result of node `index`. */
static void set_bounds(numbers *x, number_kind kind, double low, double high, uint32_t index) {
  x->kind = kind;
  x->low = low;
  x->high = high;
  x->base = index;
  x->scale = 1;
  x->shift = 0;
}

/* ---- one input --------------------------------------------------------------------- */

static void pass_clamp(numbers *x, const graph_node *n, uint32_t index) {
  const double low = (double)n->clamp_min, high = (double)n->clamp_max;
  switch (x->kind) {
  case LOGITS:
    if (!(low >= 0 && high <= 1)) return;
    set_bounds(x, INDEPENDENT, low, high, index);
    x->clamped = true;
    return;
  case DISTRIBUTION:
    if (low > x->low + CLIPPED || high < x->high - CLIPPED) {
      set_features(x);
      return;
    }
    set_bounds(x, DISTRIBUTION, fmax(x->low, low), fmin(x->high, high), index);
    return;
  case INDEPENDENT:
    if (low <= x->low && high >= x->high) return;
    set_bounds(x, INDEPENDENT, fmin(fmax(x->low, low), high), fmax(fmin(x->high, high), low),
               index);
    return;
  case LOGARITHMS:
    if (low > log(CLIPPED) || high < 0) set_features(x);
    return;
  case FEATURES:
    return;
  }
}

/* Scale and shift the bounds and the sum. */
static void move_bounds(numbers *x, const pending_affine *d) {
  double low = INFINITY, high = -INFINITY, shifts = 0;
  for (uint32_t c = 0; c < x->count; c++) {
    const double a = d->scale[c] * x->low + d->shift[c], b = d->scale[c] * x->high + d->shift[c];
    low = fmin(low, fmin(a, b));
    high = fmax(high, fmax(a, b));
    shifts += d->shift[c];
  }
  x->low = low;
  x->high = high;
  x->sum = d->scale[0] * x->sum + shifts;
  x->scale *= d->scale[0];
  x->shift = d->scale[0] * x->shift + d->shift[0];
}

static void pass_affine(numbers *x, const graph_node *n, const pending_affine *d, uint32_t index) {
  bool uneven = d->normalises;
  for (uint32_t c = 1; c < x->count; c++)
    uneven = uneven || d->scale[c] < d->scale[0] || d->scale[c] > d->scale[0];
  x->uneven = x->uneven || uneven;
  if (x->kind == LOGARITHMS || (x->kind == DISTRIBUTION && uneven))
    set_features(x);
  else if (is_bounded(x))
    move_bounds(x, d);
  pass_clamp(x, n, index); /* HardSigmoid */
}

/* A pool over a map of class scores keeps them: of a convolution without an activation
 * function, or of sigmoids. Else it pools features. */
static void pass_pool(const import_context *ctx, numbers *x, const graph_node *pool) {
  const bool of_layer = x->kind == LOGITS && node_at(ctx, pool->input[0])->op == GRAPH_CONV;
  if (!of_layer && (x->kind != INDEPENDENT || x->clamped)) set_features(x);
  if (pool->op != GRAPH_MAX_POOL) x->low = fmin(x->low, 0); /* borders of zeros */
}

/* ---- two inputs -------------------------------------------------------------------- */

/* Take the zeros in the other channels as numbers, too. */
static numbers with_zeros(numbers x, uint32_t channels) {
  if (x.count == channels) return x;
  x.first = 0;
  x.count = channels;
  x.low = fmin(x.low, 0);
  x.high = fmax(x.high, 0);
  x.base = RESNET_NO_INDEX;
  return x;
}

/* Return whether these are p and 1 - p. */
static bool are_complements(const numbers *a, const numbers *b) {
  return a->kind == INDEPENDENT && b->kind == INDEPENDENT && a->count == 1 && b->count == 1 &&
         a->base != RESNET_NO_INDEX && a->base == b->base &&
         fabs(a->scale + b->scale) <= TOLERANCE && fabs(a->shift + b->shift - 1) <= TOLERANCE;
}

/* Join channels. Two distributions are none, but each number holds by itself. */
static numbers join(const numbers *a, const numbers *b) {
  numbers both = *a;
  both.count += b->count;
  both.base = RESNET_NO_INDEX;
  both.uneven = a->uneven || b->uneven;
  both.clamped = a->clamped || b->clamped;
  both.low = fmin(a->low, b->low);
  both.high = fmax(a->high, b->high);
  both.sum = 1;
  if (is_bounded(a) && is_bounded(b))
    both.kind = are_complements(a, b) ? DISTRIBUTION : INDEPENDENT;
  else if (a->kind != LOGITS || b->kind != LOGITS)
    set_features(&both);
  return both;
}

static numbers add(const numbers *a, const numbers *b) {
  numbers sum = *a;
  sum.base = RESNET_NO_INDEX;
  sum.uneven = a->uneven || b->uneven;
  sum.clamped = a->clamped || b->clamped;
  sum.low += b->low;
  sum.high += b->high;
  sum.sum += b->sum;
  if (is_bounded(a) && is_bounded(b))
    sum.kind = a->kind == b->kind ? a->kind : INDEPENDENT;
  else if (a->kind != LOGITS || b->kind != LOGITS)
    set_features(&sum);
  return sum;
}

static numbers multiply(const numbers *a, const numbers *b) {
  const double products[4] = {a->low * b->low, a->low * b->high, a->high * b->low,
                              a->high * b->high};
  numbers product = *a;
  product.base = RESNET_NO_INDEX;
  product.clamped = a->clamped || b->clamped;
  product.low = fmin(fmin(products[0], products[1]), fmin(products[2], products[3]));
  product.high = fmax(fmax(products[0], products[1]), fmax(products[2], products[3]));
  product.kind = is_bounded(a) && is_bounded(b)               ? INDEPENDENT
                 : a->kind == FEATURES || b->kind == FEATURES ? FEATURES
                                                              : LOGITS;
  return product;
}

/* A Concat is a sum of vectors that have zeros for each other's channels. */
static numbers combine(const graph_node *n, numbers a, numbers b) {
  const uint32_t channels = n->shape.c;
  if (n->op == GRAPH_ADD && a.count < channels && b.count < channels) {
    if (a.first + a.count == b.first) return join(&a, &b);
    if (b.first + b.count == a.first) return join(&b, &a);
  }
  a = with_zeros(a, channels);
  b = with_zeros(b, channels);
  return n->op == GRAPH_ADD ? add(&a, &b) : multiply(&a, &b);
}

/* ---- all nodes --------------------------------------------------------------------- */

/* Return what node `index` makes of its input's numbers x. */
static numbers pass_node(const import_context *ctx, uint32_t index, numbers x) {
  const graph_node *n = node_at(ctx, index);
  if (n->op == GRAPH_SUBSAMPLE) {
    x.first += n->channels_before;
    return x;
  }
  x = with_zeros(x, n->shape.c);
  switch (n->op) {
  case GRAPH_CLAMP:
    pass_clamp(&x, n, index);
    break;
  case GRAPH_AFFINE:
    pass_affine(&x, n, &ctx->affines[index], index);
    break;
  case GRAPH_GLOBAL_AVERAGE_POOL:
  case GRAPH_AVERAGE_POOL:
  case GRAPH_MAX_POOL:
    pass_pool(ctx, &x, n);
    break;
  case GRAPH_LEAKY_RELU:
  case GRAPH_PRELU:
    if (x.kind != LOGITS && !(is_bounded(&x) && x.low >= 0)) set_features(&x);
    break;
  case GRAPH_FLATTEN:
  case GRAPH_POWER:
  case GRAPH_L2_NORMALIZE:
    set_features(&x);
    break;
  default:
    break;
  }
  return x;
}

/* Return what node `index` gives, with those before it in `known`. */
static numbers find_numbers(const import_context *ctx, uint32_t index, const numbers *known) {
  const graph_node *n = node_at(ctx, index);
  numbers fresh = {.kind = LOGITS, .count = n->shape.c, .base = RESNET_NO_INDEX};
  switch (n->op) {
  case GRAPH_INPUT:
  case GRAPH_CONV:
  case GRAPH_LINEAR:
  case GRAPH_CHANNEL_CONV:
    return fresh;
  case GRAPH_SIGMOID:
    set_bounds(&fresh, INDEPENDENT, 0, 1, index);
    return fresh;
  case GRAPH_SOFTMAX:
    set_bounds(&fresh, n->shape.c > 1 ? DISTRIBUTION : FEATURES, 0, 1, index);
    fresh.sum = 1;
    return fresh;
  case GRAPH_LOG_SOFTMAX:
    fresh.kind = n->shape.c > 1 ? LOGARITHMS : FEATURES;
    return fresh;
  case GRAPH_ADD:
  case GRAPH_SCALE:
    return combine(n, known[n->input[0]], known[n->input[1]]);
  default:
    return pass_node(ctx, index, known[n->input[0]]);
  }
}

/* Return the kind of the output's scores. */
static resnet_scores name_kind(const numbers *x) {
  const bool one = x->count == 1;
  const bool in_range = x->low >= -TOLERANCE && x->high <= 1 + TOLERANCE;
  switch (x->kind) {
  case LOGITS:
    if (one) return RESNET_SCORES_BINARY_LOGIT;
    return x->uneven ? RESNET_SCORES_EMBEDDING : RESNET_SCORES_LOGITS;
  case INDEPENDENT:
    if (!in_range) return RESNET_SCORES_EMBEDDING;
    return one ? RESNET_SCORES_BINARY_PROBABILITY : RESNET_SCORES_MULTI_LABEL;
  case DISTRIBUTION:
    return in_range && fabs(x->sum - 1) <= CLIPPED ? RESNET_SCORES_PROBABILITIES
                                                   : RESNET_SCORES_EMBEDDING;
  case LOGARITHMS:
    return RESNET_SCORES_LOG_PROBABILITIES;
  case FEATURES:
    break;
  }
  return RESNET_SCORES_EMBEDDING;
}

resnet_status scores_find(import_context *ctx) {
  const uint32_t output = ctx->graph->output;
  numbers *known = import_scratch(ctx, (size_t)output + 1, sizeof *known);
  if (!known) return err_no_memory(ctx->error, "the kinds of scores");
  for (uint32_t i = 0; i <= output; i++) known[i] = find_numbers(ctx, i, known);
  const numbers last = with_zeros(known[output], node_at(ctx, output)->shape.c);
  ctx->graph->scores = name_kind(&last);
  return RESNET_OK;
}
