/* Pools, and what else averages over height and width. */
#include "loader/import/import.h"

static bool is_single_pixel(const graph_window *w) {
  return w->kernel_h == 1 && w->kernel_w == 1 &&
         !(w->pad_top | w->pad_left | w->pad_bottom | w->pad_right);
}

/* A 1x1 pool only skips pixels: Keras writes the identity shortcuts of strided ResNetV2
 * blocks so. */
static resnet_status add_subsample(lowering *l, const value *x, const graph_window *window,
                                   graph_shape shape) {
  if (window->stride_h == 1 && window->stride_w == 1) return set_same(l, x);
  resnet_status status;
  graph_node *n = add_node(l, GRAPH_SUBSAMPLE, x->node, shape, &status);
  if (!n) return status;
  n->stride_h = window->stride_h;
  n->stride_w = window->stride_w;
  return RESNET_OK;
}

/* No number of the picture is below 0, so that borders of zeros are never larger than
 * what lies inside. */
static bool is_never_negative(const lowering *l, uint32_t index) {
  for (;;) {
    const graph_node *n = &l->graph->nodes[index];
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

/* Borders around a maximum pool's input become its own padding, which never is the
 * maximum: exact where they are of the lowest number, or of zeros and nothing is below.
 * Where ceil_mode counts windows, the borders must be there. */
static resnet_status settle_borders(lowering *l, value *x) {
  int64_t ceil_mode;
  resnet_status status = get_int(l, "ceil_mode", 0, &ceil_mode);
  if (status != RESNET_OK || !has_borders(x)) return status;
  bool exact = x->pad_lowest || is_never_negative(l, x->node);
  return exact && !ceil_mode ? RESNET_OK : put_borders(l, x);
}

resnet_status lower_max_pool(lowering *l) {
  value *x;
  graph_window window;
  resnet_status status = get_image(l, 0, true, &x);
  if (status == RESNET_OK) status = settle_borders(l, x);
  if (status != RESNET_OK) return status;
  graph_shape shape = value_shape(l, x);
  status = read_window(l, x, &(window_request){.accepts_dilation = true}, &window, &shape);
  if (status != RESNET_OK) return status;
  if (is_single_pixel(&window)) return add_subsample(l, x, &window, shape);
  graph_node *n = add_node(l, GRAPH_MAX_POOL, x->node, shape, &status);
  if (n) n->window = window;
  return status;
}

resnet_status lower_global_max_pool(lowering *l) {
  value *x;
  resnet_status status = get_image(l, 0, false, &x);
  if (status != RESNET_OK) return status;
  graph_shape s = value_shape(l, x);
  if (s.h > GRAPH_MAX_WINDOW || s.w > GRAPH_MAX_WINDOW)
    return unsupported(l, "takes the maximum of %ux%u pixels: up to %d each are accepted", s.h, s.w,
                       GRAPH_MAX_WINDOW);
  graph_node *n = add_node(l, GRAPH_MAX_POOL, x->node, (graph_shape){1, 1, s.c}, &status);
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

static resnet_status add_global_pool(lowering *l, const value *x) {
  resnet_status status;
  (void)add_node(l, GRAPH_GLOBAL_AVERAGE_POOL, x->node, (graph_shape){1, 1, value_shape(l, x).c},
                 &status);
  return status;
}

resnet_status lower_average_pool(lowering *l) {
  value *x;
  graph_window window;
  int64_t count_padding;
  resnet_status status = get_image(l, 0, false, &x);
  if (status == RESNET_OK) status = get_int(l, "count_include_pad", 0, &count_padding);
  if (status != RESNET_OK) return status;
  graph_shape shape = value_shape(l, x);
  status =
      read_window(l, x, &(window_request){.refuses_overhang = count_padding != 0}, &window, &shape);
  if (status != RESNET_OK) return status;
  if (covers_input(&window, value_shape(l, x))) return add_global_pool(l, x);
  if (is_single_pixel(&window)) return add_subsample(l, x, &window, shape);
  graph_node *n = add_node(l, GRAPH_AVERAGE_POOL, x->node, shape, &status);
  if (!n) return status;
  n->window = window;
  n->count_padding = count_padding != 0;
  return RESNET_OK;
}

resnet_status lower_global_average_pool(lowering *l) {
  value *x;
  resnet_status status = get_image(l, 0, false, &x);
  return status == RESNET_OK ? add_global_pool(l, x) : status;
}

typedef enum reduction { REDUCE_MEAN, REDUCE_SUM, REDUCE_MAX } reduction;

static reduction which(const lowering *l) {
  const char *kind = l->node->op_type + sizeof "Reduce" - 1;
  return kind[0] == 'S' ? REDUCE_SUM : kind[1] == 'a' ? REDUCE_MAX : REDUCE_MEAN;
}

/* Means or maxima over the sides of x that become 1 in `shape`. *index is the node that
 * has them. */
static resnet_status add_reduced(lowering *l, const value *x, graph_shape shape, bool maximum,
                                 uint32_t *index) {
  const graph_shape s = value_shape(l, x);
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
    return unsupported(l, "reduces %ux%u pixels: up to %d each are accepted; use a smaller input",
                       window.kernel_h, window.kernel_w, GRAPH_MAX_WINDOW);
  resnet_status status;
  const graph_op op = global    ? GRAPH_GLOBAL_AVERAGE_POOL
                      : maximum ? GRAPH_MAX_POOL
                                : GRAPH_AVERAGE_POOL;
  graph_node *n = add_node(l, op, x->node, shape, &status);
  if (!n) return status;
  if (!global) n->window = window;
  *index = l->graph->node_count - 1;
  return RESNET_OK;
}

/* A sum is as many times the mean. The mean is no tensor of the file. */
static resnet_status add_multiple(lowering *l, value *view, uint32_t times) {
  resnet_status status;
  l->graph->nodes[view->node].output[0] = '\0';
  draft *d = add_affine(l, view, &status);
  for (uint32_t c = 0; d && c < value_shape(l, view).c; c++) d->scale[c] = times;
  view->node = l->graph->node_count - 1;
  return status;
}

/* What is left of the picture: over both sides, however they are seen, (n,c,h,w),
 * (n,h,w,c), (n,c,h*w) ..., or over one side of a picture, as in x.mean(3).mean(2). */
static bool find_reduced(const lowering *l, const value *x, uint32_t mask, graph_shape *shape) {
  uint32_t channels = 0;
  *shape = value_shape(l, x);
  if (!find_channels(l, x, &channels) || x->rank < 3) return false;
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

/* The axes of ReduceSum became an input with opset 13, those of the others with 18. */
resnet_status lower_reduce(lowering *l) {
  value *x;
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0, rank = 0;
  int64_t keep, dims[MAX_RANK] = {0};
  graph_shape shape;
  const reduction kind = which(l);
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) status = read_axes(l, kind == REDUCE_SUM ? 13 : 18, &axes, &count);
  if (status == RESNET_OK) status = mask_axes(l, axes, count, x->rank, &mask);
  if (status == RESNET_OK) status = get_int(l, "keepdims", 1, &keep);
  if (status != RESNET_OK) return status;
  if (!find_reduced(l, x, mask, &shape))
    return unsupported(
        l, "its axes are not height and width: those of (n,c,h,w) are [2,3] (a global pool)");
  for (uint32_t i = 0; i < x->rank; i++)
    if (keep || !(mask >> i & 1)) dims[rank++] = mask >> i & 1 ? 1 : x->dims[i];
  const graph_shape s = value_shape(l, x);
  value view = *x;
  status = add_reduced(l, x, shape, kind == REDUCE_MAX, &view.node);
  if (status == RESNET_OK && kind == REDUCE_SUM && view.node != x->node)
    status = add_multiple(l, &view, s.h / shape.h * (s.w / shape.w));
  return status == RESNET_OK ? set_view(l, &view, rank, dims) : status;
}
