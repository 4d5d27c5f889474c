/* Sizes of images pass through these operators, and the batch size, which stays
 * symbolic. */
#include "loader/import/fold_constants.h"

#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/shapes.h"
#include "loader/import/strided_copy.h"
#include "loader/import/values.h"
#include "loader/onnx/onnx_types.h"

static resnet_status get_folded_input(import_context *ctx, size_t index, const constant **out) {
  resnet_status status = value_get_constant(ctx, index, "data", out);
  if (status == RESNET_OK && !*out)
    return invalid(ctx, "input %zu is missing: export the model again", index);
  return status;
}

static resnet_status set_number(import_context *ctx, bool is_float) {
  resnet_status status;
  constant *t = constant_new(ctx, is_float ? ONNX_FLOAT : ONNX_INT64, 0, NULL, &status);
  if (t)
    status = is_float ? attr_get_float(ctx, "value_float", 0, t->floats)
                      : attr_get_int(ctx, "value_int", 0, t->ints);
  return status == RESNET_OK ? value_set_constant(ctx, t) : status;
}

static resnet_status set_list(import_context *ctx) {
  const int64_t *ints;
  const float *floats;
  size_t count = 0, float_count = 0;
  resnet_status status = attr_get_ints(ctx, "value_ints", &ints, &count);
  if (status == RESNET_OK) status = attr_get_floats(ctx, "value_floats", &floats, &float_count);
  if (status != RESNET_OK) return status;
  if (!ints && !floats)
    return unsupported(ctx, "its value is no tensor, number or list of numbers");
  int64_t dim = (int64_t)(floats ? float_count : count);
  constant *t = constant_new(ctx, floats ? ONNX_FLOAT : ONNX_INT64, 1, &dim, &status);
  if (!t) return status;
  if (floats)
    memcpy(t->floats, floats, float_count * sizeof *floats);
  else
    memcpy(t->ints, ints, count * sizeof *ints);
  return value_set_constant(ctx, t);
}

resnet_status fold_constant(import_context *ctx) {
  constant *t = NULL;
  resnet_status status = attr_get_constant(ctx, "value", &t);
  if (status != RESNET_OK) return status;
  if (t) return value_set_constant(ctx, t);
  const bool is_float = attr_exists(ctx, "value_float");
  return is_float || attr_exists(ctx, "value_int") ? set_number(ctx, is_float) : set_list(ctx);
}

/* Fold Shape. The input may be an activation; its batch stays symbolic. */
resnet_status fold_shape(import_context *ctx) {
  value *v;
  int64_t start, end;
  resnet_status status = value_get(ctx, 0, &v);
  if (status == RESNET_OK)
    status = v->kind == VALUE_ACTIVATION ? value_get_activation(ctx, 0, &v)
                                         : value_check_no_batch(ctx, v);
  if (status == RESNET_OK) status = attr_get_int(ctx, "start", 0, &start);
  if (status == RESNET_OK) status = attr_get_int(ctx, "end", INT64_MAX, &end);
  if (status != RESNET_OK) return status;
  bool is_activation = v->kind == VALUE_ACTIVATION;
  slice_range range = {start, end, 1};
  int64_t count = shape_resolve_slice(&range, is_activation ? v->rank : v->constant->rank);
  constant *t = constant_new(ctx, ONNX_INT64, 1, &count, &status);
  if (!t) return status;
  for (int64_t i = 0; i < count; i++)
    t->ints[i] = (is_activation ? v->dims : v->constant->dims)[range.start + i];
  if (is_activation && range.start == 0 && count > 0) {
    t->is_batch = import_scratch(ctx, t->count, sizeof *t->is_batch);
    if (!t->is_batch) return err_no_memory(ctx->error, "a shape");
    t->is_batch[0] = true;
  }
  return value_set_constant(ctx, t);
}

/* Count the elements before `axis`, and behind it. */
static void split_at_axis(const constant *t, uint32_t axis, size_t *outer, size_t *inner) {
  *outer = *inner = 1;
  for (uint32_t i = 0; i < t->rank; i++) {
    if (i < axis) *outer *= (size_t)t->dims[i];
    if (i > axis) *inner *= (size_t)t->dims[i];
  }
}

/* Compute the dimensions of Gather: those of the data, with `axis` replaced by those of
 * the indices. */
static resnet_status gather_dims(const import_context *ctx, const constant *data,
                                 const constant *indices, uint32_t axis, int64_t dims[MAX_RANK],
                                 uint32_t *rank) {
  *rank = data->rank - 1 + indices->rank;
  if (*rank > MAX_RANK)
    return unsupported(ctx, "makes %u dimensions: up to %d are accepted", *rank, MAX_RANK);
  for (uint32_t i = 0; i < *rank; i++) {
    if (i < axis)
      dims[i] = data->dims[i];
    else
      dims[i] =
          i < axis + indices->rank ? indices->dims[i - axis] : data->dims[i - indices->rank + 1];
  }
  return RESNET_OK;
}

/* Check that the indices are known, and in range. */
static resnet_status check_indices(const import_context *ctx, const constant *indices,
                                   int64_t dim) {
  if (indices->is_float || constant_has_batch(indices))
    return unsupported(ctx, "its indices must be known integers");
  for (size_t k = 0; k < indices->count; k++)
    if (indices->ints[k] < -dim || indices->ints[k] >= dim)
      return invalid(ctx, "index %lld is out of range for %lld elements",
                     (long long)indices->ints[k], (long long)dim);
  return import_spend(ctx, indices->count, WORK_CHECK);
}

static resnet_status gather_elements(import_context *ctx, const constant *data,
                                     const constant *indices, uint32_t axis, constant *to) {
  size_t outer, inner;
  /* the other dimensions may have a huge product */
  if (to->count == 0) return RESNET_OK;
  split_at_axis(data, axis, &outer, &inner);
  const size_t dim = (size_t)data->dims[axis], runs = to->count / inner;
  resnet_status status = import_spend(ctx, runs, WORK_GATHER);
  if (status == RESNET_OK) status = import_spend(ctx, to->count, WORK_MOVE);
  for (size_t r = 0; r < runs && status == RESNET_OK; r++) {
    const int64_t index = indices->ints[r % indices->count];
    const size_t at = index < 0 ? (size_t)(index + (int64_t)dim) : (size_t)index;
    const size_t from = (r / indices->count * dim + at) * inner;
    if (!constant_copy(ctx, to, r * inner, data, from, inner))
      status = err_no_memory(ctx->error, "a constant");
  }
  return status;
}

resnet_status fold_gather(import_context *ctx) {
  const constant *data, *indices;
  int64_t given, dims[MAX_RANK];
  uint32_t axis, rank = 0;
  resnet_status status = get_folded_input(ctx, 0, &data);
  if (status == RESNET_OK) status = get_folded_input(ctx, 1, &indices);
  if (status == RESNET_OK) status = attr_get_int(ctx, "axis", 0, &given);
  if (status == RESNET_OK) status = shape_resolve_axis(ctx, given, data->rank, &axis);
  if (status != RESNET_OK) return status;
  status = check_indices(ctx, indices, data->dims[axis]);
  if (status == RESNET_OK) status = gather_dims(ctx, data, indices, axis, dims, &rank);
  if (status != RESNET_OK) return status;
  constant *t = constant_new(ctx, data->type, rank, dims, &status);
  if (t) status = gather_elements(ctx, data, indices, axis, t);
  return status == RESNET_OK ? value_set_constant(ctx, t) : status;
}

/* Make a constant of the shape of `walk`, whose elements are those of `from` that the
 * walk visits. */
static resnet_status set_walked(import_context *ctx, const constant *from, int64_t base,
                                const strided_walk *walk, uint32_t rank, const int64_t *dims,
                                bool for_batch) {
  resnet_status status;
  constant *to = constant_new(ctx, from->type, rank, dims, &status);
  if (!to) return status;
  to->for_batch = for_batch;
  status = strided_copy(ctx, to, from, base, walk);
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

resnet_status fold_slice(import_context *ctx) {
  const constant *t;
  slice_range ranges[MAX_RANK];
  resnet_status status = get_folded_input(ctx, 0, &t);
  if (status == RESNET_OK) status = shape_read_slices(ctx, t->rank, ranges);
  if (status != RESNET_OK) return status;
  strided_walk walk = {.rank = t->rank};
  int64_t strides[MAX_RANK], base = 0;
  strided_steps(t, strides);
  for (uint32_t i = 0; i < t->rank; i++) {
    walk.dims[i] = shape_resolve_slice(&ranges[i], t->dims[i]);
    /* no overflow: start and step are at most the dimension */
    walk.steps[i] = strides[i] * ranges[i].step;
    base += strides[i] * ranges[i].start;
  }
  return set_walked(ctx, t, base, &walk, walk.rank, walk.dims, false);
}

resnet_status fold_transpose(import_context *ctx) {
  value *v;
  const int64_t *perm;
  size_t count;
  resnet_status status = value_get(ctx, 0, &v);
  if (status == RESNET_OK) status = attr_get_ints(ctx, "perm", &perm, &count);
  if (status == RESNET_OK && !(perm && count && perm[0] == 0))
    status = value_check_no_batch(ctx, v);
  if (status != RESNET_OK) return status;
  const constant *t = v->constant;
  if (perm && count != t->rank)
    return invalid(ctx, "perm has %zu numbers for %u axes", count, t->rank);
  strided_walk walk = {.rank = t->rank};
  int64_t strides[MAX_RANK];
  uint32_t seen = 0;
  strided_steps(t, strides);
  for (uint32_t i = 0; i < t->rank; i++) {
    int64_t from = perm ? perm[i] : (int64_t)(t->rank - 1 - i);
    if (from < 0 || from >= t->rank || seen >> from & 1)
      return invalid(ctx, "perm is no permutation: export the model again");
    seen |= UINT32_C(1) << from;
    walk.dims[i] = t->dims[from];
    walk.steps[i] = strides[from];
  }
  return set_walked(ctx, t, 0, &walk, walk.rank, walk.dims, t->for_batch);
}

/* Check that input `index` can be joined to the first along `axis`, and add its size to
 * *total. */
static resnet_status measure_concat(import_context *ctx, size_t index, const constant *first,
                                    uint32_t axis, int64_t *total) {
  const constant *t;
  resnet_status status = get_folded_input(ctx, index, &t);
  if (status != RESNET_OK) return status;
  bool fits = t->rank == first->rank && t->type == first->type;
  for (uint32_t i = 0; fits && i < t->rank; i++) fits = i == axis || t->dims[i] == first->dims[i];
  if (!fits) return invalid(ctx, "its inputs differ in shape or type: export the model again");
  if (t->dims[axis] > INT64_MAX - *total)
    return invalid(ctx, "joins more elements than can be counted");
  *total += t->dims[axis];
  return RESNET_OK;
}

/* Copy input `index` to its place, from element `before` of `axis` on. */
static resnet_status join_input(import_context *ctx, size_t index, uint32_t axis, constant *to,
                                int64_t *before) {
  const constant *t;
  size_t outer, inner;
  resnet_status status = get_folded_input(ctx, index, &t);
  if (status != RESNET_OK || t->count == 0) return status;
  split_at_axis(t, axis, &outer, &inner);
  const size_t run = (size_t)t->dims[axis] * inner, row = (size_t)to->dims[axis] * inner;
  status = import_spend(ctx, outer, WORK_GATHER);
  if (status == RESNET_OK) status = import_spend(ctx, t->count, WORK_MOVE);
  for (size_t o = 0; o < outer && status == RESNET_OK; o++)
    if (!constant_copy(ctx, to, o * row + (size_t)*before * inner, t, o * run, run))
      status = err_no_memory(ctx->error, "a constant");
  *before += t->dims[axis];
  return status;
}

resnet_status fold_concat(import_context *ctx) {
  const constant *first;
  int64_t given, dims[MAX_RANK], before = 0;
  uint32_t axis;
  resnet_status status = get_folded_input(ctx, 0, &first);
  if (status == RESNET_OK) status = attr_get_int(ctx, "axis", 1, &given);
  if (status == RESNET_OK) status = shape_resolve_axis(ctx, given, first->rank, &axis);
  if (status != RESNET_OK) return status;
  memcpy(dims, first->dims, sizeof dims);
  dims[axis] = 0;
  for (size_t k = 0; k < ctx->node->n_input && status == RESNET_OK; k++)
    status = measure_concat(ctx, k, first, axis, &dims[axis]);
  constant *to =
      status == RESNET_OK ? constant_new(ctx, first->type, first->rank, dims, &status) : NULL;
  for (size_t k = 0; k < ctx->node->n_input && status == RESNET_OK; k++)
    status = join_input(ctx, k, axis, to, &before);
  return status == RESNET_OK ? value_set_constant(ctx, to) : status;
}

/* A list of dimensions for a new constant. The first may be the batch: it counts as 1. */
typedef struct sizes {
  int64_t dims[MAX_RANK];
  uint32_t rank;
  bool for_batch;
} sizes;

static resnet_status get_sizes(import_context *ctx, size_t index, sizes *s) {
  const constant *t;
  resnet_status status = value_get_constant(ctx, index, "sizes", &t);
  if (status != RESNET_OK) return status;
  if (!t || t->is_float || t->rank > 1 || t->count > MAX_RANK)
    return unsupported(ctx, "its sizes must be a list of up to %d integers", MAX_RANK);
  *s = (sizes){.rank = (uint32_t)t->count, .for_batch = t->count > 0 && constant_is_batch(t, 0)};
  for (uint32_t i = 0; i < s->rank; i++) {
    if (i > 0 && constant_is_batch(t, i))
      return unsupported(
          ctx, "its dimension %u is the batch: it is accepted as the first dimension only", i);
    s->dims[i] = i == 0 && s->for_batch ? 1 : t->ints[i];
    if (s->dims[i] < 0)
      return invalid(ctx, "makes a constant with dimension %lld", (long long)s->dims[i]);
  }
  return RESNET_OK;
}

resnet_status fold_constant_of_shape(import_context *ctx) {
  sizes s;
  constant *fill = NULL;
  resnet_status status = get_sizes(ctx, 0, &s);
  if (status == RESNET_OK) status = attr_get_constant(ctx, "value", &fill);
  if (status != RESNET_OK) return status;
  if (fill && fill->count != 1)
    return invalid(ctx, "its value has %zu numbers instead of one", fill->count);
  constant *t = constant_new(ctx, fill ? fill->type : ONNX_FLOAT, s.rank, s.dims, &status);
  if (!t) return status;
  t->for_batch = s.for_batch;
  if (fill) status = strided_fill(ctx, t, fill);
  return status == RESNET_OK ? value_set_constant(ctx, t) : status;
}

/* Fold Expand: each dimension becomes the larger of the two. */
resnet_status fold_expand(import_context *ctx) {
  const constant *t;
  sizes s;
  resnet_status status = get_folded_input(ctx, 0, &t);
  if (status == RESNET_OK) status = get_sizes(ctx, 1, &s);
  if (status != RESNET_OK) return status;
  const uint32_t rank = s.rank > t->rank ? s.rank : t->rank;
  if (s.for_batch && (rank > s.rank || (t->rank == rank && t->dims[0] != 1)))
    return unsupported(
        ctx, "turns a dimension into the batch that is not it: export with a fixed batch");
  strided_walk walk = {.rank = rank};
  int64_t strides[MAX_RANK];
  strided_steps(t, strides);
  for (uint32_t i = 0; i < rank; i++) {
    /* unsigned: wraps to a large number if there is no such axis */
    uint32_t own = i + t->rank - rank, other = i + s.rank - rank;
    int64_t a = own < t->rank ? t->dims[own] : 1, b = other < s.rank ? s.dims[other] : 1;
    if (a != b && a != 1 && b != 1)
      return invalid(ctx, "cannot expand %lld to %lld", (long long)a, (long long)b);
    walk.dims[i] = a == 1 ? b : a;
    walk.steps[i] = a == 1 ? 0 : strides[own];
  }
  return set_walked(ctx, t, 0, &walk, rank, walk.dims, s.for_batch);
}

/* Fold Tile: repeat each axis. The walk has two axes for each: the repetitions and the
 * elements. */
resnet_status fold_tile(import_context *ctx) {
  const constant *t, *repeats;
  resnet_status status = get_folded_input(ctx, 0, &t);
  if (status == RESNET_OK) status = value_get_integers(ctx, 1, "repeats", &repeats);
  if (status != RESNET_OK) return status;
  if (!repeats || repeats->count != t->rank)
    return invalid(ctx, "its repeats must be %u integers, one for each dimension", t->rank);
  strided_walk walk = {.rank = 2 * t->rank};
  int64_t strides[MAX_RANK], dims[MAX_RANK];
  strided_steps(t, strides);
  for (uint32_t i = 0; i < t->rank; i++) {
    const int64_t times = repeats->ints[i];
    if (times < 0 || (t->dims[i] > 0 && times > INT64_MAX / t->dims[i]))
      return invalid(ctx, "repeats axis %u %lld times: export the model again", i,
                     (long long)times);
    dims[i] = t->dims[i] * times;
    walk.dims[2 * i] = times;
    walk.steps[2 * i] = 0;
    walk.dims[2 * i + 1] = t->dims[i];
    walk.steps[2 * i + 1] = strides[i];
  }
  return set_walked(ctx, t, 0, &walk, t->rank, dims, false);
}
