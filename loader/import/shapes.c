/* Formulas: onnx/docs/Operators.md. */
#include "loader/import/shapes.h"

#include <string.h>

#include "loader/import/attributes.h"

resnet_status shape_resolve_axis(const import_context *ctx, int64_t axis, uint32_t rank,
                                 uint32_t *out) {
  if (axis < -(int64_t)rank || axis >= (int64_t)rank)
    return invalid(ctx, "axis %lld is out of range for %u dimensions: export the model again",
                   (long long)axis, rank);
  *out = (uint32_t)(axis < 0 ? axis + (int64_t)rank : axis);
  return RESNET_OK;
}

resnet_status shape_read_axes(import_context *ctx, int64_t input_since, const int64_t **axes,
                              size_t *count) {
  const constant *t = NULL;
  *axes = NULL;
  *count = 0;
  if (ctx->opset < input_since) return attr_get_ints(ctx, "axes", axes, count);
  resnet_status status = value_get_integers(ctx, 1, "axes", &t);
  if (status != RESNET_OK || !t) return status;
  *axes = t->ints;
  *count = t->count;
  return RESNET_OK;
}

resnet_status shape_mask_axes(const import_context *ctx, const int64_t *axes, size_t count,
                              uint32_t rank, uint32_t *mask) {
  *mask = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t axis = 0;
    resnet_status status = shape_resolve_axis(ctx, axes[i], rank, &axis);
    if (status != RESNET_OK) return status;
    if (*mask >> axis & 1)
      return invalid(ctx, "axis %u is named twice: export the model again", axis);
    *mask |= UINT32_C(1) << axis;
  }
  return RESNET_OK;
}

/* ---- Reshape ----------------------------------------------------------------------- */

/* Resolve dims[first..rank) of `target` against `old`; together they must have `count`
 * elements. */
static resnet_status resolve_target(import_context *ctx, const constant *target, uint32_t first,
                                    const int64_t *old, uint32_t old_rank, bool zero_copies,
                                    size_t count, int64_t *dims) {
  size_t product = 1;
  uint32_t open = MAX_RANK;
  for (uint32_t i = first; i < target->count; i++) {
    int64_t size = target->ints[i];
    if (constant_is_batch(target, i))
      return unsupported(
          ctx, "moves the batch to dimension %u: it is accepted as the first dimension only", i);
    if (size == 0 && zero_copies && i < old_rank) size = old[i];
    if (size == -1 && open == MAX_RANK) {
      open = i;
      continue;
    }
    if (size < 0 || !mem_size_multiply(product, (size_t)size, &product))
      return invalid(ctx, "asks for dimension %lld at position %u: export the model again",
                     (long long)size, i);
    dims[i] = size;
  }
  if (open < MAX_RANK && product > 0) {
    dims[open] = (int64_t)(count / product);
    product *= count / product;
  }
  if (product == count) return RESNET_OK;
  /* if the first is -1, ONNX would move elements between samples */
  bool mixes = first > 0 && target->ints[0] == -1;
  return import_refuse(
      ctx, mixes ? RESNET_ERROR_UNSUPPORTED : RESNET_ERROR_FORMAT,
      "reshapes %zu elements to a shape of %zu%s: the shape must fit the image, for any batch",
      count, product, first ? " (without the batch)" : "");
}

static resnet_status check_reshape_target(const import_context *ctx, const constant *target) {
  if (target->is_float || target->rank != 1 || target->count > MAX_RANK)
    return invalid(ctx, "its shape must be a list of up to %d integers", MAX_RANK);
  return RESNET_OK;
}

resnet_status shape_reshape_constant(import_context *ctx, const constant *t, const constant *target,
                                     bool zero_copies, int64_t *dims) {
  resnet_status status = check_reshape_target(ctx, target);
  if (status != RESNET_OK) return status;
  return resolve_target(ctx, target, 0, t->dims, t->rank, zero_copies, t->count, dims);
}

/* Accept a fixed batch for any: exporters write [1,2048] for (n,2048) (onnx issue
 * 1249). */
static bool leads_with_batch(const import_context *ctx, const constant *target, bool zero_copies) {
  int64_t first = target->ints[0];
  return constant_is_batch(target, 0) || first == -1 || (first == 0 && zero_copies) ||
         first == (ctx->batch ? ctx->batch : 1);
}

resnet_status shape_reshape_view(import_context *ctx, const value *v, const constant *target,
                                 bool zero_copies, int64_t *dims) {
  resnet_status status = check_reshape_target(ctx, target);
  if (status != RESNET_OK) return status;
  if (target->count == 0)
    return invalid(ctx, "its shape is empty, its input is not: export the model again");
  const graph_shape s = value_shape(ctx, v);
  if (target->count == 1 && ctx->batch == 1 && target->ints[0] != 1 &&
      (uint64_t)s.h * s.w * s.c > 1)
    return unsupported(ctx, "removes the file's batch of 1: that is accepted where the result is "
                            "the scores; reshape to (1,-1) instead");
  if (target->count == 1 && target->ints[0] == -1 && (uint64_t)s.h * s.w * s.c > 1)
    return unsupported(
        ctx,
        "puts all images of a batch into one row, as PyTorch does in channels_last format: export "
        "with .contiguous() on a permuted input, or "
        "model.to(memory_format=torch.contiguous_format)");
  int64_t first = target->ints[0];
  if (!leads_with_batch(ctx, target, zero_copies))
    return import_refuse(
        ctx, first < 1 || first > GRAPH_MAX_SIDE ? RESNET_ERROR_FORMAT : RESNET_ERROR_UNSUPPORTED,
        "its shape begins with %lld, which is not the batch: export with a dynamic batch, or -1",
        (long long)first);
  if (first == -1 && !constant_is_batch(target, 0))
    for (size_t i = 1; i < target->count; i++)
      if (target->ints[i] == -1)
        return invalid(ctx, "its shape has two dimensions of -1: export the model again");
  return resolve_target(ctx, target, 1, v->dims, v->rank, zero_copies, (size_t)s.h * s.w * s.c,
                        dims);
}

/* ---- Slice ------------------------------------------------------------------------- */

typedef struct slice_lists {
  const int64_t *list[4]; /* starts, ends, axes, steps */
  size_t count[4];
} slice_lists;

static resnet_status read_slice_lists(import_context *ctx, slice_lists *lists) {
  static const char *const names[4] = {"starts", "ends", "axes", "steps"};
  memset(lists, 0, sizeof *lists);
  for (size_t i = 0; i < 4; i++) {
    const constant *t = NULL;
    resnet_status status;
    if (ctx->opset < 10)
      status = attr_get_ints(ctx, names[i], &lists->list[i], &lists->count[i]);
    else
      status = value_get_integers(ctx, i + 1, names[i], &t);
    if (status != RESNET_OK) return status;
    if (!t) continue;
    lists->list[i] = t->ints;
    lists->count[i] = t->count;
  }
  size_t count = lists->count[0];
  bool axes_fit = !lists->list[2] || lists->count[2] == count,
       steps_fit = !lists->list[3] || lists->count[3] == count;
  if (count == 0 || lists->count[1] != count || !axes_fit || !steps_fit)
    return invalid(ctx,
                   "its starts, ends, axes and steps differ in length: export the model again");
  return RESNET_OK;
}

resnet_status shape_read_slices(import_context *ctx, uint32_t rank, slice_range ranges[MAX_RANK]) {
  slice_lists lists;
  resnet_status status = read_slice_lists(ctx, &lists);
  if (status != RESNET_OK) return status;
  uint32_t seen = 0;
  for (uint32_t i = 0; i < MAX_RANK; i++) ranges[i] = (slice_range){0, INT64_MAX, 1};
  for (size_t i = 0; i < lists.count[0]; i++) {
    uint32_t axis = 0;
    status = shape_resolve_axis(ctx, lists.list[2] ? lists.list[2][i] : (int64_t)i, rank, &axis);
    if (status != RESNET_OK) return status;
    slice_range r = {lists.list[0][i], lists.list[1][i], lists.list[3] ? lists.list[3][i] : 1};
    if (r.step == 0 || seen >> axis & 1)
      return invalid(ctx, "slices axis %u twice or with step 0: export the model again", axis);
    seen |= UINT32_C(1) << axis;
    ranges[axis] = r;
  }
  return RESNET_OK;
}

static int64_t clamp_index(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

int64_t shape_resolve_slice(slice_range *range, int64_t dim) {
  bool forward = range->step > 0;
  int64_t start = range->start < 0 ? range->start + dim : range->start;
  int64_t end = range->end < 0 ? range->end + dim : range->end;
  range->start =
      forward ? clamp_index(start, 0, dim) : clamp_index(start, 0, dim > 0 ? dim - 1 : 0);
  range->end = forward ? clamp_index(end, 0, dim) : clamp_index(end, -1, dim > 0 ? dim - 1 : -1);
  /* larger steps reach no further element */
  range->step = clamp_index(range->step, -dim, dim);
  int64_t span = forward ? range->end - range->start : range->start - range->end;
  int64_t step = forward ? range->step : -range->step;
  return span <= 0 || dim == 0 ? 0 : (span - 1) / step + 1;
}
