#include "loader/passes/fuse_batch_norm.h"

#include <math.h>

#include "loader/import/nodes.h"

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

bool fuse_batch_norm(import_context *ctx, uint32_t into, uint32_t index) {
  graph_node *producer = node_at(ctx, into);
  bool linear =
      producer->op == GRAPH_CONV || producer->op == GRAPH_LINEAR || producer->op == GRAPH_AFFINE;
  if (!linear || is_clamped(producer)) return false;
  compose_affine(&ctx->affines[into], &ctx->affines[index], producer->shape.c);
  producer->clamp_min = node_at(ctx, index)->clamp_min;
  producer->clamp_max = node_at(ctx, index)->clamp_max;
  return true;
}

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

/* Weights that are not scaled were checked by their handler. */
resnet_status fuse_apply_affine(import_context *ctx, uint32_t index) {
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
