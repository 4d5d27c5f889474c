#include "loader/import/fold_reduce.h"

#include <math.h>
#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/element_types.h"
#include "loader/import/shapes.h"
#include "loader/import/strided_copy.h"
#include "loader/import/values.h"
#include "loader/onnx/onnx_types.h"

typedef enum reduction { SUM, MEAN, SUM_SQUARE, L2, PROD, MAX, MIN } reduction;

static reduction find_kind(const import_context *ctx) {
  static const char *const names[] = {"Sum", "Mean", "SumSquare", "L2", "Prod", "Max", "Min"};
  int i = 0;
  while (i < MIN && strcmp(names[i], ctx->node->op_type + strlen("Reduce")) != 0) i++;
  return (reduction)i;
}

/* Return whether x replaces `best`. NaN stays. */
static bool is_better(reduction kind, double x, double best) {
  if (best != best) return false;
  return x != x || (kind == MAX ? x > best : x < best);
}

/* Take a number into the result so far; `first`: there is none yet. */
static double take_float(reduction kind, double so_far, double x, bool first) {
  switch (kind) {
  case MAX:
  case MIN:
    return first || is_better(kind, x, so_far) ? x : so_far;
  case PROD:
    return first ? x : so_far * x;
  case SUM:
  case MEAN:
    return first ? x : so_far + x;
  default:
    return first ? x * x : so_far + x * x;
  }
}

/* Sums and products wrap. */
static int64_t take_integer(reduction kind, int64_t so_far, int64_t x, bool first) {
  if (first) return x;
  switch (kind) {
  case MAX:
    return x > so_far ? x : so_far;
  case MIN:
    return x < so_far ? x : so_far;
  case PROD:
    return (int64_t)((uint64_t)so_far * (uint64_t)x);
  default:
    return (int64_t)((uint64_t)so_far + (uint64_t)x);
  }
}

static double finish_float(reduction kind, double number, size_t count) {
  if (kind == MEAN) return number / (double)count;
  return kind == L2 ? sqrt(number) : number;
}

/* The reduction of one constant. */
typedef struct reduced {
  reduction kind;
  const constant *from;
  constant *to;
  double *numbers;   /* of floats, before they are rounded */
  strided_walk walk; /* over `from`; its steps are in `to` */
} reduced;

static void take_elements(const reduced *r) {
  const constant *t = r->from;
  int64_t position[MAX_RANK] = {0}, at = 0;
  for (size_t k = 0; k < t->count; k++) {
    bool first = true;
    for (uint32_t i = 0; i < t->rank; i++)
      first = first && (r->walk.steps[i] != 0 || position[i] == 0);
    if (t->is_float)
      r->numbers[at] = take_float(r->kind, r->numbers[at],
                                  t->doubles ? t->doubles[k] : (double)t->floats[k], first);
    else
      r->to->ints[at] = take_integer(r->kind, r->to->ints[at], t->ints[k], first);
    for (uint32_t i = t->rank; i-- > 0;) {
      at += r->walk.steps[i];
      if (++position[i] < t->dims[i]) break;
      at -= r->walk.steps[i] * position[i];
      position[i] = 0;
    }
  }
}

static void finish_elements(const reduced *r) {
  const size_t each = r->from->count / r->to->count;
  for (size_t k = 0; k < r->to->count; k++)
    if (r->from->is_float)
      constant_set_float(r->to, k, finish_float(r->kind, r->numbers[k], each));
    else
      r->to->ints[k] = element_wrap(r->to->type, r->to->ints[k]);
}

static resnet_status check_data(const import_context *ctx, reduction kind, const constant *t) {
  if (!t) return invalid(ctx, "input 0 is missing: export the model again");
  if (constant_has_batch(t))
    return unsupported(ctx, "computes with the batch size: export with a fixed one");
  const bool of_integers = kind == SUM || kind == PROD || kind == MAX || kind == MIN;
  if (t->count == 0 || t->type == ONNX_BOOL || (!t->is_float && !of_integers))
    return unsupported(ctx, "reduces %s: floats are accepted",
                       t->count == 0 ? "a constant without elements" : "integers or booleans");
  return RESNET_OK;
}

/* Make the result, with the axes of `mask` reduced. */
static resnet_status reduce(import_context *ctx, reduced *r, uint32_t mask, bool keep) {
  const constant *t = r->from;
  int64_t dims[MAX_RANK], step = 1;
  uint32_t rank = 0;
  resnet_status status;
  for (uint32_t i = t->rank; i-- > 0;) {
    r->walk.steps[i] = mask >> i & 1 ? 0 : step;
    if (!(mask >> i & 1)) step *= t->dims[i];
  }
  for (uint32_t i = 0; i < t->rank; i++)
    if (keep || !(mask >> i & 1)) dims[rank++] = mask >> i & 1 ? 1 : t->dims[i];
  r->to = constant_new(ctx, t->type, rank, dims, &status);
  if (r->to) status = import_spend(ctx, t->count, WORK_COMPUTE + t->rank);
  if (status == RESNET_OK) status = import_spend(ctx, r->to->count, WORK_FUNCTION);
  if (status != RESNET_OK) return status;
  r->numbers = import_scratch(ctx, r->to->count, sizeof *r->numbers);
  if (!r->numbers) return err_no_memory(ctx->error, "a constant");
  take_elements(r);
  finish_elements(r);
  return value_set_constant(ctx, r->to);
}

/* Fold a reduction. Its axes became an input with opset 13 (ReduceSum), 18 (the
 * others). */
resnet_status fold_reduce(import_context *ctx) {
  reduced r = {.kind = find_kind(ctx)};
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0;
  int64_t keep, keeps_all;
  resnet_status status = value_get_constant(ctx, 0, "data", &r.from);
  if (status == RESNET_OK) status = check_data(ctx, r.kind, r.from);
  if (status == RESNET_OK) status = shape_read_axes(ctx, r.kind == SUM ? 13 : 18, &axes, &count);
  if (status == RESNET_OK) status = shape_mask_axes(ctx, axes, count, r.from->rank, &mask);
  if (status == RESNET_OK) status = attr_get_int(ctx, "keepdims", 1, &keep);
  if (status == RESNET_OK) status = attr_get_int(ctx, "noop_with_empty_axes", 0, &keeps_all);
  if (status != RESNET_OK) return status;
  if (count == 0 && keeps_all)
    return unsupported(ctx, "has attribute noop_with_empty_axes and no axes: remove the node");
  if (count == 0) mask = (UINT32_C(1) << r.from->rank) - 1;
  return reduce(ctx, &r, mask, keep != 0);
}
