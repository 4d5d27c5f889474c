/* The element types' rules: element_types.h. */
#include "loader/import/fold_arithmetic.h"

#include <math.h>
#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/element_types.h"
#include "loader/import/op_view.h"
#include "loader/import/strided_copy.h"
#include "loader/import/values.h"
#include "loader/onnx/onnx_types.h"

/* From EQUAL on, the result is of booleans. */
typedef enum arithmetic {
  ADD,
  SUB,
  MUL,
  DIV,
  MOD,
  FMOD,
  MIN,
  MAX,
  POW,
  EQUAL,
  LESS,
  GREATER,
  LESS_OR_EQUAL,
  GREATER_OR_EQUAL,
  AND,
  OR
} arithmetic;

static arithmetic find_arithmetic(const import_context *ctx, bool fmod) {
  static const char *const names[] = {"Add",         "Sub",
                                      "Mul",         "Div",
                                      "Mod",         "",
                                      "Min",         "Max",
                                      "Pow",         "Equal",
                                      "Less",        "Greater",
                                      "LessOrEqual", "GreaterOrEqual",
                                      "And",         "Or"};
  int i = 0;
  if (strcmp(ctx->node->op_type, "Sum") == 0 || strcmp(ctx->node->op_type, "Mean") == 0) return ADD;
  while (i < OR && strcmp(names[i], ctx->node->op_type) != 0) i++;
  return i == MOD && fmod ? FMOD : (arithmetic)i;
}

/* ---- one element ------------------------------------------------------------------- */

/* A NaN among the operands is the result. */
static double smaller(double a, double b) { return a < b || a != a ? a : b; }
static double larger(double a, double b) { return a > b || a != a ? a : b; }

/* Compute in double, which is exact enough to round the result to any shorter type once
 * (Figueroa 1995, "When is double rounding innocuous?"). */
static double compute_float(arithmetic op, double a, double b) {
  switch (op) {
  case ADD:
    return a + b;
  case SUB:
    return a - b;
  case MUL:
    return a * b;
  case DIV:
    return a / b;
  case FMOD:
    return fmod(a, b);
  case MIN:
    return smaller(a, b);
  case MAX:
    return larger(a, b);
  default:
    return pow(a, b);
  }
}

/* Return a % b with the sign of a. */
static int64_t remainder_of(int64_t a, int64_t b) { return b == -1 ? 0 : a % b; }

/* Sums, differences and products wrap; a quotient is truncated. b is not 0 for a division
 * or a remainder. */
static int64_t compute_integer(arithmetic op, int64_t a, int64_t b) {
  const uint64_t x = (uint64_t)a, y = (uint64_t)b;
  switch (op) {
  case ADD:
    return (int64_t)(x + y);
  case SUB:
    return (int64_t)(x - y);
  case MUL:
    return (int64_t)(x * y);
  case DIV:
    return b == -1 ? (int64_t)(0 - x) : a / b;
  case MOD: {
    const int64_t rest = remainder_of(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  }
  case FMOD:
    return remainder_of(a, b);
  case MIN:
    return a < b ? a : b;
  default:
    return a > b ? a : b;
  }
}

/* ---- two constants ----------------------------------------------------------------- */

/* The walks of both operands over the result. */
typedef struct operands {
  const constant *a, *b;
  strided_walk walk_a, walk_b;
  int64_t position[MAX_RANK], at_a, at_b;
} operands;

static void next_elements(operands *o) {
  for (uint32_t i = o->walk_a.rank; i-- > 0;) {
    o->at_a += o->walk_a.steps[i];
    o->at_b += o->walk_b.steps[i];
    if (++o->position[i] < o->walk_a.dims[i]) return;
    o->at_a -= o->walk_a.steps[i] * o->position[i];
    o->at_b -= o->walk_b.steps[i] * o->position[i];
    o->position[i] = 0;
  }
}

/* Broadcast the shapes of both operands, from the right. */
static resnet_status broadcast(const import_context *ctx, operands *o) {
  const constant *a = o->a, *b = o->b;
  const uint32_t rank = a->rank > b->rank ? a->rank : b->rank;
  int64_t steps_a[MAX_RANK], steps_b[MAX_RANK];
  strided_steps(a, steps_a);
  strided_steps(b, steps_b);
  o->walk_a.rank = o->walk_b.rank = rank;
  for (uint32_t i = 0; i < rank; i++) {
    /* unsigned: wraps to a large number if there is no such axis */
    uint32_t in_a = i + a->rank - rank, in_b = i + b->rank - rank;
    int64_t x = in_a < a->rank ? a->dims[in_a] : 1, y = in_b < b->rank ? b->dims[in_b] : 1;
    if (x != y && x != 1 && y != 1)
      return invalid(ctx, "cannot broadcast %lld against %lld: export the model again",
                     (long long)x, (long long)y);
    o->walk_a.dims[i] = o->walk_b.dims[i] = x == 1 ? y : x;
    o->walk_a.steps[i] = x == 1 ? 0 : steps_a[in_a];
    o->walk_b.steps[i] = y == 1 ? 0 : steps_b[in_b];
  }
  return RESNET_OK;
}

static double number_at(const constant *t, int64_t i) {
  if (t->doubles) return t->doubles[i];
  return t->is_float ? (double)t->floats[i] : (double)t->ints[i];
}

/* Compare two numbers. All comparisons with NaN are false. */
static bool compare_floats(arithmetic op, double a, double b) {
  switch (op) {
  case LESS:
    return a < b;
  case GREATER:
    return a > b;
  case LESS_OR_EQUAL:
    return a <= b;
  case GREATER_OR_EQUAL:
    return a >= b;
  default:
    return a <= b && a >= b;
  }
}

static bool compare_integers(arithmetic op, int64_t a, int64_t b) {
  switch (op) {
  case LESS:
    return a < b;
  case GREATER:
    return a > b;
  case LESS_OR_EQUAL:
    return a <= b;
  case GREATER_OR_EQUAL:
    return a >= b;
  case AND:
    return a && b;
  case OR:
    return a || b;
  default:
    return a == b;
  }
}

/* Compare two elements. The symbolic batch equals no number below 1: exporters compare
 * shapes with -1. */
static resnet_status compare_elements(const import_context *ctx, arithmetic op, constant *to,
                                      size_t k, const operands *o) {
  const constant *a = o->a, *b = o->b;
  const size_t i = (size_t)o->at_a, j = (size_t)o->at_b;
  if (a->is_float) {
    to->ints[k] = compare_floats(op, number_at(a, o->at_a), number_at(b, o->at_b));
    return RESNET_OK;
  }
  const bool batch_a = constant_is_batch(a, i), batch_b = constant_is_batch(b, j);
  if (batch_a != batch_b && (batch_a ? b->ints[j] : a->ints[i]) > 0)
    return unsupported(ctx, "compares the batch size with a number: export with a fixed one");
  const bool same = batch_a == batch_b;
  to->ints[k] = same && (batch_a || compare_integers(op, a->ints[i], b->ints[j]));
  return RESNET_OK;
}

/* Raise an integer to a power: exactly, and as ONNX does not say what an overflow gives,
 * only if the result fits. */
static resnet_status raise_integer(const import_context *ctx, constant *to, size_t k,
                                   const operands *o) {
  double least, beyond;
  element_range(to->type, &least, &beyond);
  const double largest = fmin(beyond, 0x1p53);
  const double x = number_at(o->a, o->at_a), y = number_at(o->b, o->at_b), power = trunc(pow(x, y));
  if (!(power > fmax(least, -largest) - 1 && power < largest) || !(fabs(x) <= 0x1p53))
    return unsupported(ctx, "raises the integer %g to the power %g: results below %g are accepted",
                       x, y, largest);
  to->ints[k] = (int64_t)power;
  return RESNET_OK;
}

static resnet_status compute_element(const import_context *ctx, arithmetic op, constant *to,
                                     size_t k, const operands *o) {
  if (op >= EQUAL) return compare_elements(ctx, op, to, k, o);
  if (to->is_float) {
    constant_set_float(to, k,
                       compute_float(op, number_at(o->a, o->at_a), number_at(o->b, o->at_b)));
    return RESNET_OK;
  }
  if (op == POW) return raise_integer(ctx, to, k, o);
  const int64_t x = o->a->ints[o->at_a], y = o->b->ints[o->at_b];
  if (y == 0 && (op == DIV || op == MOD || op == FMOD))
    return invalid(ctx, "divides the integer %lld by 0: export the model again", (long long)x);
  to->ints[k] = element_wrap(to->type, compute_integer(op, x, y));
  return RESNET_OK;
}

static resnet_status check_operands(const import_context *ctx, arithmetic op, const operands *o) {
  const constant *a = o->a, *b = o->b;
  if (!a || !b || (a->type != b->type && op != POW))
    return invalid(ctx, "takes two constants of one type");
  if (op != EQUAL && (constant_has_batch(a) || constant_has_batch(b)))
    return unsupported(ctx, "computes with the batch size: export with a fixed one");
  const bool booleans = a->type == ONNX_BOOL || b->type == ONNX_BOOL;
  if (op == AND || op == OR ? !booleans : op != EQUAL && booleans)
    return invalid(ctx, "computes with %s",
                   booleans ? "booleans: numbers are accepted" : "numbers: booleans are accepted");
  if (op == MOD && a->is_float)
    return invalid(ctx, "takes the remainder of floats with attribute fmod 0: ONNX asks for 1");
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

/* Return the steps that an element costs. */
static uint64_t cost_of(arithmetic op, int32_t type) {
  const bool rounds = type == ONNX_FLOAT16 || type == ONNX_BFLOAT16;
  /* the steps of fmod grow with the difference of the exponents */
  if (op == FMOD) return (type == ONNX_DOUBLE ? 32 : 8) * WORK_FUNCTION;
  return op == POW || rounds ? WORK_FUNCTION : WORK_COMPUTE;
}

/* Return a new constant, `a op b`; NULL: *status has the reason. */
static constant *combine(import_context *ctx, arithmetic op, const constant *a, const constant *b,
                         resnet_status *status) {
  operands o = {.a = a, .b = b};
  *status = check_operands(ctx, op, &o);
  if (*status == RESNET_OK) *status = check_axis(ctx, a, b);
  if (*status == RESNET_OK) *status = broadcast(ctx, &o);
  if (*status != RESNET_OK) return NULL;
  const int32_t type = op >= EQUAL ? ONNX_BOOL : a->type;
  constant *to = constant_new(ctx, type, o.walk_a.rank, o.walk_a.dims, status);
  if (to) *status = import_spend(ctx, to->count, cost_of(op, type));
  for (size_t k = 0; *status == RESNET_OK && k < to->count; k++) {
    *status = compute_element(ctx, op, to, k, &o);
    next_elements(&o);
  }
  return *status == RESNET_OK ? to : NULL;
}

/* Divide the sum that Mean begins with. */
static resnet_status divide_sum(import_context *ctx, constant *sum, size_t count) {
  if (!sum->is_float) return invalid(ctx, "takes the mean of integers: floats are accepted");
  const resnet_status status = import_spend(ctx, sum->count, WORK_FUNCTION);
  if (status != RESNET_OK) return status;
  for (size_t i = 0; i < sum->count; i++)
    constant_set_float(sum, i, number_at(sum, (int64_t)i) / (double)count);
  return RESNET_OK;
}

/* Fold an operator of two constants; Sum, Mean, Min and Max take any number, one after
 * the other. */
resnet_status fold_arithmetic(import_context *ctx) {
  const constant *a, *b;
  int64_t fmod = 0;
  resnet_status status = value_get_constant(ctx, 0, "data", &a);
  if (status == RESNET_OK) status = attr_get_int(ctx, "fmod", 0, &fmod);
  if (status != RESNET_OK) return status;
  if (ctx->node->n_input == 1) return op_identity(ctx);
  constant *to = NULL;
  for (size_t i = 1; i < ctx->node->n_input; i++, a = to) {
    status = value_get_constant(ctx, i, "data", &b);
    if (status == RESNET_OK) to = combine(ctx, find_arithmetic(ctx, fmod != 0), a, b, &status);
    if (status != RESNET_OK) return status;
  }
  if (strcmp(ctx->node->op_type, "Mean") == 0) status = divide_sum(ctx, to, ctx->node->n_input);
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

/* ---- Clip -------------------------------------------------------------------------- */

/* Read a bound of Clip: attribute `name` before opset 11, then input `index`. NULL: there
 * is none. */
static resnet_status read_clip_bound(import_context *ctx, const constant *t, size_t index,
                                     const char *name, const constant **bound) {
  resnet_status status;
  float number;
  *bound = NULL;
  if (ctx->opset >= 11) return value_get_constant(ctx, index, "bounds", bound);
  if (!attr_exists(ctx, name)) return RESNET_OK;
  constant *one = constant_new(ctx, t->type, 0, NULL, &status);
  if (status == RESNET_OK) status = attr_get_float(ctx, name, 0, &number);
  if (status != RESNET_OK) return status;
  if (!t->is_float) return invalid(ctx, "clips integers: floats are accepted at this opset");
  constant_set_float(one, 0, (double)number);
  *bound = one;
  return RESNET_OK;
}

/* Fold Min(Max(x, low), high). */
resnet_status fold_clip(import_context *ctx) {
  const constant *t, *low, *high;
  resnet_status status = value_get_constant(ctx, 0, "data", &t);
  if (status == RESNET_OK && !t) return invalid(ctx, "input 0 is missing: export the model again");
  if (status == RESNET_OK) status = read_clip_bound(ctx, t, 1, "min", &low);
  if (status == RESNET_OK) status = read_clip_bound(ctx, t, 2, "max", &high);
  if (status != RESNET_OK) return status;
  if ((low && low->count != 1) || (high && high->count != 1))
    return unsupported(ctx, "its bound has %zu numbers: one is accepted",
                       low && low->count != 1 ? low->count : high->count);
  constant *to = constant_alias(ctx, t, t->rank, t->dims, &status);
  if (to && low) to = combine(ctx, MAX, to, low, &status);
  if (to && high) to = combine(ctx, MIN, to, high, &status);
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

/* ---- Where ------------------------------------------------------------------------- */

/* Broadcast the branches of Where against each other, then, as `both`, against the
 * condition. */
static resnet_status broadcast_where(const import_context *ctx, const constant *condition,
                                     operands *branches, operands *all, constant *both) {
  resnet_status status = broadcast(ctx, branches);
  if (status != RESNET_OK) return status;
  both->rank = branches->walk_a.rank;
  memcpy(both->dims, branches->walk_a.dims, sizeof both->dims);
  if (!constant_count(both->dims, both->rank, &both->count))
    return invalid(ctx, "makes a constant whose size overflows");
  *all = (operands){.a = condition, .b = both};
  return broadcast(ctx, all);
}

/* Widen the walk of a branch to the axes of the result, `all`. The branch is repeated
 * along those that it lacks or has one element of. */
static void widen_walk(strided_walk *walk, const strided_walk *all) {
  const uint32_t missing = all->rank - walk->rank;
  strided_walk wide = *all;
  for (uint32_t i = 0; i < wide.rank; i++)
    wide.steps[i] = i < missing || walk->dims[i - missing] == 1 ? 0 : walk->steps[i - missing];
  *walk = wide;
}

/* Fold Where(condition, a, b). Exporters build shapes with it, in which -1 means the
 * tensor's own size. */
resnet_status fold_where(import_context *ctx) {
  const constant *inputs[3];
  resnet_status status = RESNET_OK;
  for (size_t i = 0; i < 3 && status == RESNET_OK; i++)
    status = value_get_constant(ctx, i, "data", &inputs[i]);
  if (status != RESNET_OK) return status;
  const constant *condition = inputs[0];
  operands branches = {.a = inputs[1], .b = inputs[2]}, all;
  constant both = {0};
  if (!condition || !branches.a || !branches.b || condition->is_float ||
      branches.a->type != branches.b->type)
    return invalid(ctx, "takes a list of booleans and two constants of one type");
  status = broadcast_where(ctx, condition, &branches, &all, &both);
  if (status != RESNET_OK) return status;
  widen_walk(&branches.walk_a, &all.walk_a);
  widen_walk(&branches.walk_b, &all.walk_a);
  constant *to = constant_new(ctx, branches.a->type, all.walk_a.rank, all.walk_a.dims, &status);
  if (to) status = import_spend(ctx, to->count, WORK_COMPUTE + WORK_GATHER);
  for (size_t k = 0; status == RESNET_OK && k < to->count; k++) {
    const bool first = condition->ints[all.at_a] != 0;
    if (!constant_copy(ctx, to, k, first ? branches.a : branches.b,
                       (size_t)(first ? branches.at_a : branches.at_b), 1))
      status = err_no_memory(ctx->error, "a constant");
    next_elements(&all);
    next_elements(&branches);
  }
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

/* ---- functions of one constant ----------------------------------------------------- */

static double reciprocal(double x) { return 1 / x; }
static double negative(double x) { return -x; }
static double positive_part(double x) { return larger(x, 0); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static resnet_status fold_integer_function(import_context *ctx, const constant *t) {
  resnet_status status;
  const char *name = ctx->node->op_type;
  const bool is_abs = strcmp(name, "Abs") == 0;
  if (strcmp(name, "Relu") == 0)
    return unsupported(ctx, "takes the positive part of integers: floats are accepted");
  if ((!is_abs && strcmp(name, "Neg") != 0) || t->type == ONNX_BOOL)
    return invalid(ctx, "takes floats");
  if (constant_has_batch(t))
    return unsupported(ctx, "computes with the batch size: export with a fixed one");
  constant *to = constant_new(ctx, t->type, t->rank, t->dims, &status);
  if (to) status = import_spend(ctx, to->count, WORK_COMPUTE);
  if (status != RESNET_OK) return status;
  for (size_t i = 0; i < to->count; i++) {
    const int64_t x = t->ints[i];
    to->ints[i] = is_abs && x >= 0 ? x : element_wrap(t->type, compute_integer(SUB, 0, x));
  }
  return value_set_constant(ctx, to);
}

/* Fold a function of one number, by the operator's name. */
resnet_status fold_function(import_context *ctx) {
  static const struct {
    const char *name;
    double (*compute)(double x);
  } functions[] = {{"Abs", fabs},
                   {"Ceil", ceil},
                   {"Exp", exp},
                   {"Floor", floor},
                   {"Log", log},
                   {"Neg", negative},
                   {"Reciprocal", reciprocal},
                   {"Relu", positive_part},
                   {"Round", nearbyint},
                   {"Sigmoid", sigmoid},
                   {"Sqrt", sqrt},
                   {"Tanh", tanh}};
  const constant *t;
  resnet_status status = value_get_constant(ctx, 0, "data", &t);
  if (status != RESNET_OK) return status;
  if (!t) return invalid(ctx, "input 0 is missing: export the model again");
  if (!t->is_float) return fold_integer_function(ctx, t);
  size_t f = sizeof functions / sizeof *functions - 1;
  while (f > 0 && strcmp(functions[f].name, ctx->node->op_type) != 0) f--;
  constant *to = constant_new(ctx, t->type, t->rank, t->dims, &status);
  if (to) status = import_spend(ctx, to->count, WORK_FUNCTION);
  for (size_t i = 0; status == RESNET_OK && i < to->count; i++)
    constant_set_float(to, i, functions[f].compute(number_at(t, (int64_t)i)));
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

resnet_status fold_not(import_context *ctx) {
  const constant *t;
  resnet_status status = value_get_constant(ctx, 0, "data", &t);
  if (status != RESNET_OK) return status;
  if (!t || t->type != ONNX_BOOL) return invalid(ctx, "takes booleans");
  constant *to = constant_new(ctx, ONNX_BOOL, t->rank, t->dims, &status);
  if (to) status = import_spend(ctx, to->count, WORK_COMPUTE);
  for (size_t i = 0; status == RESNET_OK && i < to->count; i++) to->ints[i] = !t->ints[i];
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

/* ---- Range ------------------------------------------------------------------------- */

/* Read start, limit and delta: three numbers of one type. */
static resnet_status read_range(import_context *ctx, double numbers[3], int32_t *type) {
  static const char *const what[3] = {"start", "limit", "delta"};
  for (size_t i = 0; i < 3; i++) {
    const constant *t;
    resnet_status status = value_get_constant(ctx, i, what[i], &t);
    if (status != RESNET_OK) return status;
    if (t && constant_has_batch(t))
      return unsupported(ctx, "its %s depends on the batch size: export with a fixed one", what[i]);
    if (!t || t->count != 1 || t->type == ONNX_BOOL)
      return unsupported(ctx, "its %s must be one number below 2^31", what[i]);
    if (i > 0 && t->type != *type) return invalid(ctx, "takes three numbers of one type");
    numbers[i] = number_at(t, 0);
    *type = t->type;
    if (!(fabs(numbers[i]) <= INT32_MAX))
      return unsupported(ctx, "its %s is %g: numbers below 2^31 are accepted", what[i], numbers[i]);
  }
  return numbers[2] < 0 || numbers[2] > 0 ? RESNET_OK : invalid(ctx, "its delta is 0");
}

/* Fold Range: start + i * delta, before the limit. */
resnet_status fold_range(import_context *ctx) {
  double numbers[3];
  int32_t type = 0;
  resnet_status status = read_range(ctx, numbers, &type);
  if (status != RESNET_OK) return status;
  const double wanted = ceil((numbers[1] - numbers[0]) / numbers[2]);
  const int64_t count = wanted < 0 ? 0 : wanted > 0x1p62 ? INT64_C(1) << 62 : (int64_t)wanted;
  status = import_spend(ctx, (uint64_t)count, WORK_COMPUTE);
  constant *t = status == RESNET_OK ? constant_new(ctx, type, 1, &count, &status) : NULL;
  for (int64_t i = 0; t && i < count; i++)
    if (t->is_float)
      constant_set_float(t, (size_t)i, numbers[0] + (double)i * numbers[2]);
    else
      t->ints[i] = (int64_t)numbers[0] + i * (int64_t)numbers[2];
  return status == RESNET_OK ? value_set_constant(ctx, t) : status;
}

/* ---- Cast -------------------------------------------------------------------------- */

/* Cast to a type of integers or bool. Integers keep their low bits, all floats but 0 are
 * true, and what other floats give that do not fit is not defined
 * (onnx/docs/Operators.md). */
static resnet_status cast_to_integer(const import_context *ctx, const constant *t, size_t i,
                                     constant *to) {
  double least, beyond;
  const double number = number_at(t, (int64_t)i);
  if (to->type == ONNX_BOOL) {
    to->ints[i] = t->is_float ? !(number <= 0 && number >= 0) : t->ints[i] != 0;
    return RESNET_OK;
  }
  if (!t->is_float) {
    to->ints[i] = element_wrap(to->type, t->ints[i]);
    return RESNET_OK;
  }
  element_range(to->type, &least, &beyond);
  if (!(trunc(number) >= least && number < beyond))
    return unsupported(ctx, "casts %g to an integer: from %g to less than %g is accepted", number,
                       least, beyond);
  to->ints[i] = (int64_t)number;
  return RESNET_OK;
}

static resnet_status cast_elements(import_context *ctx, const constant *t, constant *to) {
  resnet_status status = import_spend(
      ctx, t->count, to->is_float && to->type != ONNX_FLOAT ? WORK_FUNCTION : WORK_COMPUTE);
  for (size_t i = 0; i < t->count && status == RESNET_OK; i++)
    if (to->type == ONNX_FLOAT && !t->is_float)
      to->floats[i] = (float)t->ints[i]; /* rounded once */
    else if (to->is_float)
      constant_set_float(to, i, number_at(t, (int64_t)i));
    else
      status = cast_to_integer(ctx, t, i, to);
  return status;
}

/* Return whether every number of type `from` is one of type `to`, and kept alike. */
static bool is_widening(int32_t from, int32_t to) {
  return from == to || (to == ONNX_FLOAT && (from == ONNX_FLOAT16 || from == ONNX_BFLOAT16));
}

/* The batch size stays symbolic between types of integers. */
static resnet_status cast_constant(import_context *ctx, const constant *t, int32_t type) {
  resnet_status status;
  if (is_widening(t->type, type)) {
    constant *alias = constant_alias(ctx, t, t->rank, t->dims, &status);
    if (!alias) return status;
    alias->type = type;
    return value_set_constant(ctx, alias);
  }
  const bool keeps_batch = type == ONNX_INT64 || type == ONNX_INT32;
  if (constant_has_batch(t) && !keeps_batch)
    return unsupported(ctx, "computes with the batch size: export with a fixed one");
  constant *to = constant_new(ctx, type, t->rank, t->dims, &status);
  if (!to) return status;
  status = cast_elements(ctx, t, to);
  if (status != RESNET_OK) return status;
  to->is_batch = t->is_batch;
  return value_set_constant(ctx, to);
}

resnet_status fold_cast(import_context *ctx) {
  const constant *t;
  int64_t type;
  resnet_status status = value_get_constant(ctx, 0, "data", &t);
  if (status == RESNET_OK) status = attr_get_type(ctx, &type);
  if (status != RESNET_OK) return status;
  if (!t || (!element_is_float(type) && !element_is_integer(type)))
    return unsupported(ctx, "casts to element type %lld: accepted types: " ELEMENT_TYPES,
                       (long long)type);
  return cast_constant(ctx, t, (int32_t)type);
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
  return cast_constant(ctx, t, like->kind == VALUE_ACTIVATION ? ONNX_FLOAT : like->constant->type);
}
