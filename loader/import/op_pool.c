#include "loader/import/op_pool.h"

#include "loader/import/attributes.h"
#include "loader/import/nodes.h"
#include "loader/import/op_norm.h"
#include "loader/import/padding.h"
#include "loader/import/shapes.h"
#include "loader/import/values.h"
#include "loader/import/windows.h"

static bool is_single_pixel(const graph_window *w) {
  return w->kernel_h == 1 && w->kernel_w == 1 &&
         !(w->pad_top | w->pad_left | w->pad_bottom | w->pad_right);
}

/* Add a 1x1 pool, which only skips pixels: Keras writes the identity shortcuts of strided
 * ResNetV2 blocks this way. */
static resnet_status add_subsample(import_context *ctx, const value *x, const graph_window *window,
                                   graph_shape shape) {
  if (window->stride_h == 1 && window->stride_w == 1) return value_set_same(ctx, x);
  resnet_status status;
  graph_node *n = node_add(ctx, GRAPH_SUBSAMPLE, x->node, shape, &status);
  if (!n) return status;
  n->stride_h = window->stride_h;
  n->stride_w = window->stride_w;
  return RESNET_OK;
}

/* Return whether no element is negative. Padding with zeros then never exceeds the
 * maximum of the elements inside. */
static bool is_never_negative(const import_context *ctx, uint32_t index) {
  for (;;) {
    const graph_node *n = &ctx->graph->nodes[index];
    (void)work_spend(ctx->work, 1, WORK_WALK); /* op_import_node checks it */
    if (n->clamp_min >= 0) return true;
    switch (n->op) {
    case GRAPH_SIGMOID:
    case GRAPH_SOFTMAX:
      return true;
    case GRAPH_MAX_POOL:
    case GRAPH_AVERAGE_POOL:
    case GRAPH_SUBSAMPLE:
      index = n->input[0];
      break;
    default:
      return false;
    }
  }
}

/* Materialise deferred padding unless the pool can take it over. A maximum pool's own
 * padding is never the maximum: this is exact for the lowest number, and for zeros if no
 * element is negative. */
static resnet_status settle_padding(import_context *ctx, value *x) {
  if (!padding_is_deferred(x)) return RESNET_OK;
  const bool exact = x->pad_lowest || is_never_negative(ctx, x->node);
  return exact ? RESNET_OK : padding_materialize(ctx, x);
}

resnet_status op_max_pool(import_context *ctx) {
  value *x;
  graph_window window;
  resnet_status status = value_get_nchw(ctx, 0, true, &x);
  if (status == RESNET_OK) status = settle_padding(ctx, x);
  if (status != RESNET_OK) return status;
  graph_shape shape = value_shape(ctx, x);
  value from = *x;
  status = window_read(ctx, &from, &(window_request){.accepts_dilation = true}, &window, &shape);
  if (status != RESNET_OK) return status;
  if (is_single_pixel(&window)) return add_subsample(ctx, &from, &window, shape);
  graph_node *n = node_add(ctx, GRAPH_MAX_POOL, from.node, shape, &status);
  if (n) n->window = window;
  return status;
}

resnet_status op_global_max_pool(import_context *ctx) {
  value *x;
  resnet_status status = value_get_nchw(ctx, 0, false, &x);
  if (status != RESNET_OK) return status;
  graph_shape s = value_shape(ctx, x);
  if (s.h > GRAPH_MAX_WINDOW || s.w > GRAPH_MAX_WINDOW)
    return unsupported(ctx, "takes the maximum of %ux%u pixels: up to %d each are accepted", s.h,
                       s.w, GRAPH_MAX_WINDOW);
  graph_node *n = node_add(ctx, GRAPH_MAX_POOL, x->node, (graph_shape){1, 1, s.c}, &status);
  if (n)
    n->window = (graph_window){.kernel_h = s.h,
                               .kernel_w = s.w,
                               .stride_h = 1,
                               .stride_w = 1,
                               .dilation_h = 1,
                               .dilation_w = 1};
  return status;
}

static bool covers_input(const graph_window *w, graph_shape in) {
  return w->kernel_h == in.h && w->kernel_w == in.w &&
         !(w->pad_top | w->pad_left | w->pad_bottom | w->pad_right);
}

static resnet_status add_global_pool(import_context *ctx, const value *x) {
  resnet_status status;
  (void)node_add(ctx, GRAPH_GLOBAL_AVERAGE_POOL, x->node,
                 (graph_shape){1, 1, value_shape(ctx, x).c}, &status);
  return status;
}

resnet_status op_average_pool(import_context *ctx) {
  value *x;
  graph_window window;
  int64_t given;
  resnet_status status = value_get_nchw(ctx, 0, false, &x);
  if (status == RESNET_OK) status = attr_get_int(ctx, "count_include_pad", 0, &given);
  if (status != RESNET_OK) return status;
  graph_shape shape = value_shape(ctx, x);
  value from = *x;
  bool counts_padding = given != 0;
  const window_request request = {.accepts_dilation = true, .counts_padding = &counts_padding};
  status = window_read(ctx, &from, &request, &window, &shape);
  if (status != RESNET_OK) return status;
  if (covers_input(&window, value_shape(ctx, &from))) return add_global_pool(ctx, &from);
  if (is_single_pixel(&window)) return add_subsample(ctx, &from, &window, shape);
  graph_node *n = node_add(ctx, GRAPH_AVERAGE_POOL, from.node, shape, &status);
  if (!n) return status;
  n->window = window;
  n->count_padding = counts_padding;
  return RESNET_OK;
}

resnet_status op_global_average_pool(import_context *ctx) {
  value *x;
  resnet_status status = value_get_nchw(ctx, 0, false, &x);
  return status == RESNET_OK ? add_global_pool(ctx, x) : status;
}

typedef enum reduction { REDUCE_MEAN, REDUCE_SUM, REDUCE_MAX } reduction;

static reduction find_reduction(const import_context *ctx) {
  const char *kind = ctx->node->op_type + sizeof "Reduce" - 1;
  return kind[0] == 'S' ? REDUCE_SUM : kind[1] == 'a' ? REDUCE_MAX : REDUCE_MEAN;
}

/* Add a mean or maximum over the sides of x that are 1 in `shape`. *index is its node. */
static resnet_status add_reduced(import_context *ctx, const value *x, graph_shape shape,
                                 bool maximum, uint32_t *index) {
  const graph_shape s = value_shape(ctx, x);
  const graph_window window = {.kernel_h = s.h / shape.h,
                               .kernel_w = s.w / shape.w,
                               .stride_h = 1,
                               .stride_w = 1,
                               .dilation_h = 1,
                               .dilation_w = 1};
  const bool global = !maximum && shape.h == 1 && shape.w == 1;
  *index = x->node;
  if (!global && is_single_pixel(&window)) return RESNET_OK;
  if (!global && (window.kernel_h > GRAPH_MAX_WINDOW || window.kernel_w > GRAPH_MAX_WINDOW))
    return unsupported(ctx, "reduces %ux%u pixels: up to %d each are accepted; use a smaller input",
                       window.kernel_h, window.kernel_w, GRAPH_MAX_WINDOW);
  resnet_status status;
  const graph_op op = global    ? GRAPH_GLOBAL_AVERAGE_POOL
                      : maximum ? GRAPH_MAX_POOL
                                : GRAPH_AVERAGE_POOL;
  graph_node *n = node_add(ctx, op, x->node, shape, &status);
  if (!n) return status;
  if (!global) n->window = window;
  *index = ctx->graph->node_count - 1;
  return RESNET_OK;
}

/* Multiply the mean by `times` to get the sum. The mean equals no tensor of the file. */
static resnet_status add_multiple(import_context *ctx, value *view, uint32_t times) {
  resnet_status status;
  ctx->graph->nodes[view->node].output[0] = '\0';
  pending_affine *d = node_add_affine(ctx, view, &status);
  for (uint32_t c = 0; d && c < value_shape(ctx, view).c; c++) d->scale[c] = times;
  view->node = ctx->graph->node_count - 1;
  return status;
}

/* Compute the shape after a reduction. It may cover both sides, in any view: (n,c,h,w),
 * (n,h,w,c), (n,c,h*w) ... Or one side of an image, as in x.mean(3).mean(2). */
static bool find_reduced(const import_context *ctx, const value *x, uint32_t mask,
                         graph_shape *shape) {
  uint32_t channels = 0;
  *shape = value_shape(ctx, x);
  if (!value_find_channels(ctx, x, &channels) || x->rank < 3) return false;
  const uint32_t all = (UINT32_C(1) << x->rank) - 1, height = channels == 1 ? 2 : 1,
                 width = height + 1;
  const bool both = mask == (all & ~(UINT32_C(1) | UINT32_C(1) << channels));
  const bool one = x->rank == 4 && (channels == 1 || channels == 3) &&
                   x->dims[height] == shape->h && x->dims[width] == shape->w &&
                   (mask == UINT32_C(1) << height || mask == UINT32_C(1) << width);
  if (both || mask >> height & 1) shape->h = 1;
  if (both || mask >> width & 1) shape->w = 1;
  return both || one;
}

/* Import a reduction. The axes of ReduceSum became an input with opset 13, those of the
 * others with 18. */
resnet_status op_reduce(import_context *ctx) {
  value *x;
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0, rank = 0;
  int64_t keep, dims[MAX_RANK] = {0};
  graph_shape shape;
  const reduction kind = find_reduction(ctx);
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK)
    status = shape_read_axes(ctx, kind == REDUCE_SUM ? 13 : 18, &axes, &count);
  if (status == RESNET_OK) status = shape_mask_axes(ctx, axes, count, x->rank, &mask);
  if (status == RESNET_OK) status = attr_get_int(ctx, "keepdims", 1, &keep);
  if (status != RESNET_OK) return status;
  const bool found = find_reduced(ctx, x, mask, &shape);
  if (!found && kind == REDUCE_SUM) return op_reduce_squares(ctx, x, mask, keep != 0);
  if (!found)
    return unsupported(
        ctx, "its axes are not height and width: those of (n,c,h,w) are [2,3] (a global pool)");
  for (uint32_t i = 0; i < x->rank; i++)
    if (keep || !(mask >> i & 1)) dims[rank++] = mask >> i & 1 ? 1 : x->dims[i];
  const graph_shape s = value_shape(ctx, x);
  value view = *x;
  status = add_reduced(ctx, x, shape, kind == REDUCE_MAX, &view.node);
  if (status == RESNET_OK && kind == REDUCE_SUM && view.node != x->node)
    status = add_multiple(ctx, &view, s.h / shape.h * (s.w / shape.w));
  return status == RESNET_OK ? value_set_view(ctx, &view, rank, dims) : status;
}
