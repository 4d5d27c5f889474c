/* Batch normalisation, arithmetic with constants, residual additions, clamps, softmax. */
#include <float.h>
#include <math.h>

#include "loader/import/import.h"

/* ---- per-channel affine functions -------------------------------------------------- */

draft *add_affine(lowering *l, const value *x, resnet_status *status) {
  uint32_t channels = value_shape(l, x).c;
  double *scale = scratch_allocate(l, channels, sizeof *scale),
         *shift = scratch_allocate(l, channels, sizeof *shift);
  if (!scale || !shift) {
    *status = err_no_memory(l->error, "a normalisation");
    return NULL;
  }
  for (uint32_t c = 0; c < channels; c++) scale[c] = 1;
  if (!add_elementwise(l, GRAPH_AFFINE, x, status)) return NULL;
  draft *d = &l->drafts[l->graph->node_count - 1];
  d->scale = scale;
  d->shift = shift;
  return d;
}

typedef struct normalisation {
  const tensor *scale, *bias, *mean, *variance;
  float epsilon;
} normalisation;

static resnet_status read_normalisation(lowering *l, size_t channels, normalisation *p) {
  static const char *const names[4] = {"scale", "bias", "mean", "variance"};
  const tensor **tensors[4] = {&p->scale, &p->bias, &p->mean, &p->variance};
  for (size_t i = 0; i < 4; i++) {
    resnet_status status = get_constant(l, i + 1, names[i], tensors[i]);
    if (status != RESNET_OK) return status;
    const tensor *t = *tensors[i];
    if (!t || !t->is_float || t->rank != 1 || t->count != channels)
      return invalid(l,
                     "its %s '%.50s' has %zu numbers: a float for each of %zu channels is accepted",
                     names[i], t ? t->name : "", t ? t->count : 0, channels);
    status = check_finite(l, t, names[i]);
    if (status != RESNET_OK) return status;
  }
  return get_float(l, "epsilon", 1e-5F, &p->epsilon);
}

static bool names_statistics(const lowering *l) {
  for (size_t i = 1; i < l->node->n_output; i++)
    if (l->node->output[i][0]) return true;
  return false;
}

/* Before opset 7 is_test, 0 unless given, tells; then, until training_mode comes with 14,
 * whether the statistics of the batch are outputs, unless an is_test was left there (rten
 * issue 1432). */
static resnet_status check_inference(const lowering *l) {
  int64_t training, test;
  resnet_status status = get_int(l, "training_mode", 0, &training);
  if (status == RESNET_OK)
    status = get_int(l, "is_test", l->opset >= 7 && !names_statistics(l), &test);
  if (status != RESNET_OK) return status;
  if (training)
    return unsupported(l, "was left in training mode (training_mode is 1), where answers depend on "
                          "the other pictures "
                          "of the batch: call model.eval() and export again");
  if (!test && l->opset >= 7 && l->opset < 14)
    return unsupported(
        l,
        "was left in training mode (its mean and variance are outputs, '%.40s' is one): call "
        "model.eval() and export again",
        l->node->n_output > 1 ? l->node->output[1] : "");
  if (!test && l->opset < 7)
    return unsupported(
        l, "was left in training mode (is_test is 0): call model.eval() and export again");
  return RESNET_OK;
}

/* y = (x - mean) / sqrt(variance + epsilon) * scale + bias. Old MXNet files say spatial=0
 * and mean 1 (mxnet issue 17711): the parameters' length, one for each channel, tells. */
resnet_status lower_batch_normalization(lowering *l) {
  value *x;
  normalisation p;
  uint32_t axis;
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) status = check_inference(l);
  if (status != RESNET_OK) return status;
  if (!find_channels(l, x, &axis) || axis != 1)
    return unsupported(l, "its input was reshaped: (n,c,...) is accepted");
  uint32_t channels = value_shape(l, x).c;
  status = read_normalisation(l, channels, &p);
  if (status != RESNET_OK) return status;
  if (!isfinite(p.epsilon) || p.epsilon < 0)
    return invalid(l, "epsilon is %g: it must be at least 0", (double)p.epsilon);

  draft *d = add_affine(l, x, &status);
  if (!d) return status;
  for (uint32_t c = 0; c < channels; c++) {
    double variance = (double)p.variance->floats[c];
    if (variance < 0 || variance + (double)p.epsilon <= 0)
      return invalid(
          l, "its variance is %g for channel %u: it must be positive; train or export again",
          variance, c);
    d->scale[c] = (double)p.scale->floats[c] / sqrt(variance + (double)p.epsilon);
    d->shift[c] = (double)p.bias->floats[c] - (double)p.mean->floats[c] * d->scale[c];
  }
  return RESNET_OK;
}

/* The axis of x that the first dimension of t meets: the last ones meet, but before opset
 * 7 attribute axis may say. */
static resnet_status first_axis(const lowering *l, const value *x, const tensor *t, int64_t *axis) {
  *axis = (int64_t)x->rank - t->rank;
  if (l->opset >= 7) return RESNET_OK;
  resnet_status status = get_int(l, "axis", *axis, axis);
  if (status == RESNET_OK && *axis < 0) *axis += x->rank;
  return status;
}

/* One number, or one for each channel when broadcast against x. */
static bool fits_channels(const lowering *l, const value *x, const tensor *t, int64_t first) {
  uint32_t channels;
  if (!t->is_float || first < 0 || first > x->rank || first + t->rank > x->rank) return false;
  if (t->count == 1) return true;
  if (!find_channels(l, x, &channels)) return false;
  for (uint32_t i = 0; i < t->rank; i++)
    if (t->dims[i] != (first + i == channels ? x->dims[channels] : 1)) return false;
  return true;
}

/* Shapes that differ: those that ONNX broadcasts (the batch aside) are not accepted,
 * others contradict each other. */
static resnet_status broadcast_status(const value *a, const int64_t *dims, uint32_t rank) {
  for (uint32_t i = 1; i <= rank && i < a->rank; i++) {
    int64_t x = a->dims[a->rank - i], y = dims[rank - i];
    if (x != y && x != 1 && y != 1) return RESNET_ERROR_FORMAT;
  }
  return RESNET_ERROR_UNSUPPORTED;
}

typedef enum arithmetic { ADD, SUB, MUL, DIV } arithmetic;

static arithmetic which(const lowering *l) {
  switch (l->node->op_type[0]) {
  case 'M':
    return MUL;
  case 'D':
    return DIV;
  default:
    return l->node->op_type[2] == 'b' ? SUB : ADD; /* Sub; Add, Sum */
  }
}

/* x op number, or number op x, as scale x + shift. */
static void set_affine(draft *d, uint32_t c, arithmetic op, double number, bool constant_first) {
  switch (op) {
  case MUL:
    d->scale[c] = number;
    break;
  case DIV:
    d->scale[c] = 1 / number;
    break;
  case SUB:
    d->scale[c] = constant_first ? -1 : 1;
    d->shift[c] = constant_first ? number : -number;
    break;
  case ADD:
    d->shift[c] = number;
  }
}

static resnet_status check_divisor(const lowering *l, const tensor *t, bool constant_first) {
  if (constant_first)
    return unsupported(l, "divides a constant by an activation: the divisor must be the constant");
  for (size_t i = 0; i < t->count; i++)
    if (!(fabsf(t->floats[i]) > 0))
      return invalid(l, "divides by 0, element %zu of '%.50s'", i, t->name);
  return RESNET_OK;
}

static resnet_status add_constant(lowering *l, const value *x, const tensor *t,
                                  bool constant_first) {
  int64_t axis;
  resnet_status status = first_axis(l, x, t, &axis);
  if (status != RESNET_OK) return status;
  if (!fits_channels(l, x, t, axis))
    return refuse(
        l, broadcast_status(x, t->dims, t->rank),
        "its constant '%.50s' has %zu numbers: 1 float, or 1 for each channel, is accepted",
        t->name, t->count);
  arithmetic op = which(l);
  status = check_finite(l, t, "constant");
  if (status == RESNET_OK && op == DIV) status = check_divisor(l, t, constant_first);
  draft *d = status == RESNET_OK ? add_affine(l, x, &status) : NULL;
  if (!d) return status;
  for (uint32_t c = 0; c < value_shape(l, x).c; c++)
    set_affine(d, c, op, (double)t->floats[t->count == 1 ? 0 : c], constant_first);
  return RESNET_OK;
}

/* ---- additions --------------------------------------------------------------------- */

static resnet_status add_residual(lowering *l, const value *a, const value *b) {
  graph_shape s = value_shape(l, a), t = value_shape(l, b);
  const bool fits = seen_alike(l, a, b);
  if (fits && !of_one_order(l, a, b))
    return unsupported(l, "adds a picture seen as (n,c,h,w) and one seen as (n,h,w,c): two of one "
                          "order are accepted");
  if (!fits)
    return refuse(l, broadcast_status(a, b->dims, b->rank),
                  "adds (h %u, w %u, c %u) and (h %u, w %u, c %u): equal shapes are accepted, no "
                  "broadcasting",
                  s.h, s.w, s.c, t.h, t.w, t.c);
  resnet_status status;
  graph_node *n = add_elementwise(l, GRAPH_ADD, a, &status);
  if (!n) return status;
  n->input[1] = b->node;
  n->input_count = 2;
  return RESNET_OK;
}

resnet_status lower_arithmetic(lowering *l) {
  value *a, *b;
  resnet_status status = get_value(l, 0, &a);
  if (status == RESNET_OK) status = get_value(l, 1, &b);
  if (status == RESNET_OK) status = check_batchless(l, a);
  if (status == RESNET_OK) status = check_batchless(l, b);
  if (status != RESNET_OK) return status;
  bool constant_first = a->kind == VALUE_TENSOR;
  if (constant_first || b->kind == VALUE_TENSOR) {
    value *x;
    status = get_activation(l, constant_first ? 1 : 0, &x);
    return status == RESNET_OK
               ? add_constant(l, x, constant_first ? a->tensor : b->tensor, constant_first)
               : status;
  }
  if (which(l) == MUL) return lower_scale(l);
  status = get_activation(l, 0, &a);
  if (status == RESNET_OK) status = get_activation(l, 1, &b);
  if (status != RESNET_OK) return status;
  if (which(l) != ADD)
    return unsupported(l, "combines two activations: a constant for one of them is accepted; only "
                          "Add and Mul take two");
  return add_residual(l, a, b);
}

resnet_status lower_sum(lowering *l) {
  value *x;
  if (l->node->n_input > 2)
    return unsupported(l, "sums %zu tensors: 1 or 2 are accepted", l->node->n_input);
  if (l->node->n_input == 2) return lower_arithmetic(l);
  resnet_status status = get_activation(l, 0, &x);
  return status == RESNET_OK ? set_same(l, x) : status;
}

/* ---- clamps ------------------------------------------------------------------------ */

static resnet_status add_clamp(lowering *l, const value *x, float low, float high) {
  resnet_status status;
  if (!(low <= high))
    return invalid(l, "clips to [%g,%g]: the minimum must not exceed the maximum", (double)low,
                   (double)high);
  graph_node *n = add_elementwise(l, GRAPH_CLAMP, x, &status);
  if (!n) return status;
  n->clamp_min = low <= -FLT_MAX ? -INFINITY : low;
  n->clamp_max = high >= FLT_MAX ? INFINITY : high;
  return RESNET_OK;
}

resnet_status lower_relu(lowering *l) {
  value *x;
  resnet_status status = get_activation(l, 0, &x);
  return status == RESNET_OK ? add_clamp(l, x, 0, INFINITY) : status;
}

/* A bound that is a constant input of one number; `fallback` where it is absent. */
static resnet_status read_bound(lowering *l, size_t index, float fallback, float *bound) {
  const tensor *t;
  resnet_status status = get_constant(l, index, "bounds", &t);
  *bound = fallback;
  if (status != RESNET_OK || !t) return status;
  if (!t->is_float || t->count != 1)
    return unsupported(l, "its bound has %zu numbers: one float is accepted", t->count);
  *bound = t->floats[0];
  return RESNET_OK;
}

resnet_status lower_clip(lowering *l) {
  value *x;
  float low, high;
  bool attributes = l->opset < 11;
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK)
    status = attributes ? get_float(l, "min", -FLT_MAX, &low) : read_bound(l, 1, -INFINITY, &low);
  if (status == RESNET_OK)
    status = attributes ? get_float(l, "max", FLT_MAX, &high) : read_bound(l, 2, INFINITY, &high);
  return status == RESNET_OK ? add_clamp(l, x, low, high) : status;
}

/* ReLU6 as tf2onnx writes it: Min(Relu(x), 6). */
resnet_status lower_min_max(lowering *l) {
  value *x, *first;
  float bound;
  bool is_min = l->node->op_type[1] == 'i';
  resnet_status status = get_value(l, 0, &first);
  if (status != RESNET_OK) return status;
  size_t position = first->kind == VALUE_ACTIVATION ? 0 : 1;
  status = get_activation(l, position, &x);
  if (status == RESNET_OK)
    status = read_bound(l, 1 - position, is_min ? INFINITY : -INFINITY, &bound);
  if (status != RESNET_OK) return status;
  return is_min ? add_clamp(l, x, -INFINITY, bound) : add_clamp(l, x, bound, INFINITY);
}

/* ---- softmax ----------------------------------------------------------------------- */

/* Up to opset 12 the default axis is 1 and all axes from it on are taken together; from
 * 13 it is -1 and stands alone.
 */
resnet_status lower_softmax(lowering *l) {
  value *x;
  int64_t given;
  uint32_t axis;
  bool together = l->opset < 13;
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) status = get_int(l, "axis", together ? 1 : -1, &given);
  if (status == RESNET_OK) status = resolve_axis(l, given, x->rank, &axis);
  if (status != RESNET_OK) return status;
  graph_shape s = value_shape(l, x);
  bool over_classes = together ? axis == 1 : axis > 0 && x->dims[axis] == s.c;
  if (s.h != 1 || s.w != 1 || !over_classes)
    return unsupported(
        l, "is taken over axis %u of %u (h %u, w %u): the channels of (n,c) are accepted", axis,
        x->rank, s.h, s.w);
  (void)add_elementwise(l, l->node->op_type[0] == 'L' ? GRAPH_LOG_SOFTMAX : GRAPH_SOFTMAX, x,
                        &status);
  return status;
}
