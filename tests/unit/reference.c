#include "tests/unit/reference.h"

#include <math.h>
#include <string.h>

/* One element of a node's output, and what it is computed from. */
typedef struct element {
  const graph *graph;
  const graph_node *node;
  float **values; /* outputs of all nodes */
  const float *x; /* output of the node's first input */
  graph_shape in; /* its shape */
  size_t n;       /* sample */
  uint32_t h, w, c;
} element;

static float at(const float *x, graph_shape s, size_t n, int64_t h, int64_t w, size_t c,
                float outside) {
  if (h < 0 || w < 0 || h >= s.h || w >= s.w) return outside;
  return x[((n * s.h + (size_t)h) * s.w + (size_t)w) * s.c + c];
}

/* Return element (h,w,c) of the first input. */
static double input_at(const element *e, int64_t h, int64_t w, size_t c, float outside) {
  return (double)at(e->x, e->in, e->n, h, w, c, outside);
}

/* Return the input's element at the output's position. */
static double own(const element *e) { return input_at(e, e->h, e->w, e->c, 0.0f); }

static double reference_input(const element *e) {
  (void)e;
  return (double)NAN; /* the caller sets it */
}

static double reference_conv(const element *e) {
  const graph_node *node = e->node;
  const graph_window *k = &node->window;
  const uint32_t in_group = e->in.c / node->groups, out_group = node->shape.c / node->groups,
                 group = e->c / out_group;
  double sum = (double)node->bias[e->c];
  for (uint32_t kh = 0; kh < k->kernel_h; kh++)
    for (uint32_t kw = 0; kw < k->kernel_w; kw++)
      for (uint32_t c = 0; c < in_group; c++) {
        const int64_t ih = (int64_t)e->h * k->stride_h + (int64_t)kh * k->dilation_h - k->pad_top;
        const int64_t iw = (int64_t)e->w * k->stride_w + (int64_t)kw * k->dilation_w - k->pad_left;
        const size_t weight = (((size_t)e->c * k->kernel_h + kh) * k->kernel_w + kw) * in_group + c;
        sum += (double)node->weights[weight] * input_at(e, ih, iw, group * in_group + c, 0.0f);
      }
  return sum;
}

static double reference_linear(const element *e) {
  const size_t count = (size_t)e->in.h * e->in.w * e->in.c;
  double sum = (double)e->node->bias[e->c];
  for (size_t i = 0; i < count; i++)
    sum += (double)e->node->weights[e->c * count + i] * (double)e->x[e->n * count + i];
  return sum;
}

static double reference_add(const element *e) {
  const float *other = e->values[e->node->input[1]];
  return own(e) + (double)at(other, e->node->shape, e->n, e->h, e->w, e->c, 0.0f);
}

static double reference_subsample(const element *e) {
  const graph_node *node = e->node;
  if (e->c < node->channels_before || e->c >= node->channels_before + e->in.c) return 0.0;
  return input_at(e, (int64_t)e->h * node->stride_h, (int64_t)e->w * node->stride_w,
                  e->c - node->channels_before, 0.0f);
}

static double reference_affine(const element *e) {
  return own(e) * (double)e->node->weights[e->c] + (double)e->node->bias[e->c];
}

static double reference_clamp(const element *e) { return own(e); }

/* Return the mean or the maximum of the window's taps inside the input. */
static double reference_pool(const element *e) {
  const graph_window *k = &e->node->window;
  double sum = 0.0, best = -INFINITY;
  uint32_t inside = 0;
  for (uint32_t kh = 0; kh < k->kernel_h; kh++)
    for (uint32_t kw = 0; kw < k->kernel_w; kw++) {
      const int64_t ih = (int64_t)e->h * k->stride_h + (int64_t)kh * k->dilation_h - k->pad_top;
      const int64_t iw = (int64_t)e->w * k->stride_w + (int64_t)kw * k->dilation_w - k->pad_left;
      const double value = input_at(e, ih, iw, e->c, NAN);
      if (isnan(value)) continue;
      inside++;
      sum += value;
      best = fmax(best, value);
    }
  if (e->node->op == GRAPH_MAX_POOL) return best;
  return sum / (e->node->count_padding ? (double)k->kernel_h * k->kernel_w : (double)inside);
}

static double reference_global_average(const element *e) {
  double sum = 0.0;
  for (uint32_t h = 0; h < e->in.h; h++)
    for (uint32_t w = 0; w < e->in.w; w++) sum += input_at(e, h, w, e->c, 0.0f);
  return sum / ((double)e->in.h * e->in.w);
}

static double reference_softmax(const element *e) {
  double best = -INFINITY, sum = 0.0;
  for (uint32_t k = 0; k < e->in.c; k++) best = fmax(best, input_at(e, e->h, e->w, k, 0.0f));
  for (uint32_t k = 0; k < e->in.c; k++) sum += exp(input_at(e, e->h, e->w, k, 0.0f) - best);
  const double log_probability = own(e) - best - log(sum);
  return e->node->op == GRAPH_SOFTMAX ? exp(log_probability) : log_probability;
}

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

static double reference_sigmoid(const element *e) { return sigmoid(own(e)); }

static double reference_leaky_relu(const element *e) {
  return own(e) >= 0.0 ? own(e) : (double)e->node->scalar * own(e);
}

static double reference_flatten(const element *e) {
  const size_t pixels = (size_t)e->in.h * e->in.w, per_row = e->in.w;
  if (e->node->channels_last) return (double)e->x[e->n * pixels * e->in.c + e->c];
  const size_t pixel = e->c % pixels;
  return input_at(e, (int64_t)(pixel / per_row), (int64_t)(pixel % per_row), e->c / pixels, 0.0f);
}

static double reference_power(const element *e) { return pow(own(e), (double)e->node->scalar); }

static double reference_l2_normalize(const element *e) {
  double squares = 0.0;
  for (uint32_t k = 0; k < e->in.c; k++) {
    const double x = input_at(e, e->h, e->w, k, 0.0f);
    squares += x * x;
  }
  const double epsilon = (double)e->node->scalar;
  switch (e->node->norm_mode) {
  case GRAPH_NORM_MIN:
    return own(e) / fmax(sqrt(squares), epsilon);
  case GRAPH_NORM_ADD:
    return own(e) / (sqrt(squares) + epsilon);
  case GRAPH_NORM_ADD_SQUARE:
    return own(e) / sqrt(squares + epsilon);
  default:
    return squares > 0.0 ? own(e) / sqrt(squares) : 0.0;
  }
}

static double reference_prelu(const element *e) {
  return own(e) >= 0.0 ? own(e) : (double)e->node->weights[e->c] * own(e);
}

static double reference_scale(const element *e) {
  const uint32_t gate = e->node->input[1];
  const graph_shape shape = e->graph->nodes[gate].shape;
  const bool per_channel = shape.h == 1 && shape.w == 1;
  const double factor = (double)at(e->values[gate], shape, e->n, per_channel ? 0 : e->h,
                                   per_channel ? 0 : e->w, e->c, 0.0f);
  return own(e) * (e->node->sigmoid ? sigmoid(factor) : factor);
}

static double reference_channel_conv(const element *e) {
  double sum = (double)e->node->bias[0];
  for (uint32_t k = 0; k < e->node->window.kernel_w; k++) {
    const int64_t from = (int64_t)e->c + k - e->node->window.pad_left;
    if (from >= 0 && from < e->in.c)
      sum += (double)e->node->weights[k] * input_at(e, 0, 0, (size_t)from, 0.0f);
  }
  return sum;
}

/* Return the index inside [0,size) from which a border copies its content at `i`. */
static int64_t inwards(graph_pad_mode mode, int64_t i, int64_t size) {
  if (mode == GRAPH_PAD_REFLECT) return i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;
  if (mode == GRAPH_PAD_EDGE) return i < 0 ? 0 : i >= size ? size - 1 : i;
  return i;
}

static double reference_pad(const element *e) {
  const graph_node *node = e->node;
  const int64_t row = inwards(node->pad_mode, (int64_t)e->h - node->window.pad_top, e->in.h);
  const int64_t column = inwards(node->pad_mode, (int64_t)e->w - node->window.pad_left, e->in.w);
  return input_at(e, row, column, e->c, node->scalar);
}

typedef double reference_function(const element *e);

static reference_function *const references[GRAPH_OP_COUNT] = {
#define GRAPH_OP(NAME, name, inputs, fields, check, kernel) [GRAPH_##NAME] = reference_##name,
#include "loader/graph/ops.def"
};

static float compute(const element *e) {
  const double value = references[e->node->op](e);
  if (!graph_op_uses(e->node->op, GRAPH_USES_CLAMP)) return (float)value;
  return (float)fmin(fmax(value, (double)e->node->clamp_min), (double)e->node->clamp_max);
}

void reference_run_node(const graph *g, uint32_t index, float **values, uint32_t batch) {
  const graph_node *node = &g->nodes[index];
  const uint32_t source = node->input[0];
  element e = {.graph = g,
               .node = node,
               .values = values,
               .x = values[source],
               .in = g->nodes[source].shape};
  float *out = values[index];
  for (e.n = 0; e.n < batch; e.n++)
    for (e.h = 0; e.h < node->shape.h; e.h++)
      for (e.w = 0; e.w < node->shape.w; e.w++)
        for (e.c = 0; e.c < node->shape.c; e.c++) *out++ = compute(&e);
}
