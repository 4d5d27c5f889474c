#include "loader/import/fold_arithmetic.h"

#include <math.h>
#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/op_view.h"
#include "loader/import/values.h"
#include "loader/onnx/onnx_types.h"

/* Limit of integer operands, so that sums and products cannot overflow. Shapes are far
 * smaller. */
static const int64_t MAX_OPERAND = INT32_MAX;

static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Min", "Pow", "Equal", "Max"};
typedef enum arithmetic { ADD, SUB, MUL, DIV, MIN, POW, EQUAL, MAX } arithmetic;

static arithmetic find_arithmetic(const import_context *ctx) {
  int i = 0;
  while (i < MAX && strcmp(names[i], ctx->node->op_type) != 0) i++;
  return (arithmetic)i;
}

static float compute_float(arithmetic op, float a, float b) {
  switch (op) {
  case ADD:
    return a + b;
  case SUB:
    return a - b;
  case MUL:
    return a * b;
  case DIV:
    return a / b;
  case MIN:
    return fminf(a, b);
  case POW:
    return powf(a, b);
  default:
    return fmaxf(a, b);
  }
}

static int64_t compute_integer(arithmetic op, int64_t a, int64_t b) {
  switch (op) {
  case ADD:
    return a + b;
  case SUB:
    return a - b;
  case MUL:
    return a * b;
  case DIV:
    return a / b;
  case MIN:
    return a < b ? a : b;
  default:
    return a > b ? a : b;
  }
}

/* Compare two elements. The symbolic batch equals no number below 1: exporters compare
 * shapes with -1. */
static resnet_status compare_elements(const import_context *ctx, constant *to, size_t k,
                                      const constant *a, size_t i, const constant *b, size_t j) {
  if (a->is_float) {
    to->ints[k] = !(a->floats[i] < b->floats[j]) && !(a->floats[i] > b->floats[j]);
    return RESNET_OK;
  }
  const bool batch_a = constant_is_batch(a, i), batch_b = constant_is_batch(b, j);
  if (batch_a != batch_b && (batch_a ? b->ints[j] : a->ints[i]) > 0)
    return unsupported(ctx, "compares the batch size with a number: export with a fixed one");
  to->ints[k] = batch_a == batch_b && (batch_a || a->ints[i] == b->ints[j]);
  return RESNET_OK;
}

static resnet_status compute_element(const import_context *ctx, constant *to, size_t k,
                                     const constant *a, size_t i, const constant *b, size_t j) {
  arithmetic op = find_arithmetic(ctx);
  if (op == EQUAL) return compare_elements(ctx, to, k, a, i, b, j);
  if (to->is_float) {
    to->floats[k] = compute_float(op, a->floats[i], b->floats[j]);
    return RESNET_OK;
  }
  int64_t x = a->ints[i], y = b->ints[j];
  if (constant_is_batch(a, i) || constant_is_batch(b, j))
    return unsupported(ctx, "computes with the batch size: export with a fixed one");
  if (op == POW) return unsupported(ctx, "raises integers to a power: floats are accepted");
  if (x > MAX_OPERAND || x < -MAX_OPERAND || y > MAX_OPERAND || y < -MAX_OPERAND ||
      (op == DIV && y == 0))
    return unsupported(
        ctx, "computes with %lld and %lld: no division by 0, and numbers below 2^31, are accepted",
        (long long)x, (long long)y);
  to->ints[k] = compute_integer(op, x, y);
  return RESNET_OK;
}

/* Return the index into t for `position` in a result of `rank` axes. The shape of t is
 * broadcast from the right. */
static size_t broadcast_index(const constant *t, const int64_t *position, uint32_t rank) {
  size_t index = 0;
  for (uint32_t i = 0; i < t->rank; i++) {
    int64_t at = t->dims[i] == 1 ? 0 : position[rank - t->rank + i];
    index = index * (size_t)t->dims[i] + (size_t)at;
  }
  return index;
}

static void next_position(int64_t *position, const int64_t *dims, uint32_t rank) {
  for (uint32_t i = rank; i-- > 0;) {
    if (++position[i] < dims[i]) break;
    position[i] = 0;
  }
}

static resnet_status broadcast_dims(const import_context *ctx, const constant *a, const constant *b,
                                    int64_t dims[MAX_RANK], uint32_t *rank) {
  size_t count = 1;
  *rank = a->rank > b->rank ? a->rank : b->rank;
  for (uint32_t i = 0; i < *rank; i++) {
    /* unsigned: wraps to a large number if there is no such axis */
    uint32_t in_a = i + a->rank - *rank, in_b = i + b->rank - *rank;
    int64_t x = in_a < a->rank ? a->dims[in_a] : 1, y = in_b < b->rank ? b->dims[in_b] : 1;
    if (x != y && x != 1 && y != 1)
      return invalid(ctx, "cannot broadcast %lld against %lld: export the model again",
                     (long long)x, (long long)y);
    dims[i] = x == 1 ? y : x;
    if (!mem_size_multiply(count, (size_t)dims[i], &count))
      return invalid(ctx, "the size of its result overflows");
  }
  size_t larger = a->count > b->count ? a->count : b->count;
  if (count > MAX_FOLDED && count > larger)
    return unsupported(ctx, "makes a constant of %zu elements: up to %d are accepted", count,
                       MAX_FOLDED);
  return RESNET_OK;
}

/* Refuse broadcasting that does not match the last axes, which attribute axis may ask for
 * before opset 7. */
static resnet_status check_axis(const import_context *ctx, const constant *a, const constant *b) {
  const int64_t last = (int64_t)a->rank - b->rank;
  int64_t axis = last;
  resnet_status status = ctx->opset < 7 ? attr_get_int(ctx, "axis", last, &axis) : RESNET_OK;
  if (status != RESNET_OK || b->count == 1 || axis == last ||
      (axis < 0 && axis == -(int64_t)b->rank))
    return status;
  return unsupported(ctx, "broadcasts along axis %lld: %lld is accepted, where the last axes meet",
                     (long long)axis, (long long)last);
}

resnet_status fold_arithmetic(import_context *ctx) {
  const constant *a, *b;
  int64_t dims[MAX_RANK], position[MAX_RANK] = {0};
  uint32_t rank;
  resnet_status status = value_get_constant(ctx, 0, "data", &a);
  if (status == RESNET_OK) status = value_get_constant(ctx, 1, "data", &b);
  if (status != RESNET_OK) return status;
  if (!a || !b || a->is_float != b->is_float)
    return invalid(ctx, "takes two constants of one type");
  status = check_axis(ctx, a, b);
  if (status == RESNET_OK) status = broadcast_dims(ctx, a, b, dims, &rank);
  if (status != RESNET_OK) return status;
  constant *to =
      constant_new(ctx, a->is_float && find_arithmetic(ctx) != EQUAL, rank, dims, &status);
  for (size_t k = 0; k < (to ? to->count : 0) && status == RESNET_OK; k++) {
    status = compute_element(ctx, to, k, a, broadcast_index(a, position, rank), b,
                             broadcast_index(b, position, rank));
    next_position(position, dims, rank);
  }
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

/* Fold Where(condition, a, b). Exporters build shapes with it, in which -1 means the
 * tensor's own size. */
resnet_status fold_where(import_context *ctx) {
  const constant *inputs[3];
  int64_t dims[MAX_RANK], position[MAX_RANK] = {0};
  uint32_t rank;
  resnet_status status = RESNET_OK;
  for (size_t i = 0; i < 3 && status == RESNET_OK; i++)
    status = value_get_constant(ctx, i, "data", &inputs[i]);
  if (status != RESNET_OK) return status;
  const constant *condition = inputs[0], *a = inputs[1], *b = inputs[2];
  if (!condition || !a || !b || condition->is_float || a->is_float != b->is_float)
    return invalid(ctx, "takes a list of booleans and two constants of one type");
  constant both = {0};
  status = broadcast_dims(ctx, a, b, both.dims, &both.rank);
  both.count = a->count > b->count ? a->count : b->count;
  if (status == RESNET_OK) status = broadcast_dims(ctx, condition, &both, dims, &rank);
  if (status != RESNET_OK) return status;
  constant *to = constant_new(ctx, a->is_float, rank, dims, &status);
  for (size_t k = 0; k < (to ? to->count : 0) && status == RESNET_OK; k++) {
    const constant *from = condition->ints[broadcast_index(condition, position, rank)] ? a : b;
    if (!constant_copy_element(ctx, to, k, from, broadcast_index(from, position, rank)))
      status = err_no_memory(ctx->error, "a constant");
    next_position(position, dims, rank);
  }
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

static float reciprocal(float x) { return 1 / x; }
static float negative(float x) { return -x; }

/* Fold a function of one float, by the operator's name. */
resnet_status fold_function(import_context *ctx) {
  static const struct {
    const char *name;
    float (*compute)(float x);
  } functions[] = {{"Abs", fabsf},    {"Ceil", ceilf},   {"Exp", expf},
                   {"Floor", floorf}, {"Neg", negative}, {"Reciprocal", reciprocal},
                   {"Sqrt", sqrtf}};
  const constant *t;
  resnet_status status = value_get_constant(ctx, 0, "data", &t);
  if (status != RESNET_OK) return status;
  if (!t || !t->is_float) return invalid(ctx, "takes floats");
  size_t f = sizeof functions / sizeof *functions - 1;
  while (f > 0 && strcmp(functions[f].name, ctx->node->op_type) != 0) f--;
  constant *to = constant_new(ctx, true, t->rank, t->dims, &status);
  for (size_t i = 0; i < (to ? to->count : 0); i++)
    to->floats[i] = functions[f].compute(t->floats[i]);
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

resnet_status fold_range(import_context *ctx) {
  static const char *const what[3] = {"start", "limit", "delta"};
  int64_t numbers[3];
  for (size_t i = 0; i < 3; i++) {
    const constant *t;
    resnet_status status = value_get_integers(ctx, i, what[i], &t);
    if (status != RESNET_OK) return status;
    if (!t || t->count != 1 || t->ints[0] > MAX_OPERAND || t->ints[0] < -MAX_OPERAND)
      return unsupported(ctx, "its %s must be one integer below 2^31", what[i]);
    numbers[i] = t->ints[0];
  }
  int64_t span = numbers[1] - numbers[0], step = numbers[2], count = 0;
  if (step == 0) return invalid(ctx, "its delta is 0");
  if (step > 0 ? span > 0 : span < 0) count = (span - (step > 0 ? 1 : -1)) / step + 1;
  if (count > MAX_FOLDED)
    return import_refuse(ctx, RESNET_ERROR_LIMIT, "makes %lld numbers: up to %d are accepted",
                         (long long)count, MAX_FOLDED);
  resnet_status status;
  constant *t = constant_new(ctx, false, 1, &count, &status);
  for (int64_t i = 0; i < (t ? count : 0); i++) t->ints[i] = numbers[0] + i * step;
  return status == RESNET_OK ? value_set_constant(ctx, t) : status;
}

/* ---- Cast -------------------------------------------------------------------------- */

static resnet_status cast_to_integers(import_context *ctx, const constant *t, bool to_bool,
                                      constant *to) {
  for (size_t i = 0; i < t->count; i++) {
    if (!t->is_float && !to_bool) {
      if (!constant_copy_element(ctx, to, i, t, i)) return err_no_memory(ctx->error, "a constant");
      continue;
    }
    if (constant_is_batch(t, i))
      return unsupported(ctx, "computes with the batch size: export with a fixed one");
    double number = t->is_float ? (double)t->floats[i] : (double)t->ints[i];
    if (!(fabs(number) < 0x1p62))
      return unsupported(ctx, "casts %g to an integer: up to 2^62 is accepted", number);
    to->ints[i] = to_bool ? number < 0 || number > 0 : (int64_t)number;
  }
  return RESNET_OK;
}

static resnet_status cast_constant(import_context *ctx, const constant *t, bool to_float,
                                   bool to_bool) {
  resnet_status status;
  if (to_float && t->is_float) return op_identity(ctx);
  constant *to = constant_new(ctx, to_float, t->rank, t->dims, &status);
  if (!to) return status;
  if (!to_float) {
    status = cast_to_integers(ctx, t, to_bool, to);
    return status == RESNET_OK ? value_set_constant(ctx, to) : status;
  }
  if (constant_has_batch(t))
    return unsupported(ctx, "computes with the batch size: export with a fixed one");
  for (size_t i = 0; i < t->count; i++) to->floats[i] = (float)t->ints[i];
  return value_set_constant(ctx, to);
}

resnet_status fold_cast(import_context *ctx) {
  const constant *t;
  int64_t type;
  resnet_status status = value_get_constant(ctx, 0, "data", &t);
  if (status == RESNET_OK) status = attr_get_type(ctx, &type);
  if (status != RESNET_OK) return status;
  bool to_float = type == ONNX_FLOAT || type == ONNX_FLOAT16 || type == ONNX_DOUBLE;
  if (!t || (!to_float && type != ONNX_INT64 && type != ONNX_INT32 && type != ONNX_BOOL))
    return unsupported(ctx,
                       "casts to element type %lld: accepted types: float (1), int32 (6), int64 "
                       "(7), bool (9), float16 (10), double (11)",
                       (long long)type);
  return cast_constant(ctx, t, to_float, type == ONNX_BOOL);
}

/* Fold CastLike of a constant. The second input may be an activation, which is of
 * floats. */
resnet_status fold_cast_like(import_context *ctx) {
  const constant *t;
  value *like;
  resnet_status status = value_get_constant(ctx, 0, "data", &t);
  if (status == RESNET_OK) status = value_get(ctx, 1, &like);
  if (status != RESNET_OK) return status;
  if (!t) return invalid(ctx, "input 0 is missing: export the model again");
  return cast_constant(ctx, t, like->kind == VALUE_ACTIVATION || like->constant->is_float, false);
}
