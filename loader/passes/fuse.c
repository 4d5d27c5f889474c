/* After this pass, equal networks have equal graphs, in whichever way ONNX spells
 * them. */
#include "loader/passes/fuse.h"

#include <math.h>

#include "loader/import/nodes.h"

/* Count the readers that lead to the scores. The caller reads the scores. */
static void count_node_readers(import_context *ctx) {
  ctx->readers[ctx->graph->output] = 1;
  for (uint32_t i = ctx->graph->node_count; i-- > 0;) {
    const graph_node *n = node_at(ctx, i);
    for (uint32_t k = 0; k < n->input_count && ctx->readers[i]; k++) ctx->readers[n->input[k]]++;
  }
}

static bool is_clamped(const graph_node *n) {
  return n->clamp_min > -INFINITY || n->clamp_max < INFINITY;
}

/* Compose y = scale2 (scale1 x + shift1) + shift2, in double precision. */
static void compose_affine(pending_affine *first, const pending_affine *second, uint32_t channels) {
  if (!first->scale) {
    first->scale = second->scale;
    first->shift = second->shift;
    return;
  }
  for (uint32_t c = 0; c < channels; c++) {
    first->shift[c] = second->scale[c] * first->shift[c] + second->shift[c];
    first->scale[c] *= second->scale[c];
  }
}

static bool fuse_affine(import_context *ctx, uint32_t into, uint32_t index) {
  graph_node *producer = node_at(ctx, into);
  bool linear =
      producer->op == GRAPH_CONV || producer->op == GRAPH_LINEAR || producer->op == GRAPH_AFFINE;
  if (!linear || is_clamped(producer)) return false;
  compose_affine(&ctx->affines[into], &ctx->affines[index], producer->shape.c);
  producer->clamp_min = node_at(ctx, index)->clamp_min;
  producer->clamp_max = node_at(ctx, index)->clamp_max;
  return true;
}

static float clamp_float(float x, float low, float high) {
  return x < low ? low : x > high ? high : x;
}

static bool fuse_clamp(import_context *ctx, uint32_t into, uint32_t index) {
  graph_node *producer = node_at(ctx, into);
  const graph_node *n = node_at(ctx, index);
  if (!graph_op_uses(producer->op, GRAPH_USES_CLAMP)) return false;
  producer->clamp_min = clamp_float(producer->clamp_min, n->clamp_min, n->clamp_max);
  producer->clamp_max = clamp_float(producer->clamp_max, n->clamp_min, n->clamp_max);
  return true;
}

/* Fuse the parts of an option-A shortcut: a Slice of the rows, a Slice of the columns and
 * a Pad of the channels. */
static bool fuse_subsample(import_context *ctx, uint32_t into, uint32_t index) {
  graph_node *first = node_at(ctx, into);
  const graph_node *second = node_at(ctx, index);
  if (first->op != GRAPH_SUBSAMPLE || first->stride_h * second->stride_h > GRAPH_MAX_WINDOW ||
      first->stride_w * second->stride_w > GRAPH_MAX_WINDOW)
    return false;
  first->stride_h *= second->stride_h;
  first->stride_w *= second->stride_w;
  first->channels_before += second->channels_before;
  first->shape = second->shape;
  return true;
}

/* Let the product compute its gate's sigmoid, if nothing else reads it. */
static void fuse_gate(import_context *ctx, uint32_t index) {
  graph_node *n = node_at(ctx, index);
  const graph_node *gate = node_at(ctx, n->input[1]);
  if (n->op != GRAPH_SCALE || gate->op != GRAPH_SIGMOID || ctx->readers[n->input[1]] != 1) return;
  ctx->readers[n->input[1]] = 0;
  n->input[1] = gate->input[0];
  n->sigmoid = true;
}

static bool fuse_into(import_context *ctx, uint32_t into, uint32_t index) {
  if (ctx->readers[into] != 1) return false;
  switch (node_at(ctx, index)->op) {
  case GRAPH_AFFINE:
    return fuse_affine(ctx, into, index);
  case GRAPH_CLAMP:
    return fuse_clamp(ctx, into, index);
  case GRAPH_SUBSAMPLE:
    return fuse_subsample(ctx, into, index);
  default:
    return false;
  }
}

/* Drop node `index`: its readers read `into`, which now computes its output. */
static void replace_node(import_context *ctx, uint32_t into, uint32_t index) {
  graph_node *kept = node_at(ctx, into), *gone = node_at(ctx, index);
  char *name = kept->output;
  kept->output = gone->output;
  gone->output = name;
  ctx->readers[into] = ctx->readers[index];
  ctx->readers[index] = 0;
}

/* ---- applying affines -------------------------------------------------------------- */

static resnet_status make_affine_floats(import_context *ctx, graph_node *n) {
  n->weight_count = n->bias_count = n->shape.c;
  n->weights = mem_allocate(ctx->memory, n->weight_count, sizeof *n->weights);
  n->bias = mem_allocate(ctx->memory, n->bias_count, sizeof *n->bias);
  if (!n->weights || !n->bias) return err_no_memory(ctx->error, "a normalisation");
  for (size_t c = 0; c < n->shape.c; c++) n->weights[c] = 1;
  return RESNET_OK;
}

static resnet_status overflows(const import_context *ctx, const graph_node *n, const char *what) {
  return err_fail(ctx->error, RESNET_ERROR_FORMAT,
                  "node '%.80s': its %s overflow once scales and normalisations are folded in: "
                  "train or export again",
                  n->name, what);
}

/* Scale the weights, rounding once. Each row is checked while it is in the cache. */
static bool scale_weights(const graph_node *n, const double *scale) {
  size_t per_channel = n->weight_count / n->shape.c;
  float *weights = n->weights;
  bool finite = true;
  for (size_t c = 0; c < n->shape.c; c++, weights += per_channel) {
    double factor = scale[c];
    for (size_t i = 0; i < per_channel; i++) weights[i] = (float)(factor * (double)weights[i]);
    finite = graph_all_finite(weights, per_channel) && finite;
  }
  return finite;
}

/* Apply the pending affine: w' = scale w, b' = scale b + shift. Weights that are not
 * scaled were checked by their handler. */
static resnet_status apply_affine(import_context *ctx, uint32_t index) {
  graph_node *n = node_at(ctx, index);
  const pending_affine *d = &ctx->affines[index];
  if (n->op == GRAPH_AFFINE && make_affine_floats(ctx, n) != RESNET_OK) return RESNET_ERROR_MEMORY;
  if (d->scale) {
    if (!scale_weights(n, d->scale)) return overflows(ctx, n, "weights");
    for (size_t c = 0; c < n->shape.c; c++)
      n->bias[c] = (float)(d->scale[c] * (double)n->bias[c] + d->shift[c]);
  }
  return graph_all_finite(n->bias, n->bias_count) ? RESNET_OK : overflows(ctx, n, "biases");
}

/* Limit one image's activations, all together: the runtime counts them in 31 bits. */
static resnet_status check_activations(const import_context *ctx) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < ctx->graph->node_count; i++) {
    graph_shape s = node_at(ctx, i)->shape;
    if (ctx->readers[i]) total += (uint64_t)s.h * s.w * s.c;
  }
  if (total > GRAPH_MAX_ACTIVATION)
    return err_fail(
        ctx->error, RESNET_ERROR_LIMIT,
        "one image's activations take %llu numbers: up to %d are accepted; use a smaller input",
        (unsigned long long)total, GRAPH_MAX_ACTIVATION);
  return RESNET_OK;
}

resnet_status fuse_graph(import_context *ctx) {
  uint32_t count = ctx->graph->node_count;
  /* by node: the node that now computes its output */
  uint32_t *now = import_scratch(ctx, count, sizeof *now);
  if (!now) return err_no_memory(ctx->error, "the graph's nodes");
  count_node_readers(ctx);
  for (uint32_t i = 0; i < count; i++) {
    graph_node *n = node_at(ctx, i);
    now[i] = i;
    for (uint32_t k = 0; k < n->input_count; k++) n->input[k] = now[n->input[k]];
    if (ctx->readers[i] && n->input_count == 2) fuse_gate(ctx, i);
    if (!ctx->readers[i] || n->input_count != 1 || !fuse_into(ctx, n->input[0], i)) continue;
    now[i] = n->input[0];
    replace_node(ctx, now[i], i);
  }
  ctx->graph->output = now[ctx->graph->output];
  resnet_status status = check_activations(ctx);
  for (uint32_t i = 0; i < count && status == RESNET_OK; i++)
    if (ctx->readers[i]) status = apply_affine(ctx, i);
  return status;
}
