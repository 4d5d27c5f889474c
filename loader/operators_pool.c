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

/* No number of the picture is below 0, so that borders of zeros are never larger than what lies inside. */
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

/* Borders around a maximum pool's input become its own padding, which never is the maximum: exact where they are of the
 * lowest number, or of zeros and nothing is below. Where ceil_mode counts windows, the borders must be there. */
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
  if (s.h > MAX_WINDOW || s.w > MAX_WINDOW)
    return unsupported(l, "takes the maximum of %ux%u pixels: up to %d each are accepted", s.h, s.w, MAX_WINDOW);
  graph_node *n = add_node(l, GRAPH_MAX_POOL, x->node, (graph_shape){1, 1, s.c}, &status);
  if (n)
    n->window = (graph_window){
        .kernel_h = s.h, .kernel_w = s.w, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
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

/* Over height and width, however they are seen: (n,c,h,w), (n,h,w,c), (n,c,h*w) ... */
resnet_status lower_reduce_mean(lowering *l) {
  value *x;
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0, channels = 0, rank = 0;
  int64_t keep, dims[MAX_RANK] = {0};
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) status = read_axes(l, 18, &axes, &count);
  if (status == RESNET_OK) status = mask_axes(l, axes, count, x->rank, &mask);
  if (status == RESNET_OK) status = get_int(l, "keepdims", 1, &keep);
  if (status != RESNET_OK) return status;
  const bool known = find_channels(l, x, &channels);
  const uint32_t all = (UINT32_C(1) << x->rank) - 1;
  if (!known || x->rank < 3 || mask != (all & ~(UINT32_C(1) | UINT32_C(1) << channels)))
    return unsupported(l, "its axes are not height and width: those of (n,c,h,w) are [2,3] (a global average pool)");
  for (uint32_t i = 0; i < x->rank; i++)
    if (keep || !(mask >> i & 1)) dims[rank++] = mask >> i & 1 ? 1 : x->dims[i];
  value view = *x;
  status = add_global_pool(l, x);
  view.node = l->graph->node_count - 1;
  return status == RESNET_OK ? set_view(l, &view, rank, dims) : status;
}
