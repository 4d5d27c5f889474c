/* Pools, and what else averages over height and width. */
#include "lower.h"

static bool is_single_pixel(const graph_window *w) {
  return w->kernel_h == 1 && w->kernel_w == 1 && !(w->pad_top | w->pad_left | w->pad_bottom | w->pad_right);
}

/* A 1x1 pool only skips pixels: Keras writes the identity shortcuts of strided ResNetV2 blocks so. */
static resnet_status add_subsample(lowering *l, const value *x, const graph_window *window, graph_shape shape) {
  if (window->stride_h == 1 && window->stride_w == 1) return set_same(l, x);
  resnet_status status;
  graph_node *n = add_node(l, GRAPH_SUBSAMPLE, x->node, shape, &status);
  if (!n) return status;
  n->stride_h = window->stride_h;
  n->stride_w = window->stride_w;
  return RESNET_OK;
}

resnet_status lower_max_pool(lowering *l) {
  value *x;
  graph_window window;
  resnet_status status = get_image(l, 0, false, &x);
  if (status != RESNET_OK) return status;
  graph_shape shape = value_shape(l, x);
  status = read_window(l, x, &(window_request){.accepts_dilation = true}, &window, &shape);
  if (status != RESNET_OK) return status;
  if (is_single_pixel(&window)) return add_subsample(l, x, &window, shape);
  graph_node *n = add_node(l, GRAPH_MAX_POOL, x->node, shape, &status);
  if (n) n->window = window;
  return status;
}

static bool covers_input(const graph_window *w, graph_shape in) {
  return w->kernel_h == in.h && w->kernel_w == in.w && !(w->pad_top | w->pad_left | w->pad_bottom | w->pad_right);
}

static resnet_status add_global_pool(lowering *l, const value *x) {
  resnet_status status;
  (void)add_node(l, GRAPH_GLOBAL_AVERAGE_POOL, x->node, (graph_shape){1, 1, value_shape(l, x).c}, &status);
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
  status = read_window(l, x, &(window_request){.refuses_overhang = count_padding != 0}, &window, &shape);
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

resnet_status lower_reduce_mean(lowering *l) {
  value *x;
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0;
  int64_t keep;
  resnet_status status = get_image(l, 0, false, &x);
  if (status == RESNET_OK) status = read_axes(l, 18, &axes, &count);
  if (status == RESNET_OK) status = mask_axes(l, axes, count, 4, &mask);
  if (status == RESNET_OK) status = get_int(l, "keepdims", 1, &keep);
  if (status != RESNET_OK) return status;
  if (mask != (1U << 2 | 1U << 3))
    return unsupported(l, "its axes are not height and width: [2,3] is accepted (a global average pool)");
  status = add_global_pool(l, x);
  if (status != RESNET_OK || keep) return status;
  int64_t dims[2] = {0, value_shape(l, x).c};
  return set_view(l, &(value){.node = l->graph->node_count - 1}, 2, dims);
}
