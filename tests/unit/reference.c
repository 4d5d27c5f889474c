#include "tests/unit/reference.h"

#include <math.h>
#include <string.h>

static float at(const float *x, graph_shape s, size_t n, int64_t h, int64_t w, size_t c,
                float outside) {
  if (h < 0 || w < 0 || h >= s.h || w >= s.w) return outside;
  return x[((n * s.h + (size_t)h) * s.w + (size_t)w) * s.c + c];
}

static float clamped(const graph_node *node, double x) {
  return (float)fmin(fmax(x, (double)node->clamp_min), (double)node->clamp_max);
}

static double conv(const graph_node *node, graph_shape in, const float *x, size_t n, uint32_t h,
                   uint32_t w, uint32_t o) {
  const graph_window *k = &node->window;
  const uint32_t in_group = in.c / node->groups, out_group = node->shape.c / node->groups,
                 group = o / out_group;
  double sum = (double)node->bias[o];
  for (uint32_t kh = 0; kh < k->kernel_h; kh++)
    for (uint32_t kw = 0; kw < k->kernel_w; kw++)
      for (uint32_t c = 0; c < in_group; c++) {
        const int64_t ih = (int64_t)h * k->stride_h + (int64_t)kh * k->dilation_h - k->pad_top;
        const int64_t iw = (int64_t)w * k->stride_w + (int64_t)kw * k->dilation_w - k->pad_left;
        const size_t weight = (((size_t)o * k->kernel_h + kh) * k->kernel_w + kw) * in_group + c;
        sum += (double)node->weights[weight] *
               (double)at(x, in, n, ih, iw, group * in_group + c, 0.0f);
      }
  return sum;
}

static double linear(const graph_node *node, graph_shape in, const float *x, size_t n, uint32_t o) {
  const size_t count = (size_t)in.h * in.w * in.c;
  double sum = (double)node->bias[o];
  for (size_t i = 0; i < count; i++)
    sum += (double)node->weights[o * count + i] * (double)x[n * count + i];
  return sum;
}

/* Mean or maximum of the window's taps that lie inside. */
static double pool(const graph_node *node, graph_shape in, const float *x, size_t n, uint32_t h,
                   uint32_t w, uint32_t c) {
  const graph_window *k = &node->window;
  double sum = 0.0, best = -INFINITY;
  uint32_t inside = 0;
  for (uint32_t kh = 0; kh < k->kernel_h; kh++)
    for (uint32_t kw = 0; kw < k->kernel_w; kw++) {
      const int64_t ih = (int64_t)h * k->stride_h + (int64_t)kh * k->dilation_h - k->pad_top;
      const int64_t iw = (int64_t)w * k->stride_w + (int64_t)kw * k->dilation_w - k->pad_left;
      const double value = (double)at(x, in, n, ih, iw, c, NAN);
      if (isnan(value)) continue;
      inside++;
      sum += value;
      best = fmax(best, value);
    }
  if (node->op == GRAPH_MAX_POOL) return best;
  return sum / (node->count_padding ? (double)k->kernel_h * k->kernel_w : (double)inside);
}

static double subsample(const graph_node *node, graph_shape in, const float *x, size_t n,
                        uint32_t h, uint32_t w, uint32_t c) {
  if (c < node->channels_before || c >= node->channels_before + in.c) return 0.0;
  return (double)at(x, in, n, (int64_t)h * node->stride_h, (int64_t)w * node->stride_w,
                    c - node->channels_before, 0.0f);
}

static double global_average(graph_shape in, const float *x, size_t n, uint32_t c) {
  double sum = 0.0;
  for (uint32_t h = 0; h < in.h; h++)
    for (uint32_t w = 0; w < in.w; w++) sum += (double)at(x, in, n, h, w, c, 0.0f);
  return sum / ((double)in.h * in.w);
}

static double softmax(graph_op op, graph_shape in, const float *x, size_t n, uint32_t h, uint32_t w,
                      uint32_t c) {
  double best = -INFINITY, sum = 0.0;
  for (uint32_t k = 0; k < in.c; k++) best = fmax(best, (double)at(x, in, n, h, w, k, 0.0f));
  for (uint32_t k = 0; k < in.c; k++) sum += exp((double)at(x, in, n, h, w, k, 0.0f) - best);
  const double log_probability = (double)at(x, in, n, h, w, c, 0.0f) - best - log(sum);
  return op == GRAPH_SOFTMAX ? exp(log_probability) : log_probability;
}

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

static double channel_conv(const graph_node *node, graph_shape in, const float *x, size_t n,
                           uint32_t c) {
  double sum = (double)node->bias[0];
  for (uint32_t k = 0; k < node->window.kernel_w; k++) {
    const int64_t from = (int64_t)c + k - node->window.pad_left;
    if (from >= 0 && from < in.c)
      sum += (double)node->weights[k] * (double)at(x, in, n, 0, 0, (size_t)from, 0.0f);
  }
  return sum;
}

/* Where a place outside of [0,size) is taken from. */
static int64_t inwards(graph_pad_mode mode, int64_t i, int64_t size) {
  if (mode == GRAPH_PAD_REFLECT) return i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;
  if (mode == GRAPH_PAD_EDGE) return i < 0 ? 0 : i >= size ? size - 1 : i;
  return i;
}

static double pad(const graph_node *node, graph_shape in, const float *x, size_t n, uint32_t h,
                  uint32_t w, uint32_t c) {
  const int64_t row = inwards(node->pad_mode, (int64_t)h - node->window.pad_top, in.h);
  const int64_t column = inwards(node->pad_mode, (int64_t)w - node->window.pad_left, in.w);
  return (double)at(x, in, n, row, column, c, node->pad_value);
}

static float scale(const graph_node *node, graph_shape gate_shape, const float *gate, size_t n,
                   uint32_t h, uint32_t w, uint32_t c, double own) {
  const bool one = gate_shape.h == 1 && gate_shape.w == 1; /* pixel, for all */
  const double factor = (double)at(gate, gate_shape, n, one ? 0 : h, one ? 0 : w, c, 0.0f);
  return clamped(node, own * (node->sigmoid ? sigmoid(factor) : factor));
}

static float element(const graph *g, const graph_node *node, float **values, size_t n, uint32_t h,
                     uint32_t w, uint32_t c) {
  const graph_shape in = g->nodes[node->input[0]].shape;
  const float *x = values[node->input[0]];
  const double own = (double)at(x, in, n, h, w, c < in.c ? c : 0, 0.0f);
  switch (node->op) {
  case GRAPH_CONV:
    return clamped(node, conv(node, in, x, n, h, w, c));
  case GRAPH_LINEAR:
    return clamped(node, linear(node, in, x, n, c));
  case GRAPH_ADD:
    return clamped(node, own + (double)at(values[node->input[1]], node->shape, n, h, w, c, 0.0f));
  case GRAPH_SUBSAMPLE:
    return (float)subsample(node, in, x, n, h, w, c);
  case GRAPH_AFFINE:
    return clamped(node, own * (double)node->weights[c] + (double)node->bias[c]);
  case GRAPH_CLAMP:
    return clamped(node, own);
  case GRAPH_MAX_POOL:
  case GRAPH_AVERAGE_POOL:
    return (float)pool(node, in, x, n, h, w, c);
  case GRAPH_GLOBAL_AVERAGE_POOL:
    return (float)global_average(in, x, n, c);
  case GRAPH_SOFTMAX:
  case GRAPH_LOG_SOFTMAX:
    return (float)softmax(node->op, in, x, n, h, w, c);
  case GRAPH_SIGMOID:
    return (float)sigmoid(own);
  case GRAPH_SCALE:
    return scale(node, g->nodes[node->input[1]].shape, values[node->input[1]], n, h, w, c, own);
  case GRAPH_CHANNEL_CONV:
    return (float)channel_conv(node, in, x, n, c);
  case GRAPH_PAD:
    return (float)pad(node, in, x, n, h, w, c);
  case GRAPH_INPUT:
  case GRAPH_OP_COUNT:
    break;
  }
  return NAN;
}

void reference_run_node(const graph *g, uint32_t index, float **values, uint32_t batch) {
  const graph_node *node = &g->nodes[index];
  float *out = values[index];
  for (size_t n = 0; n < batch; n++)
    for (uint32_t h = 0; h < node->shape.h; h++)
      for (uint32_t w = 0; w < node->shape.w; w++)
        for (uint32_t c = 0; c < node->shape.c; c++) *out++ = element(g, node, values, n, h, w, c);
}
