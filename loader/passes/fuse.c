/* After this pass, equal networks have equal graphs, in whichever way ONNX spells
 * them. */
#include "loader/passes/fuse.h"

#include "loader/import/nodes.h"
#include "loader/passes/fuse_batch_norm.h"
#include "loader/passes/fuse_channels.h"

/* Count the readers that lead to the scores. The caller reads the scores. */
static void count_node_readers(import_context *ctx) {
  ctx->readers[ctx->graph->output] = 1;
  for (uint32_t i = ctx->graph->node_count; i-- > 0;) {
    const graph_node *n = node_at(ctx, i);
    for (uint32_t k = 0; k < n->input_count && ctx->readers[i]; k++) ctx->readers[n->input[k]]++;
  }
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
    return fuse_batch_norm(ctx, into, index);
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
  resnet_status channels = fuse_channels(ctx);
  if (channels != RESNET_OK) return channels;
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
    if (ctx->readers[i]) status = fuse_apply_affine(ctx, i);
  return status;
}
