/* Conv, Gemm and MatMul keep their weights in the order of graph.h. */
#include "loader/import/op_conv.h"

#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/nodes.h"
#include "loader/import/op_gate.h"
#include "loader/import/padding.h"
#include "loader/import/values.h"
#include "loader/import/windows.h"

static resnet_status check_conv_weights(const import_context *ctx, const constant *w,
                                        graph_shape in, int64_t groups) {
  if (!w->is_float)
    return invalid(ctx, "its weights '%.50s' are integers: floats are accepted", w->name);
  if (w->rank != 4)
    return unsupported(ctx, "its weights '%.50s' have %u dimensions: 4, (o,i,h,w), are accepted",
                       w->name, w->rank);
  int64_t out = w->dims[0];
  if (out < 1 || out > GRAPH_MAX_SIDE)
    return unsupported(ctx, "it has %lld output channels: 1 to %d is accepted", (long long)out,
                       GRAPH_MAX_SIDE);
  if (groups < 1 || groups > in.c || in.c % groups || out % groups)
    return invalid(ctx, "group is %lld: it must divide the %u input and %lld output channels",
                   (long long)groups, in.c, (long long)out);
  if (w->dims[1] != in.c / groups)
    return invalid(ctx,
                   "its weights take %lld channels in each of %lld groups, but its input has %u: "
                   "export the model again",
                   (long long)w->dims[1], (long long)groups, in.c);
  return constant_check_finite(ctx, w, "weights");
}

/* Spend what the plan takes to pack `count` weights: it pads the `rows` outputs of each
 * group to whole tiles. */
static resnet_status spend_packing(const import_context *ctx, size_t count, size_t rows) {
  enum { TILE = 16 };
  const size_t padded = (rows + TILE - 1) / TILE * TILE;
  return import_spend(ctx, count, 5 * WORK_MOVE * ((padded + rows - 1) / rows));
}

/* Transpose rows of (i,k) to rows of (k,i), in place; `row` is scratch memory. */
static void turn_rows(float *weights, float *row, size_t rows, size_t inputs, size_t area) {
  size_t columns = inputs * area;
  for (size_t o = 0; o < rows; o++, weights += columns) {
    memcpy(row, weights, columns * sizeof *row);
    for (size_t k = 0; k < area; k++)
      for (size_t i = 0; i < inputs; i++) weights[k * inputs + i] = row[i * area + k];
  }
}

/* Take the weights from input `index`, rows of (i,h,w), and turn them into rows of
 * (h,w,i). */
static resnet_status make_rows(import_context *ctx, graph_node *n, size_t index, size_t rows,
                               size_t inputs, size_t area) {
  n->weights = value_take_floats(ctx, index);
  if (!n->weights) return err_no_memory(ctx->error, "weights");
  n->weight_count = rows * inputs * area;
  if (inputs == 1 || area == 1) return RESNET_OK;
  float *row = mem_allocate_unset(ctx->memory, inputs * area, sizeof *row);
  if (!row) return err_no_memory(ctx->error, "weights");
  turn_rows(n->weights, row, rows, inputs, area);
  mem_release(ctx->memory, row);
  return RESNET_OK;
}

/* ONNX gives a convolution's bias one dimension, and broadcasts nothing. */
static resnet_status check_conv_bias(const import_context *ctx, const constant *bias,
                                     int64_t count) {
  if (!bias || (bias->rank == 1 && bias->dims[0] == count)) return RESNET_OK;
  return invalid(ctx,
                 "its bias '%.50s' has %zu numbers in %u dimensions: one dimension of %lld, a "
                 "number for each output, is accepted",
                 bias->name, bias->count, bias->rank, (long long)count);
}

static resnet_status add_conv(import_context *ctx, const value *x, const constant *w,
                              const constant *bias, int64_t groups) {
  graph_shape shape = value_shape(ctx, x);
  graph_window window;
  window_request request = {.kernel = &w->dims[2], .accepts_dilation = true};
  value from = *x;
  resnet_status status = check_conv_weights(ctx, w, shape, groups);
  if (status == RESNET_OK) status = check_conv_bias(ctx, bias, w->dims[0]);
  if (status == RESNET_OK) status = window_read(ctx, &from, &request, &window, &shape);
  if (status != RESNET_OK) return status;
  shape.c = (uint32_t)w->dims[0];
  const size_t rows = shape.c / (size_t)groups;
  const bool depthwise = rows == 1 && w->dims[1] == 1; /* tiles hold many groups */
  status = spend_packing(ctx, w->count, depthwise ? shape.c : rows);
  if (status != RESNET_OK) return status;
  graph_node *n = node_add(ctx, GRAPH_CONV, from.node, shape, &status);
  if (!n) return status;
  n->window = window;
  n->groups = (uint32_t)groups;
  status =
      make_rows(ctx, n, 1, shape.c, (size_t)w->dims[1], (size_t)w->dims[2] * (size_t)w->dims[3]);
  return status == RESNET_OK ? node_make_bias(ctx, n, bias, shape.c, 1) : status;
}

resnet_status op_conv(import_context *ctx) {
  value *x;
  const constant *w, *bias;
  int64_t groups;
  resnet_status status = value_get_constant(ctx, 1, "weights", &w);
  if (status != RESNET_OK) return status;
  if (!w) return invalid(ctx, "its weights are missing: export the model again");
  if (w->rank == 3) return op_channel_conv(ctx, w);
  status = value_get_nchw(ctx, 0, true, &x);
  if (status == RESNET_OK && x->pad_lowest && padding_is_deferred(x))
    status = padding_materialize(ctx, x);
  if (status == RESNET_OK) status = value_get_constant(ctx, 2, "bias", &bias);
  if (status == RESNET_OK) status = attr_get_int(ctx, "group", 1, &groups);
  return status == RESNET_OK ? add_conv(ctx, x, w, bias, groups) : status;
}

/* Transpose a matrix (inputs in (c,h,w) order, outputs) to rows of (h,w,c). It works on
 * tiles, so that each cache line is loaded once. */
static resnet_status make_transposed_rows(import_context *ctx, graph_node *n,
                                          const constant *matrix, size_t channels, size_t area) {
  enum { TILE = 16 };
  size_t columns = area * channels, rows = n->shape.c;
  n->weights = mem_allocate_unset(ctx->memory, matrix->count, sizeof(float));
  if (!n->weights) return err_no_memory(ctx->error, "weights");
  n->weight_count = matrix->count;
  for (size_t first = 0; first < columns; first += TILE) {
    size_t end = first + TILE < columns ? first + TILE : columns;
    for (size_t o = 0; o < rows; o++)
      for (size_t i = first; i < end; i++)
        n->weights[o * columns + i % area * channels + i / area] = matrix->floats[i * rows + o];
  }
  return RESNET_OK;
}

typedef struct linear {
  const constant *matrix, *bias;
  size_t index;       /* the matrix's, among the inputs */
  bool transposed;    /* matrix is (outputs, inputs) */
  bool channels_last; /* inputs are in (h,w,c) order, else in (c,h,w) */
  double alpha, beta;
} linear;

static resnet_status make_linear_weights(import_context *ctx, graph_node *n, const linear *p,
                                         graph_shape in) {
  const size_t pixels = (size_t)in.h * in.w, area = p->channels_last ? 1 : pixels,
               channels = in.c * (pixels / area);
  resnet_status status = p->transposed ? make_rows(ctx, n, p->index, n->shape.c, channels, area)
                                       : make_transposed_rows(ctx, n, p->matrix, channels, area);
  if (status != RESNET_OK || p->alpha == 1) return status;
  for (size_t i = 0; i < n->weight_count; i++)
    n->weights[i] = (float)(p->alpha * (double)n->weights[i]);
  if (graph_all_finite(n->weights, n->weight_count)) return RESNET_OK;
  return invalid(ctx,
                 "its weights overflow once alpha, %g, is multiplied in: train or export again",
                 p->alpha);
}

static resnet_status add_linear(import_context *ctx, const value *x, linear *p) {
  const constant *m = p->matrix;
  p->channels_last = x->channels_last;
  if (!m || !m->is_float || m->rank != 2)
    return unsupported(ctx, "its weights '%.50s' must be a matrix of floats", m ? m->name : "");
  graph_shape in = value_shape(ctx, x);
  int64_t columns = (int64_t)in.h * in.w * in.c, outputs = m->dims[p->transposed ? 0 : 1];
  if (m->dims[p->transposed ? 1 : 0] != columns)
    return invalid(ctx,
                   "its weights take %lld numbers, its input has %lld: the model was exported for "
                   "another input size; name it (options.input_height, input_width)",
                   (long long)m->dims[p->transposed ? 1 : 0], (long long)columns);
  if (outputs < 1 || outputs > GRAPH_MAX_SIDE)
    return unsupported(ctx, "it has %lld outputs: 1 to %d is accepted", (long long)outputs,
                       GRAPH_MAX_SIDE);
  resnet_status status = constant_check_finite(ctx, m, "weights");
  if (status == RESNET_OK) status = spend_packing(ctx, m->count, (size_t)outputs);
  graph_node *n = status == RESNET_OK ? node_add(ctx, GRAPH_LINEAR, x->node,
                                                 (graph_shape){1, 1, (uint32_t)outputs}, &status)
                                      : NULL;
  if (!n) return status;
  status = make_linear_weights(ctx, n, p, in);
  if (status == RESNET_OK) status = node_make_bias(ctx, n, p->bias, (size_t)outputs, p->beta);
  /* weights times (features,n) is (outputs,n) */
  const bool batch_last = p->index == 0;
  const value view = {.node = ctx->graph->node_count - 1, .batch_last = batch_last};
  const int64_t dims[2] = {batch_last ? outputs : 0, batch_last ? 0 : outputs};
  return status == RESNET_OK ? value_set_view(ctx, &view, 2, dims) : status;
}

/* Import Gemm. Some MXNet files give it an image (n,c,1,1), which MXNet flattens. */
resnet_status op_gemm(import_context *ctx) {
  value *x;
  linear p = {.index = 1};
  int64_t transpose_a, transpose_b;
  float alpha, beta;
  resnet_status status = value_get_transposed(ctx, 0, &x);
  if (status == RESNET_OK) status = value_get_constant(ctx, 1, "weights", &p.matrix);
  if (status == RESNET_OK) status = value_get_constant(ctx, 2, "bias", &p.bias);
  if (status == RESNET_OK) status = attr_get_int(ctx, "transA", 0, &transpose_a);
  if (status == RESNET_OK) status = attr_get_int(ctx, "transB", 0, &transpose_b);
  if (status == RESNET_OK) status = attr_get_float(ctx, "alpha", 1, &alpha);
  if (status == RESNET_OK) status = attr_get_float(ctx, "beta", 1, &beta);
  if (status == RESNET_OK && !transpose_a) status = value_get_activation(ctx, 0, &x);
  if (status != RESNET_OK) return status;
  if (transpose_a && !x->batch_last)
    return unsupported(ctx, "transA is 1, which mixes the images of a batch: 0 is accepted");
  p.transposed = transpose_b != 0;
  p.alpha = (double)alpha;
  p.beta = (double)beta;
  return add_linear(ctx, x, &p);
}

/* Import a product of weights and (features,n). */
static resnet_status multiply_transposed(import_context *ctx, linear *p) {
  value *x;
  resnet_status status = value_get_transposed(ctx, 1, &x);
  if (status == RESNET_OK) status = value_get_constant(ctx, 0, "weights", &p->matrix);
  if (status != RESNET_OK) return status;
  if (!x->batch_last)
    return unsupported(ctx,
                       "multiplies weights by '%.50s' of rank %u: (features,n) is accepted behind "
                       "them, (n,features) in front of them",
                       x->name, x->rank);
  p->transposed = true;
  return add_linear(ctx, x, p);
}

/* Return whether x is a vector of features, but for axes of one element before the
 * last. */
static bool is_vector_of_any_rank(const import_context *ctx, const value *x) {
  const graph_shape s = value_shape(ctx, x);
  bool alone = x->rank > 1 && s.h == 1 && s.w == 1 && x->dims[x->rank - 1] == s.c;
  for (uint32_t i = 1; i + 1 < x->rank; i++) alone = alone && x->dims[i] == 1;
  return alone;
}

/* Give the result the axes of x, the last of which now holds the outputs. */
static resnet_status keep_axes(import_context *ctx, const value *x) {
  int64_t dims[MAX_RANK];
  const value *y = value_result(ctx);
  if (!y) return RESNET_OK;
  memcpy(dims, x->dims, sizeof dims);
  dims[x->rank - 1] = y->dims[1];
  const value view = *y;
  return value_set_view(ctx, &view, x->rank, dims);
}

resnet_status op_matmul(import_context *ctx) {
  value *x;
  linear p = {.index = 1, .alpha = 1, .beta = 1};
  resnet_status status = value_get(ctx, 0, &x);
  if (status != RESNET_OK) return status;
  p.index = x->kind == VALUE_CONSTANT ? 0 : 1;
  if (p.index == 0) return multiply_transposed(ctx, &p);
  status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = value_get_constant(ctx, 1, "weights", &p.matrix);
  if (status != RESNET_OK) return status;
  const value vector = *x;
  if (x->rank != 2 && !is_vector_of_any_rank(ctx, x))
    return unsupported(ctx,
                       "multiplies a tensor of rank %u: (n,features) is accepted, and axes of one "
                       "element between the two",
                       x->rank);
  status = add_linear(ctx, x, &p);
  return status == RESNET_OK && vector.rank > 2 ? keep_axes(ctx, &vector) : status;
}
