#include "loader/import/nodes.h"

#include <math.h>
#include <string.h>

#include "loader/import/padding.h"

static bool node_shape_fits(graph_op op, graph_shape s) {
  return s.h >= 1 && s.w >= 1 && s.c >= 1 && s.h <= GRAPH_MAX_SIDE && s.w <= GRAPH_MAX_SIDE &&
         (s.c <= GRAPH_MAX_SIDE || op == GRAPH_FLATTEN) &&
         (uint64_t)s.h * s.w * s.c <= GRAPH_MAX_ACTIVATION;
}

/* Copy what is kept of a name: an ONNX node may become many nodes of the graph. It is cut
 * between characters of UTF-8. */
static char *copy_name(import_context *ctx, const char *name) {
  const char *end = memchr(name, '\0', NODE_NAME_SIZE + 1);
  size_t size = end ? (size_t)(end - name) : NODE_NAME_SIZE;
  while (!end && size > 0 && ((unsigned char)name[size] & 0xC0) == 0x80) size--;
  return mem_copy_string(ctx->memory, name, size);
}

graph_node *node_append(import_context *ctx, graph_op op, uint32_t input, graph_shape shape,
                        const char *name, const char *output, resnet_status *status) {
  graph *g = ctx->graph;
  if (!node_shape_fits(op, shape)) {
    *status = unsupported(
        ctx, "its output (h %u, w %u, c %u) is too large: up to %d each and 2^31 elements", shape.h,
        shape.w, shape.c, GRAPH_MAX_SIDE);
    return NULL;
  }
  if (g->node_count == ctx->node_capacity) {
    *status = unsupported(ctx, "the graph has more nodes than %u", ctx->node_capacity);
    return NULL;
  }
  graph_node *n = &g->nodes[g->node_count];
  n->op = op;
  n->input[0] = input;
  n->input[1] = RESNET_NO_INDEX;
  n->input_count = input == RESNET_NO_INDEX ? 0 : 1;
  n->shape = shape;
  n->clamp_min = -INFINITY;
  n->clamp_max = INFINITY;
  n->block = RESNET_NO_INDEX;
  g->node_count++;
  n->name = copy_name(ctx, name);
  n->output = mem_copy_string(ctx->memory, output, strlen(output));
  *status = n->name && n->output ? RESNET_OK : err_no_memory(ctx->error, "a node's name");
  return *status == RESNET_OK ? n : NULL;
}

graph_node *node_add(import_context *ctx, graph_op op, uint32_t input, graph_shape shape,
                     resnet_status *status) {
  const char *output = ctx->node->n_output ? ctx->node->output[0] : "";
  graph_node *n = node_append(ctx, op, input, shape, import_node_name(ctx->node), output, status);
  if (n) (void)value_set_activation(ctx, ctx->graph->node_count - 1);
  return n;
}

resnet_status node_hide_output(import_context *ctx, uint32_t index) {
  graph_node *n = node_at(ctx, index);
  if (!n->output[0]) return RESNET_OK;
  mem_release(ctx->memory, n->output);
  n->output = mem_copy_string(ctx->memory, "", 0);
  return n->output ? RESNET_OK : err_no_memory(ctx->error, "a node's name");
}

graph_node *node_add_elementwise(import_context *ctx, graph_op op, const value *x,
                                 resnet_status *status) {
  value view = *x;
  graph_node *n = node_add(ctx, op, x->node, value_shape(ctx, x), status);
  if (!n) return NULL;
  view.node = ctx->graph->node_count - 1;
  *status = value_set_view(ctx, &view, view.rank, view.dims);
  return n;
}

graph_node *node_add_image(import_context *ctx, graph_op op, const value *x, graph_shape shape,
                           resnet_status *status) {
  const bool last = value_channel_axis(ctx, x) == 3;
  graph_node *n = node_add(ctx, op, x->node, shape, status);
  value *v = value_result(ctx);
  if (!n || !v || !last) return n;
  v->channels_last = true;
  v->dims[1] = shape.h;
  v->dims[2] = shape.w;
  v->dims[3] = shape.c;
  return n;
}

pending_affine *node_add_affine(import_context *ctx, const value *x, resnet_status *status) {
  uint32_t channels = value_shape(ctx, x).c;
  *status = import_spend(ctx, channels, 2 * WORK_COMPUTE);
  if (*status != RESNET_OK) return NULL;
  double *scale = import_scratch(ctx, channels, sizeof *scale),
         *shift = import_scratch(ctx, channels, sizeof *shift);
  if (!scale || !shift) {
    *status = err_no_memory(ctx->error, "a normalisation");
    return NULL;
  }
  for (uint32_t c = 0; c < channels; c++) scale[c] = 1;
  if (!node_add_elementwise(ctx, GRAPH_AFFINE, x, status)) return NULL;
  pending_affine *d = &ctx->affines[ctx->graph->node_count - 1];
  d->scale = scale;
  d->shift = shift;
  return d;
}

resnet_status node_flatten(import_context *ctx, value *v) {
  resnet_status status;
  const graph_shape s = value_shape(ctx, v);
  if (padding_is_deferred(v)) {
    status = padding_materialize(ctx, v);
    if (status != RESNET_OK) return status;
    return node_flatten(ctx, v);
  }
  if (s.h == 1 && s.w == 1) return RESNET_OK;
  const uint64_t count = (uint64_t)s.h * s.w * s.c; /* below 2^31: the node exists */
  /* a tensor of the file has one node */
  const char *output = strcmp(node_at(ctx, v->node)->output, v->name) == 0 ? "" : v->name;
  graph_node *n = node_append(ctx, GRAPH_FLATTEN, v->node, (graph_shape){1, 1, (uint32_t)count},
                              v->name, output, &status);
  if (!n) return status;
  n->channels_last = v->channels_last;
  v->node = ctx->graph->node_count - 1;
  return RESNET_OK;
}

resnet_status node_flatten_vector(import_context *ctx, value *v) {
  return v->rank == 2 ? node_flatten(ctx, v) : RESNET_OK;
}

resnet_status node_make_bias(import_context *ctx, graph_node *n, const constant *t, size_t count,
                             double scale) {
  n->bias = mem_allocate(ctx->memory, count, sizeof(float));
  if (!n->bias) return err_no_memory(ctx->error, "a bias");
  n->bias_count = count;
  resnet_status status = import_spend(ctx, count, 2 * WORK_MOVE);
  if (status != RESNET_OK || !t) return status;
  if (!t->is_float || (t->count != count && t->count != 1) ||
      (t->count > 1 && t->dims[t->rank - 1] != (int64_t)count))
    return invalid(ctx, "its bias '%.50s' has %zu %s: %zu floats are accepted, one for each output",
                   t->name, t->count, t->is_float ? "floats" : "integers", count);
  for (size_t i = 0; i < count; i++)
    n->bias[i] = (float)(scale * (double)t->floats[t->count == 1 ? 0 : i]);
  return constant_check_finite(ctx, t, "bias");
}

graph_node *node_at(const import_context *ctx, uint32_t index) { return &ctx->graph->nodes[index]; }
