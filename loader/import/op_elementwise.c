#include "loader/import/op_elementwise.h"

#include <float.h>
#include <math.h>

#include "loader/import/attributes.h"
#include "loader/import/nodes.h"
#include "loader/import/op_channels.h"
#include "loader/import/op_gate.h"
#include "loader/import/op_spelled.h"
#include "loader/import/shapes.h"
#include "loader/import/values.h"

/* ---- per-channel affine functions -------------------------------------------------- */

typedef struct normalisation {
  const constant *scale, *bias, *mean, *variance;
  float epsilon;
} normalisation;

static resnet_status read_normalisation(import_context *ctx, size_t channels, normalisation *p) {
  static const char *const names[4] = {"scale", "bias", "mean", "variance"};
  const constant **tensors[4] = {&p->scale, &p->bias, &p->mean, &p->variance};
  for (size_t i = 0; i < 4; i++) {
    resnet_status status = value_get_constant(ctx, i + 1, names[i], tensors[i]);
    if (status != RESNET_OK) return status;
    const constant *t = *tensors[i];
    if (!t || !t->is_float || t->rank != 1 || t->count != channels)
      return invalid(ctx,
                     "its %s '%.50s' has %zu numbers: a float for each of %zu channels is accepted",
                     names[i], t ? t->name : "", t ? t->count : 0, channels);
    status = constant_check_finite(ctx, t, names[i]);
    if (status != RESNET_OK) return status;
  }
  return attr_get_float(ctx, "epsilon", 1e-5F, &p->epsilon);
}

static bool names_statistics(const import_context *ctx) {
  for (size_t i = 1; i < ctx->node->n_output; i++)
    if (ctx->node->output[i][0]) return true;
  return false;
}

/* Refuse training mode. Since opset 14, training_mode decides. Before opset 7, is_test
 * does; its default is 0. Between them, a node trains if it outputs the statistics of the
 * batch, unless the exporter left an is_test (rten issue 1432). */
static resnet_status check_inference(const import_context *ctx) {
  int64_t training, test;
  resnet_status status = attr_get_int(ctx, "training_mode", 0, &training);
  if (status == RESNET_OK)
    status = attr_get_int(ctx, "is_test", ctx->opset >= 7 && !names_statistics(ctx), &test);
  if (status != RESNET_OK) return status;
  if (training)
    return unsupported(ctx, "was left in training mode (training_mode is 1), where scores depend "
                            "on the other images of the batch: call model.eval() and export again");
  if (!test && ctx->opset >= 7 && ctx->opset < 14)
    return unsupported(ctx,
                       "was left in training mode (its mean and variance are outputs, '%.40s' is "
                       "one): call model.eval() and export again",
                       ctx->node->n_output > 1 ? ctx->node->output[1] : "");
  if (!test && ctx->opset < 7)
    return unsupported(
        ctx, "was left in training mode (is_test is 0): call model.eval() and export again");
  return RESNET_OK;
}

/* Keep the statistics of few channels: they may be those of images. */
static resnet_status keep_statistics(import_context *ctx, pending_affine *d, const normalisation *p,
                                     uint32_t channels) {
  if (channels > 3) return RESNET_OK;
  d->mean = import_scratch(ctx, channels, sizeof *d->mean);
  d->deviation = import_scratch(ctx, channels, sizeof *d->deviation);
  if (!d->mean || !d->deviation) return err_no_memory(ctx->error, "a normalisation");
  for (uint32_t c = 0; c < channels; c++) {
    d->mean[c] = (double)p->mean->floats[c];
    d->deviation[c] = sqrt((double)p->variance->floats[c] + (double)p->epsilon);
  }
  return RESNET_OK;
}

/* Add y = (x - mean) / sqrt(variance + epsilon) * scale + bias. Old MXNet files have
 * spatial=0 but mean 1 (mxnet issue 17711): the number of parameters, one for each
 * channel, decides. */
resnet_status op_batch_normalization(import_context *ctx) {
  value *x;
  normalisation p;
  uint32_t axis;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = check_inference(ctx);
  if (status == RESNET_OK) status = node_flatten_vector(ctx, x);
  if (status != RESNET_OK) return status;
  if (!value_find_channels(ctx, x, &axis) || axis != 1)
    return unsupported(ctx, "its input was reshaped: (n,c,...) is accepted");
  uint32_t channels = value_shape(ctx, x).c;
  status = read_normalisation(ctx, channels, &p);
  if (status != RESNET_OK) return status;
  if (!isfinite(p.epsilon) || p.epsilon < 0)
    return invalid(ctx, "epsilon is %g: it must be at least 0", (double)p.epsilon);

  pending_affine *d = node_add_affine(ctx, x, &status);
  if (!d) return status;
  d->normalises = true;
  for (uint32_t c = 0; c < channels; c++) {
    double variance = (double)p.variance->floats[c];
    if (variance < 0 || variance + (double)p.epsilon <= 0)
      return invalid(
          ctx, "its variance is %g for channel %u: it must be positive; train or export again",
          variance, c);
    d->scale[c] = (double)p.scale->floats[c] / sqrt(variance + (double)p.epsilon);
    d->shift[c] = (double)p.bias->floats[c] - (double)p.mean->floats[c] * d->scale[c];
  }
  return keep_statistics(ctx, d, &p, channels);
}

/* Find the axis of x that meets the first dimension of t: the last axes meet, unless
 * attribute axis says otherwise before opset 7. */
static resnet_status first_axis(const import_context *ctx, const value *x, const constant *t,
                                int64_t *axis) {
  *axis = (int64_t)x->rank - t->rank;
  if (ctx->opset >= 7) return RESNET_OK;
  resnet_status status = attr_get_int(ctx, "axis", *axis, axis);
  if (status == RESNET_OK && *axis < 0) *axis += x->rank;
  return status;
}

static bool are_equal(const import_context *ctx, const constant *t) {
  (void)work_spend(ctx->work, t->count, WORK_CHECK); /* the node's end checks it */
  for (size_t i = 1; i < t->count; i++)
    if (t->floats[i] != t->floats[0]) return false;
  return true;
}

/* Return whether t has one number only, or the same one for each element of x. */
static bool is_one_number(const import_context *ctx, const value *x, const constant *t) {
  if (!t->is_float || t->count == 0) return false;
  if (t->count == 1) return true;
  if (t->rank > x->rank || x->batch_last) return false;
  for (uint32_t i = 0; i < t->rank; i++) {
    const uint32_t axis = x->rank - t->rank + i;
    if (t->dims[i] != 1 && (axis == 0 || t->dims[i] != x->dims[axis])) return false;
  }
  return are_equal(ctx, t);
}

/* Return whether t has one number, or one for each channel when broadcast against x. */
static bool fits_channels(const import_context *ctx, const value *x, const constant *t,
                          int64_t first) {
  uint32_t channels;
  if (!t->is_float || first < 0 || first > x->rank || first + t->rank > x->rank) return false;
  if (t->count == 1) return true;
  if (!value_find_channels(ctx, x, &channels)) return false;
  for (uint32_t i = 0; i < t->rank; i++)
    if (t->dims[i] != (first + i == channels ? x->dims[channels] : 1)) return false;
  return true;
}

/* Return the status for shapes that differ: UNSUPPORTED if ONNX could broadcast them,
 * FORMAT if they contradict each other. */
static resnet_status broadcast_status(const value *a, const int64_t *dims, uint32_t rank) {
  for (uint32_t i = 1; i <= rank && i < a->rank; i++) {
    int64_t x = a->dims[a->rank - i], y = dims[rank - i];
    if (x != y && x != 1 && y != 1) return RESNET_ERROR_FORMAT;
  }
  return RESNET_ERROR_UNSUPPORTED;
}

typedef enum affine_operation { ADD, SUB, MUL, DIV } affine_operation;

static affine_operation find_affine_operation(const import_context *ctx) {
  switch (ctx->node->op_type[0]) {
  case 'M':
    return MUL;
  case 'D':
    return DIV;
  default:
    return ctx->node->op_type[2] == 'b' ? SUB : ADD; /* Sub; Add, Sum */
  }
}

/* Set scale and shift for (x op number) or, if the constant comes first, (number op
 * x). */
static void set_affine(pending_affine *d, uint32_t c, affine_operation op, double number,
                       bool constant_first) {
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

static resnet_status check_divisor(const import_context *ctx, const constant *t,
                                   bool constant_first) {
  if (constant_first)
    return unsupported(ctx,
                       "divides a constant by an activation: the divisor must be the constant");
  for (size_t i = 0; i < t->count; i++)
    if (!(fabsf(t->floats[i]) > 0))
      return invalid(ctx, "divides by 0, element %zu of '%.50s'", i, t->name);
  return RESNET_OK;
}

static resnet_status refuse_constant(const import_context *ctx, const value *x, const constant *t) {
  const graph_shape s = value_shape(ctx, x);
  const bool of_pixels = t->is_float && t->count > s.c && t->count % ((size_t)s.h * s.w) == 0;
  return import_refuse(
      ctx, broadcast_status(x, t->dims, t->rank),
      "its constant '%.50s' has %zu numbers: 1 float, or 1 for each channel, is accepted%s",
      t->name, t->count,
      of_pixels ? "; of a mean image, which has 1 for each pixel, use the mean of each channel"
                : "");
}

static resnet_status add_constant(import_context *ctx, value *x, const constant *t,
                                  bool constant_first) {
  int64_t axis;
  resnet_status status = t->count > 1 ? node_flatten_vector(ctx, x) : RESNET_OK;
  if (status == RESNET_OK) status = first_axis(ctx, x, t, &axis);
  if (status != RESNET_OK) return status;
  value spread = *x;
  x = &spread;
  status = op_spread_channel(ctx, x, t);
  if (status != RESNET_OK) return status;
  const bool shared = !fits_channels(ctx, x, t, axis) && is_one_number(ctx, x, t);
  if (!shared && !fits_channels(ctx, x, t, axis)) return refuse_constant(ctx, x, t);
  affine_operation op = find_affine_operation(ctx);
  status = constant_check_finite(ctx, t, "constant");
  if (status == RESNET_OK && op == DIV) status = check_divisor(ctx, t, constant_first);
  pending_affine *d = status == RESNET_OK ? node_add_affine(ctx, x, &status) : NULL;
  if (!d) return status;
  for (uint32_t c = 0; c < value_shape(ctx, x).c; c++)
    set_affine(d, c, op, (double)t->floats[shared || t->count == 1 ? 0 : c], constant_first);
  return RESNET_OK;
}

/* ---- additions --------------------------------------------------------------------- */

static resnet_status add_residual(import_context *ctx, const value *a, const value *b) {
  graph_shape s = value_shape(ctx, a), t = value_shape(ctx, b);
  const bool fits = value_same_shape_as_viewed(ctx, a, b);
  if (fits && !value_same_layout(ctx, a, b))
    return unsupported(ctx, "adds an image viewed as (n,c,h,w) and one viewed as (n,h,w,c): two of "
                            "the same order are accepted");
  if (!fits)
    return import_refuse(ctx, broadcast_status(a, b->dims, b->rank),
                         "adds (h %u, w %u, c %u) and (h %u, w %u, c %u): equal shapes are "
                         "accepted, no broadcasting",
                         s.h, s.w, s.c, t.h, t.w, t.c);
  resnet_status status;
  graph_node *n = node_add_elementwise(ctx, GRAPH_ADD, a, &status);
  if (!n) return status;
  n->input[1] = b->node;
  n->input_count = 2;
  return RESNET_OK;
}

/* Add two activations; subtract them if that spells a PReLU. */
static resnet_status combine_activations(import_context *ctx, const value *a, const value *b) {
  bool found = false;
  const affine_operation op = find_affine_operation(ctx);
  resnet_status status = RESNET_OK;
  if (op == ADD || op == SUB) status = op_add_split_relu(ctx, a, b, op == SUB, &found);
  if (status == RESNET_OK && !found && op == ADD)
    status = op_add_split_relu(ctx, b, a, false, &found);
  if (status != RESNET_OK || found) return status;
  if (op != ADD)
    return unsupported(ctx, "combines two activations: a constant for one of them is accepted; "
                            "only Add and Mul take two");
  return add_residual(ctx, a, b);
}

/* Import Neg. */
resnet_status op_neg(import_context *ctx) {
  value *x;
  resnet_status status = value_get_transposed(ctx, 0, &x);
  pending_affine *d = status == RESNET_OK ? node_add_affine(ctx, x, &status) : NULL;
  for (uint32_t c = 0; d && c < value_shape(ctx, x).c; c++) d->scale[c] = -1;
  return status;
}

resnet_status op_arithmetic(import_context *ctx) {
  value *a, *b;
  resnet_status status = value_get(ctx, 0, &a);
  if (status == RESNET_OK) status = value_get(ctx, 1, &b);
  if (status == RESNET_OK) status = value_check_no_batch(ctx, a);
  if (status == RESNET_OK) status = value_check_no_batch(ctx, b);
  if (status != RESNET_OK) return status;
  bool constant_first = a->kind == VALUE_CONSTANT;
  if (constant_first || b->kind == VALUE_CONSTANT) {
    value *x;
    status = value_get_transposed(ctx, constant_first ? 1 : 0, &x);
    return status == RESNET_OK
               ? add_constant(ctx, x, constant_first ? a->constant : b->constant, constant_first)
               : status;
  }
  if (find_affine_operation(ctx) == MUL) return op_scale(ctx);
  status = value_get_activation(ctx, 0, &a);
  if (status == RESNET_OK) status = value_get_activation(ctx, 1, &b);
  if (status != RESNET_OK) return status;
  return combine_activations(ctx, a, b);
}

/* Add input `index` to *sum. */
static resnet_status add_term(import_context *ctx, value *sum, size_t index) {
  value *term;
  resnet_status status = value_get(ctx, index, &term);
  if (status == RESNET_OK) status = value_check_no_batch(ctx, term);
  if (status == RESNET_OK && term->kind == VALUE_CONSTANT) {
    status = add_constant(ctx, sum, term->constant, false);
  } else if (status == RESNET_OK) {
    status = value_get_activation(ctx, index, &term);
    if (status == RESNET_OK) status = add_residual(ctx, sum, term);
  }
  const value *result = value_result(ctx);
  if (status == RESNET_OK && result) *sum = *result;
  return status;
}

/* Find the first input that is no constant; there is one. */
static resnet_status find_activation(import_context *ctx, size_t *index, value **x) {
  for (*index = 0; *index + 1 < ctx->node->n_input; ++*index) {
    resnet_status status = value_get(ctx, *index, x);
    if (status != RESNET_OK) return status;
    if ((*x)->kind == VALUE_ACTIVATION) break;
  }
  return value_get_activation(ctx, *index, x);
}

/* Add the inputs one after the other. Sums of some of them equal no tensor of the
 * file. */
resnet_status op_sum(import_context *ctx) {
  value *x;
  size_t first;
  if (ctx->node->n_input > IMPORT_MAX_TERMS)
    return unsupported(ctx, "sums %zu tensors: up to %d are accepted", ctx->node->n_input,
                       IMPORT_MAX_TERMS);
  resnet_status status = find_activation(ctx, &first, &x);
  if (status != RESNET_OK) return status;
  if (ctx->node->n_input == 1) return value_set_same(ctx, x);
  value sum = *x;
  bool begun = false;
  for (size_t i = 0; i < ctx->node->n_input && status == RESNET_OK; i++) {
    if (i == first) continue;
    if (begun) status = node_hide_output(ctx, sum.node);
    if (status == RESNET_OK) status = add_term(ctx, &sum, i);
    begun = true;
  }
  return status;
}

/* Import Mean: the sum of the inputs, divided by their number. */
resnet_status op_mean(import_context *ctx) {
  resnet_status status = op_sum(ctx);
  const value *result = value_result(ctx);
  if (status != RESNET_OK || !result || ctx->node->n_input == 1) return status;
  const value sum = *result;
  status = node_hide_output(ctx, sum.node);
  pending_affine *d = status == RESNET_OK ? node_add_affine(ctx, &sum, &status) : NULL;
  for (uint32_t c = 0; d && c < value_shape(ctx, &sum).c; c++)
    d->scale[c] = 1 / (double)ctx->node->n_input;
  return status;
}

/* ---- clamps ------------------------------------------------------------------------ */

/* Return 0 for a subnormal bound: kernels read subnormal numbers as 0. */
static float without_subnormal(float bound) {
  return fpclassify(bound) == FP_SUBNORMAL ? 0 : bound;
}

/* Add Min(Max(x, low), high). */
static resnet_status add_clamp(import_context *ctx, const value *x, float low, float high) {
  resnet_status status;
  if (low != low || high != high)
    return invalid(ctx, "clips to [%g,%g]: both must be numbers", (double)low, (double)high);
  if (low > high) low = high;
  graph_node *n = node_add_elementwise(ctx, GRAPH_CLAMP, x, &status);
  if (!n) return status;
  n->clamp_min = low <= -FLT_MAX ? -INFINITY : without_subnormal(low);
  n->clamp_max = high >= FLT_MAX ? INFINITY : without_subnormal(high);
  return RESNET_OK;
}

resnet_status op_relu(import_context *ctx) {
  value *x;
  resnet_status status = value_get_activation(ctx, 0, &x);
  return status == RESNET_OK ? add_clamp(ctx, x, 0, INFINITY) : status;
}

resnet_status op_leaky_relu(import_context *ctx) {
  value *x;
  float slope;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = attr_get_float(ctx, "alpha", 0.01f, &slope);
  if (status != RESNET_OK) return status;
  if (!isfinite(slope))
    return invalid(ctx, "attribute alpha is %g: a finite number is needed", (double)slope);
  return op_add_leaky_relu(ctx, x, slope);
}

/* Return whether a list of slopes has one for each channel. Before opset 7 it has. Since
 * then ONNX matches it with the last axis. Where that does not fit, the list is that of
 * MXNet's exporter, which kept the old form (insightface issue 1274). */
static bool lists_channels(const import_context *ctx, const value *x, const constant *slopes,
                           uint32_t channels) {
  return slopes->rank == 1 && slopes->dims[0] == x->dims[channels] &&
         (ctx->opset < 7 || slopes->dims[0] != x->dims[x->rank - 1]);
}

static resnet_status check_slopes(import_context *ctx, const value *x, const constant *slopes) {
  uint32_t channels;
  if (!slopes) return invalid(ctx, "its slope is missing: export the model again");
  const bool lists =
      value_find_channels(ctx, x, &channels) && lists_channels(ctx, x, slopes, channels);
  const int64_t first = lists ? (int64_t)channels : (int64_t)x->rank - slopes->rank;
  if (is_one_number(ctx, x, slopes) || fits_channels(ctx, x, slopes, first))
    return constant_check_finite(ctx, slopes, "slope");
  return import_refuse(
      ctx, broadcast_status(x, slopes->dims, slopes->rank),
      "its slope '%.50s' has %zu numbers: 1 float, or 1 for each channel, (c,1,1), "
      "is accepted (Keras: shared_axes=[1, 2])",
      slopes->name, slopes->count);
}

resnet_status op_prelu(import_context *ctx) {
  value *x;
  const constant *slopes = NULL;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = value_get_constant(ctx, 1, "slope", &slopes);
  if (status == RESNET_OK) status = check_slopes(ctx, x, slopes);
  if (status != RESNET_OK) return status;
  if (are_equal(ctx, slopes)) return op_add_leaky_relu(ctx, x, slopes->floats[0]);
  graph_node *n = node_add_elementwise(ctx, GRAPH_PRELU, x, &status);
  if (!n || status != RESNET_OK) return status;
  n->weights = value_take_floats(ctx, 1);
  n->weight_count = n->shape.c;
  return n->weights ? RESNET_OK : err_no_memory(ctx->error, "slopes");
}

/* Import Abs: a leaky ReLU of slope -1. */
resnet_status op_abs(import_context *ctx) {
  value *x;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = node_flatten_vector(ctx, x);
  if (status != RESNET_OK) return status;
  graph_node *n = node_add_elementwise(ctx, GRAPH_LEAKY_RELU, x, &status);
  if (n) n->scalar = -1;
  return status;
}

/* Import Pow, with one constant exponent, Sqrt or Reciprocal. */
resnet_status op_pow(import_context *ctx) {
  value *x;
  const constant *t = NULL;
  const char kind = ctx->node->op_type[0];
  float exponent = kind == 'S' ? 0.5F : -1;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK && kind == 'P') status = value_get_constant(ctx, 1, "exponent", &t);
  if (status != RESNET_OK) return status;
  if (t && t->count != 1)
    return unsupported(ctx, "its exponent '%.50s' has %zu numbers: one is accepted", t->name,
                       t->count);
  if (t) exponent = t->is_float ? t->floats[0] : (float)t->ints[0];
  if (!isfinite(exponent)) return invalid(ctx, "its exponent is NaN or infinity");
  status = node_flatten_vector(ctx, x);
  if (status != RESNET_OK) return status;
  if (exponent >= 1 && exponent <= 1) return value_set_same(ctx, x);
  graph_node *n = node_add_elementwise(ctx, GRAPH_POWER, x, &status);
  if (n) n->scalar = exponent;
  return status;
}

/* Read a bound of x from a constant input of one number; `fallback` if it is absent. */
static resnet_status read_bound(import_context *ctx, const value *x, size_t index, float fallback,
                                float *bound) {
  const constant *t;
  resnet_status status = value_get_constant(ctx, index, "bounds", &t);
  *bound = fallback;
  if (status != RESNET_OK || !t) return status;
  if (!is_one_number(ctx, x, t))
    return unsupported(ctx, "its bound has %zu numbers: one float is accepted", t->count);
  *bound = t->floats[0];
  return RESNET_OK;
}

resnet_status op_clip(import_context *ctx) {
  value *x;
  float low, high;
  bool attributes = ctx->opset < 11;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK)
    status = attributes ? attr_get_float(ctx, "min", -FLT_MAX, &low)
                        : read_bound(ctx, x, 1, -INFINITY, &low);
  if (status == RESNET_OK)
    status = attributes ? attr_get_float(ctx, "max", FLT_MAX, &high)
                        : read_bound(ctx, x, 2, INFINITY, &high);
  return status == RESNET_OK ? add_clamp(ctx, x, low, high) : status;
}

/* The inputs of Min or Max. */
typedef struct extremes {
  const value *a, *b; /* activations; b: another one, or NULL */
  bool is_min;
  float bound; /* over all constants */
} extremes;

/* Take input `index` if it is an activation. */
static resnet_status find_extreme(import_context *ctx, size_t index, extremes *e) {
  value *v;
  resnet_status status = value_get(ctx, index, &v);
  if (status != RESNET_OK || v->kind == VALUE_CONSTANT) return status;
  status = value_get_activation(ctx, index, &v);
  if (status != RESNET_OK || v == e->a || v == e->b) return status;
  if (e->b)
    return unsupported(ctx,
                       "takes the %s of more than two activations: one and constants are accepted",
                       e->is_min ? "minimum" : "maximum");
  *(e->a ? &e->b : &e->a) = v;
  return RESNET_OK;
}

/* Take input `index` if it is a constant. */
static resnet_status find_bound(import_context *ctx, size_t index, extremes *e) {
  value *v;
  float bound;
  resnet_status status = value_get(ctx, index, &v);
  if (status != RESNET_OK || v->kind != VALUE_CONSTANT) return status;
  status = read_bound(ctx, e->a, index, e->bound, &bound);
  if (status != RESNET_OK) return status;
  /* NaN stays, for add_clamp to refuse */
  const bool replaces = e->is_min ? !(bound >= e->bound) : !(bound <= e->bound);
  if (e->bound == e->bound && replaces) e->bound = bound;
  return RESNET_OK;
}

/* Import Min or Max: clamps, as tf2onnx writes ReLU6 as Min(Relu(x), 6), or a leaky ReLU,
 * Max(0.1 * x, x). */
resnet_status op_min_max(import_context *ctx) {
  const bool is_min = ctx->node->op_type[1] == 'i';
  extremes e = {.is_min = is_min, .bound = is_min ? INFINITY : -INFINITY};
  const value *x;
  float slope;
  resnet_status status = RESNET_OK;
  for (size_t i = 0; i < ctx->node->n_input && status == RESNET_OK; i++)
    status = find_extreme(ctx, i, &e);
  for (size_t i = 0; i < ctx->node->n_input && status == RESNET_OK; i++)
    status = find_bound(ctx, i, &e);
  if (status != RESNET_OK) return status;
  if (!e.b && ctx->node->n_input == 1) return value_set_same(ctx, e.a);
  if (!e.b)
    return is_min ? add_clamp(ctx, e.a, -INFINITY, e.bound)
                  : add_clamp(ctx, e.a, e.bound, INFINITY);
  if (isinf(e.bound) && op_find_leaky(ctx, e.a, e.b, is_min, &x, &slope))
    return op_add_leaky_relu(ctx, x, slope);
  return unsupported(ctx,
                     "takes the %s of two activations, '%.40s' and '%.40s': one and constants are "
                     "accepted",
                     is_min ? "minimum" : "maximum", e.a->name, e.b->name);
}

/* ---- softmax ----------------------------------------------------------------------- */

/* Import Softmax. Up to opset 12, the default axis is 1 and Softmax covers all axes from
 * there on; from opset 13, the default axis is -1 and Softmax covers that axis only. */
resnet_status op_softmax(import_context *ctx) {
  value *x;
  int64_t given;
  uint32_t axis;
  bool together = ctx->opset < 13;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = attr_get_int(ctx, "axis", together ? 1 : -1, &given);
  if (status == RESNET_OK) status = shape_resolve_axis(ctx, given, x->rank, &axis);
  if (status != RESNET_OK) return status;
  graph_shape s = value_shape(ctx, x);
  bool over_classes = together ? axis == 1 : axis > 0 && x->dims[axis] == s.c;
  if (axis > 0 && x->dims[axis] == 1 && s.c > 1 && !over_classes)
    return unsupported(ctx,
                       "is taken over axis %u, which has one element: every score would be 1; "
                       "export again with the axis of the classes",
                       axis);
  if (s.h != 1 || s.w != 1 || !over_classes)
    return unsupported(
        ctx, "is taken over axis %u of %u (h %u, w %u): the channels of (n,c) are accepted", axis,
        x->rank, s.h, s.w);
  (void)node_add_elementwise(ctx, ctx->node->op_type[0] == 'L' ? GRAPH_LOG_SOFTMAX : GRAPH_SOFTMAX,
                             x, &status);
  return status;
}

/* Import Log behind Softmax, which is LogSoftmax. */
resnet_status op_log(import_context *ctx) {
  value *x;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status != RESNET_OK) return status;
  const graph_node *softmax = node_at(ctx, x->node);
  if (softmax->op != GRAPH_SOFTMAX)
    return unsupported(ctx,
                       "takes the logarithm of '%.50s', which no Softmax computes: if that tensor "
                       "has the scores, name it as the output (options.output)",
                       x->name);
  value scores = *x;
  scores.node = softmax->input[0];
  (void)node_add_elementwise(ctx, GRAPH_LOG_SOFTMAX, &scores, &status);
  return status;
}
