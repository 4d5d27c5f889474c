/* Exporters divide by a norm in several nodes: ReduceL2 or ReduceSum of squares; Clip,
 * Max or Add of an epsilon; Sqrt, Reciprocal, Expand; Div or Mul. The values between are
 * VALUE_NORM and have no graph node. The division becomes one. */
#include "loader/import/op_norm.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/nodes.h"
#include "loader/import/shapes.h"
#include "loader/import/values.h"
#include "loader/onnx/onnx_parse.h"

static resnet_status add_normalize(import_context *ctx, const value *x, graph_norm_mode mode,
                                   double epsilon) {
  resnet_status status;
  graph_node *n = node_add_elementwise(ctx, GRAPH_L2_NORMALIZE, x, &status);
  if (!n) return status;
  n->norm_mode = mode;
  n->scalar = (float)epsilon;
  return RESNET_OK;
}

/* Check that the axes of `mask` are the channels; axes of one element do not count. */
static resnet_status check_channels(import_context *ctx, value *x, uint32_t mask) {
  uint32_t axis;
  resnet_status status = node_flatten_vector(ctx, x);
  if (status != RESNET_OK) return status;
  const bool found = value_find_channels(ctx, x, &axis);
  uint32_t reduced = mask & ~UINT32_C(1);
  for (uint32_t i = 1; i < x->rank; i++)
    if (x->dims[i] == 1) reduced &= ~(UINT32_C(1) << i);
  if (found && !(mask & 1) && (reduced == UINT32_C(1) << axis || x->dims[axis] == 1))
    return RESNET_OK;
  return unsupported(ctx,
                     "takes a norm over other axes than the channels of '%.50s': axis 1 of (n,c) "
                     "or (n,c,h,w) is accepted",
                     x->name);
}

resnet_status op_lp_normalization(import_context *ctx) {
  value *x;
  int64_t given, p;
  uint32_t axis;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = attr_get_int(ctx, "axis", -1, &given);
  if (status == RESNET_OK) status = attr_get_int(ctx, "p", 2, &p);
  if (status == RESNET_OK) status = shape_resolve_axis(ctx, given, x->rank, &axis);
  if (status != RESNET_OK) return status;
  if (p != 2) return unsupported(ctx, "p is %lld: 2 is accepted", (long long)p);
  status = check_channels(ctx, x, UINT32_C(1) << axis);
  return status == RESNET_OK ? add_normalize(ctx, x, GRAPH_NORM_ZERO, 0) : status;
}

/* Return the node itself, or what it takes the absolute value of. */
static uint32_t skip_abs(const import_context *ctx, uint32_t index) {
  const graph_node *n = node_at(ctx, index);
  return n->op == GRAPH_LEAKY_RELU && fabsf(n->scalar + 1) <= 0 ? n->input[0] : index;
}

/* Make the result the norm of graph node `node`, reduced over the axes of `mask` of x. */
static resnet_status begin_norm(import_context *ctx, const value *x, uint32_t node, uint32_t mask,
                                bool keep, norm_stage stage) {
  value *v = value_result(ctx);
  if (!v) return RESNET_OK;
  v->kind = VALUE_NORM;
  v->node = skip_abs(ctx, node);
  v->stage = stage;
  v->norm_mode = GRAPH_NORM_MIN;
  v->norm_epsilon = 0;
  v->channels_last = x->channels_last;
  v->rank = 0;
  for (uint32_t i = 0; i < x->rank; i++)
    if (keep || !(mask >> i & 1)) v->dims[v->rank++] = mask >> i & 1 ? 1 : x->dims[i];
  return RESNET_OK;
}

resnet_status op_reduce_norm(import_context *ctx) {
  value *x;
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0;
  int64_t keep;
  const bool root = strcmp(ctx->node->op_type, "ReduceL2") == 0;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = shape_read_axes(ctx, 18, &axes, &count);
  if (status == RESNET_OK) status = shape_mask_axes(ctx, axes, count, x->rank, &mask);
  if (status == RESNET_OK) status = attr_get_int(ctx, "keepdims", 1, &keep);
  if (status == RESNET_OK) status = check_channels(ctx, x, mask);
  return status == RESNET_OK
             ? begin_norm(ctx, x, x->node, mask, keep != 0, root ? NORM_ROOT : NORM_SQUARES)
             : status;
}

/* Return whether the node squares its first input. */
static bool is_square(const graph_node *n) {
  if (n->op == GRAPH_POWER) return fabsf(n->scalar - 2) <= 0;
  return n->op == GRAPH_SCALE && n->input[0] == n->input[1] && !n->sigmoid &&
         n->clamp_min <= -FLT_MAX && n->clamp_max >= FLT_MAX;
}

resnet_status op_reduce_squares(import_context *ctx, value *x, uint32_t mask, bool keep) {
  if (!is_square(node_at(ctx, x->node)))
    return unsupported(ctx, "its axes are not height and width, and it adds no squares: a sum over "
                            "[2,3] of (n,c,h,w) is accepted, or a norm of the channels");
  resnet_status status = check_channels(ctx, x, mask);
  if (status != RESNET_OK) return status;
  return begin_norm(ctx, x, node_at(ctx, x->node)->input[0], mask, keep, NORM_SQUARES);
}

/* ---- from the sum to the divisor --------------------------------------------------- */

static resnet_status refuse_step(const import_context *ctx, const value *norm) {
  return unsupported(ctx,
                     "reads '%.50s', the norm of an activation: it may get an epsilon (Add, Max or "
                     "Clip), once, and divide that activation",
                     norm->name);
}

/* Read the one positive number of constant input `index`. */
static resnet_status read_number(import_context *ctx, size_t index, double *number) {
  const constant *t;
  resnet_status status = value_get_constant(ctx, index, "number", &t);
  if (status != RESNET_OK) return status;
  if (!t || t->count != 1)
    return unsupported(ctx, "changes a norm by %zu numbers: one is accepted", t ? t->count : 0);
  *number = t->is_float ? (double)t->floats[0] : (double)t->ints[0];
  if (!isfinite(*number)) return invalid(ctx, "its constant '%.50s' is NaN or infinity", t->name);
  return RESNET_OK;
}

static bool is_near(double x, double y) { return fabs(x - y) <= 1e-6; }

/* Return whether the norm has no epsilon yet. */
static bool is_bare(const value *v) {
  return v->stage != NORM_INVERSE && v->norm_mode == GRAPH_NORM_MIN && !(v->norm_epsilon > 0);
}

static resnet_status add_epsilon(import_context *ctx, value *v, const value *from, double epsilon,
                                 bool adds) {
  if (!is_bare(from) || epsilon < 0) return refuse_step(ctx, from);
  const bool squares = from->stage == NORM_SQUARES;
  v->norm_mode = !adds ? GRAPH_NORM_MIN : squares ? GRAPH_NORM_ADD_SQUARE : GRAPH_NORM_ADD;
  v->norm_epsilon = squares && !adds ? sqrt(epsilon) : epsilon;
  return RESNET_OK;
}

/* Raise the norm to a power: 1/2, -1 or -1/2. */
static resnet_status raise_norm(const import_context *ctx, value *v, const value *from, double p) {
  if (from->stage == NORM_SQUARES && is_near(p, 0.5))
    v->stage = NORM_ROOT;
  else if ((from->stage == NORM_SQUARES && is_near(p, -0.5)) ||
           (from->stage == NORM_ROOT && is_near(p, -1)))
    v->stage = NORM_INVERSE;
  else
    return refuse_step(ctx, from);
  return RESNET_OK;
}

static resnet_status clip_norm(import_context *ctx, value *v, const value *from) {
  float low = -FLT_MAX, high = FLT_MAX;
  double number;
  resnet_status status = RESNET_OK;
  if (ctx->opset < 11) {
    status = attr_get_float(ctx, "min", -FLT_MAX, &low);
    if (status == RESNET_OK) status = attr_get_float(ctx, "max", FLT_MAX, &high);
  } else {
    if (value_has_input(ctx, 1)) {
      status = read_number(ctx, 1, &number);
      low = (float)number;
    }
    const constant *t = NULL;
    if (status == RESNET_OK) status = value_get_constant(ctx, 2, "bounds", &t);
    if (t) high = t->is_float && t->count == 1 ? t->floats[0] : 0;
  }
  if (status != RESNET_OK) return status;
  if (high < 1e30F) return refuse_step(ctx, from);
  return low > 0 ? add_epsilon(ctx, v, from, (double)low, false) : RESNET_OK;
}

static resnet_status unsqueeze_norm(import_context *ctx, value *v, const value *from) {
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0, rank;
  resnet_status status = shape_read_axes(ctx, 13, &axes, &count);
  if (status != RESNET_OK) return status;
  if (count > MAX_RANK - from->rank) return refuse_step(ctx, from);
  rank = from->rank + (uint32_t)count;
  status = shape_mask_axes(ctx, axes, count, rank, &mask);
  if (status != RESNET_OK) return status;
  if (mask & 1) return refuse_step(ctx, from);
  v->rank = rank;
  for (uint32_t i = 0, k = 0; i < rank; i++) v->dims[i] = mask >> i & 1 ? 1 : from->dims[k++];
  return RESNET_OK;
}

static resnet_status expand_norm(import_context *ctx, value *v, const value *from) {
  const constant *sizes;
  resnet_status status = value_get_constant(ctx, 1, "sizes", &sizes);
  if (status != RESNET_OK) return status;
  if (!sizes || sizes->is_float || sizes->count != from->rank) return refuse_step(ctx, from);
  for (uint32_t i = 1; i < from->rank; i++)
    if (from->dims[i] == 1) v->dims[i] = sizes->ints[i];
  return RESNET_OK;
}

/* ---- the division ------------------------------------------------------------------ */

/* Return whether each number of the norm meets the pixel of x that it was computed from.
 * Dimensions of 1 are broadcast. */
static bool meets(const import_context *ctx, const value *norm, const value *x) {
  uint32_t channels;
  if (norm->node != x->node || norm->rank != x->rank || !value_find_channels(ctx, x, &channels))
    return false;
  for (uint32_t i = 1; i < x->rank; i++)
    if (norm->dims[i] != x->dims[i] && (i != channels || norm->dims[i] != 1)) return false;
  return true;
}

static resnet_status divide(import_context *ctx, size_t index, const value *norm) {
  value *x;
  resnet_status status = value_get_activation(ctx, index, &x);
  if (status != RESNET_OK) return status;
  if (!meets(ctx, norm, x))
    return unsupported(ctx,
                       "divides '%.50s' by a norm of other numbers, or along another axis: an "
                       "activation may be divided by the norm of its own channels",
                       x->name);
  return add_normalize(ctx, x, norm->norm_mode, norm->norm_epsilon);
}

/* Import Div, Mul, Add or Max of the norm and another value. */
static resnet_status combine(import_context *ctx, value *v, const value *norm, size_t position) {
  const char kind = ctx->node->op_type[0];
  const bool maximum = strcmp(ctx->node->op_type, "Max") == 0;
  const size_t index = 1 - position;
  double number;
  value *other;
  resnet_status status = value_get(ctx, index, &other);
  if (status != RESNET_OK) return status;
  if (other->kind == VALUE_ACTIVATION) {
    const bool fits = (kind == 'D' && position == 1 && norm->stage == NORM_ROOT) ||
                      (kind == 'M' && !maximum && norm->stage == NORM_INVERSE);
    return fits ? divide(ctx, index, norm) : refuse_step(ctx, norm);
  }
  if (other->kind != VALUE_CONSTANT) return refuse_step(ctx, norm);
  status = read_number(ctx, index, &number);
  if (status != RESNET_OK) return status;
  if (kind == 'A' || maximum) return add_epsilon(ctx, v, norm, number, !maximum);
  if (kind == 'D' && position == 1 && is_near(number, 1)) return raise_norm(ctx, v, norm, -1);
  return refuse_step(ctx, norm);
}

static resnet_status raise_by_input(import_context *ctx, value *v, const value *norm,
                                    size_t position) {
  double p;
  if (position != 0) return refuse_step(ctx, norm);
  resnet_status status = read_number(ctx, 1, &p);
  return status == RESNET_OK ? raise_norm(ctx, v, norm, p) : status;
}

typedef enum norm_step { SAME, ROOT, INVERT, RAISE, CLIP, UNSQUEEZE, EXPAND, COMBINE } norm_step;

static const struct {
  const char *name;
  norm_step step;
} norm_steps[] = {
    {"Identity", SAME},     {"Cast", SAME},   {"CastLike", SAME}, {"Sqrt", ROOT},
    {"Reciprocal", INVERT}, {"Pow", RAISE},   {"Clip", CLIP},     {"Unsqueeze", UNSQUEEZE},
    {"Expand", EXPAND},     {"Add", COMBINE}, {"Max", COMBINE},   {"Div", COMBINE},
    {"Mul", COMBINE},
};

static resnet_status take_step(import_context *ctx, norm_step step, value *v, const value *norm,
                               size_t position) {
  switch (step) {
  case ROOT:
    return raise_norm(ctx, v, norm, 0.5);
  case INVERT:
    return raise_norm(ctx, v, norm, -1);
  case RAISE:
    return raise_by_input(ctx, v, norm, position);
  case CLIP:
    return position == 0 ? clip_norm(ctx, v, norm) : refuse_step(ctx, norm);
  case UNSQUEEZE:
    return unsqueeze_norm(ctx, v, norm);
  case EXPAND:
    return expand_norm(ctx, v, norm);
  case COMBINE:
    return combine(ctx, v, norm, position);
  default:
    return RESNET_OK;
  }
}

resnet_status op_continue_norm(import_context *ctx) {
  value *norm = NULL;
  size_t position = 0;
  for (size_t i = 0; i < ctx->node->n_input && !norm; i++) {
    value *v = value_has_input(ctx, i) ? value_find(ctx, ctx->node->input[i]) : NULL;
    if (!v || v->kind != VALUE_NORM) continue;
    norm = v;
    position = i;
  }
  for (size_t i = 0; i < sizeof norm_steps / sizeof *norm_steps; i++) {
    if (strcmp(norm_steps[i].name, onnx_text(ctx->node->op_type)) != 0) continue;
    const value from = *norm;
    resnet_status status = value_set_same(ctx, norm);
    value *v = value_result(ctx);
    /* an output without a name is read by no one */
    return status == RESNET_OK && v ? take_step(ctx, norm_steps[i].step, v, &from, position)
                                    : status;
  }
  return refuse_step(ctx, norm);
}
