#include "loader/import/op_spelled.h"

#include <math.h>

#include "loader/import/nodes.h"

static bool same_views(const import_context *ctx, const value *a, const value *b) {
  return value_same_shape_as_viewed(ctx, a, b) && value_same_layout(ctx, a, b) &&
         a->batch_last == b->batch_last;
}

/* Return the scales of a node that only scales its input, else NULL. */
static const double *find_scales(const import_context *ctx, uint32_t index) {
  const pending_affine *d = &ctx->affines[index];
  const graph_node *n = node_at(ctx, index);
  if (n->op != GRAPH_AFFINE || !d->scale || d->normalises) return NULL;
  (void)work_spend(ctx->work, n->shape.c, WORK_CHECK); /* the node's end checks it */
  for (uint32_t c = 0; c < n->shape.c; c++)
    if (!(fabs(d->shift[c]) <= 0)) return NULL;
  return d->scale;
}

static bool are_equal(const double *numbers, uint32_t count) {
  for (uint32_t i = 1; i < count; i++)
    if (!(fabs(numbers[i] - numbers[0]) <= 0)) return false;
  return true;
}

/* ---- Max(s * x, x) ----------------------------------------------------------------- */

bool op_find_leaky(const import_context *ctx, const value *a, const value *b, bool is_min,
                   const value **x, float *slope) {
  if (!same_views(ctx, a, b)) return false;
  const bool a_is_scaled = node_at(ctx, a->node)->input[0] == b->node;
  const value *scaled = a_is_scaled ? a : b;
  *x = a_is_scaled ? b : a;
  if (node_at(ctx, scaled->node)->input[0] != (*x)->node) return false;
  const double *scales = find_scales(ctx, scaled->node);
  if (!scales || !are_equal(scales, node_at(ctx, scaled->node)->shape.c)) return false;
  *slope = (float)scales[0];
  return isfinite(*slope) && (is_min ? *slope >= 1 : *slope <= 1);
}

resnet_status op_add_leaky_relu(import_context *ctx, const value *x, float slope) {
  resnet_status status;
  const bool clamps = !(fabsf(slope) > 0);
  if (slope == 1) return value_set_same(ctx, x);
  graph_node *n = node_add_elementwise(ctx, clamps ? GRAPH_CLAMP : GRAPH_LEAKY_RELU, x, &status);
  if (n && clamps) n->clamp_min = 0;
  if (n && !clamps) n->scalar = slope;
  return status;
}

/* ---- Relu(x) - s * Relu(-x) -------------------------------------------------------- */

static bool is_relu(const graph_node *n) {
  return n->op == GRAPH_CLAMP && fabsf(n->clamp_min) <= 0 && n->clamp_max == INFINITY;
}

/* Find s of s * Relu(-x), or NULL. */
static const double *find_negative_part(const import_context *ctx, uint32_t index, uint32_t x) {
  const double *scales = find_scales(ctx, index);
  if (!scales) return NULL;
  const uint32_t relu = node_at(ctx, index)->input[0];
  if (!is_relu(node_at(ctx, relu))) return NULL;
  const uint32_t negative = node_at(ctx, relu)->input[0];
  const double *minus = find_scales(ctx, negative);
  if (!minus || node_at(ctx, negative)->input[0] != x) return NULL;
  const bool negates = fabs(minus[0] + 1) <= 0 && are_equal(minus, node_at(ctx, x)->shape.c);
  return negates ? scales : NULL;
}

static resnet_status add_slopes(import_context *ctx, const value *x, const double *scales,
                                double sign) {
  resnet_status status;
  const uint32_t channels = value_shape(ctx, x).c;
  if (are_equal(scales, channels)) return op_add_leaky_relu(ctx, x, (float)(sign * scales[0]));
  graph_node *n = node_add_elementwise(ctx, GRAPH_PRELU, x, &status);
  if (!n || status != RESNET_OK) return status;
  n->weights = mem_allocate(ctx->memory, channels, sizeof *n->weights);
  if (!n->weights) return err_no_memory(ctx->error, "slopes");
  n->weight_count = channels;
  for (uint32_t c = 0; c < channels; c++) n->weights[c] = (float)(sign * scales[c]);
  return RESNET_OK;
}

resnet_status op_add_split_relu(import_context *ctx, const value *a, const value *b, bool subtract,
                                bool *found) {
  *found = false;
  if (!same_views(ctx, a, b) || !is_relu(node_at(ctx, a->node))) return RESNET_OK;
  value x = *a;
  x.node = node_at(ctx, a->node)->input[0];
  const double *scales = find_negative_part(ctx, b->node, x.node);
  if (!scales) return RESNET_OK;
  *found = true;
  /* where x < 0, s * Relu(-x) is -s * x */
  return add_slopes(ctx, &x, scales, subtract ? 1 : -1);
}
