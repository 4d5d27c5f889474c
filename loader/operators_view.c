/* Operators that move no data, and those that only select or surround it: views, Slice, Pad. */
#include <string.h>

#include "lower.h"

enum { TYPE_FLOAT = 1, TYPE_FLOAT16 = 10, TYPE_DOUBLE = 11 };

resnet_status lower_identity(lowering *l) {
  value *x;
  resnet_status status = get_value(l, 0, &x);
  return status == RESNET_OK ? set_same(l, x) : status;
}

resnet_status lower_dropout(lowering *l) {
  const tensor *training;
  resnet_status status = get_constant(l, 2, "training_mode", &training);
  if (status != RESNET_OK) return status;
  if (training && !training->is_float && training->count == 1 && training->ints[0])
    return unsupported(l, "training_mode is true: false is accepted; export in eval mode");
  return lower_identity(l);
}

/* Half-precision nets are widened: their casts between float types do nothing. */
resnet_status lower_cast(lowering *l) {
  int64_t to;
  resnet_status status = get_int(l, "to", 0, &to);
  if (status != RESNET_OK) return status;
  if (to != TYPE_FLOAT && to != TYPE_FLOAT16 && to != TYPE_DOUBLE)
    return unsupported(l, "casts an activation to type %lld: float (1), float16 (10), double (11) are accepted",
                       (long long)to);
  return lower_identity(l);
}

resnet_status lower_flatten(lowering *l) {
  value *x;
  int64_t given;
  uint32_t axis;
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) status = get_int(l, "axis", 1, &given);
  if (status == RESNET_OK) status = resolve_axis(l, given, x->rank, &axis);
  if (status != RESNET_OK) return status;
  if (axis != 1) return unsupported(l, "axis is %lld: 1 is accepted, which keeps the batch", (long long)given);
  graph_shape s = value_shape(l, x);
  int64_t dims[2] = {0, (int64_t)s.h * s.w * s.c};
  return set_view(l, x, 2, dims);
}

/* ---- Reshape, Squeeze, Unsqueeze: of activations and of constants alike ---------------------------------------- */

typedef struct shaped {
  value *v;
  bool has_batch; /* an activation: its first dimension is the batch */
  uint32_t rank;
  const int64_t *dims;
} shaped;

static resnet_status get_shaped(lowering *l, shaped *x) {
  resnet_status status = get_value(l, 0, &x->v);
  if (status != RESNET_OK) return status;
  x->has_batch = x->v->kind == VALUE_ACTIVATION;
  x->rank = x->has_batch ? x->v->rank : x->v->tensor->rank;
  x->dims = x->has_batch ? x->v->dims : x->v->tensor->dims;
  return x->has_batch ? get_activation(l, 0, &x->v) : RESNET_OK;
}

static resnet_status set_shaped(lowering *l, const shaped *x, uint32_t rank, const int64_t *dims) {
  resnet_status status;
  if (x->has_batch) return set_view(l, x->v, rank, dims);
  tensor *alias = tensor_alias(l, x->v->tensor, rank, dims, &status);
  return alias ? set_tensor(l, alias) : status;
}

resnet_status lower_reshape(lowering *l) {
  shaped x;
  const tensor *target;
  int64_t allow_zero, dims[MAX_RANK] = {0};
  resnet_status status = get_shaped(l, &x);
  if (status == RESNET_OK) status = get_constant(l, 1, "shape", &target);
  if (status == RESNET_OK) status = get_int(l, "allowzero", 0, &allow_zero);
  if (status != RESNET_OK) return status;
  if (!target) return invalid(l, "its shape is missing: export the model again");
  status = x.has_batch ? reshape_view(l, x.v, target, !allow_zero, dims)
                       : reshape_tensor(l, x.v->tensor, target, !allow_zero, dims);
  return status == RESNET_OK ? set_shaped(l, &x, (uint32_t)target->count, dims) : status;
}

resnet_status lower_squeeze(lowering *l) {
  shaped x;
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0, rank = 0;
  int64_t dims[MAX_RANK];
  resnet_status status = get_shaped(l, &x);
  if (status == RESNET_OK) status = read_axes(l, 13, &axes, &count);
  if (status == RESNET_OK) status = mask_axes(l, axes, count, x.rank, &mask);
  if (status != RESNET_OK) return status;
  if (x.has_batch && mask & 1) return unsupported(l, "removes the batch: axes from 1 on are accepted");
  for (uint32_t i = 0; i < x.rank; i++) {
    bool is_batch = x.has_batch && i == 0, remove = count ? mask >> i & 1 : !is_batch && x.dims[i] == 1;
    if (remove && x.dims[i] != 1)
      return invalid(l, "removes axis %u, which has %lld elements: export the model again", i, (long long)x.dims[i]);
    if (!remove) dims[rank++] = x.dims[i];
  }
  return set_shaped(l, &x, rank, dims);
}

resnet_status lower_unsqueeze(lowering *l) {
  shaped x;
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0;
  int64_t dims[MAX_RANK];
  resnet_status status = get_shaped(l, &x);
  if (status == RESNET_OK) status = read_axes(l, 13, &axes, &count);
  if (status != RESNET_OK) return status;
  if (count == 0 || count > MAX_RANK - x.rank)
    return unsupported(l, "adds %zu axes to %u: up to %d together are accepted", count, x.rank, MAX_RANK);
  uint32_t rank = x.rank + (uint32_t)count;
  status = mask_axes(l, axes, count, rank, &mask);
  if (status != RESNET_OK) return status;
  if (x.has_batch && mask & 1) return unsupported(l, "puts an axis before the batch: axes from 1 on are accepted");
  for (uint32_t i = 0, from = 0; i < rank; i++) dims[i] = mask >> i & 1 ? 1 : x.dims[from++];
  return set_shaped(l, &x, rank, dims);
}

/* ---- Transpose, Slice ------------------------------------------------------------------------------------------ */

/* Accepted where only axes of one element change places: then no data move. */
resnet_status lower_transpose(lowering *l) {
  value *x;
  const int64_t *perm;
  size_t count;
  int64_t dims[MAX_RANK], last = -1;
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) status = get_ints(l, "perm", &perm, &count);
  if (status != RESNET_OK) return status;
  if (count != x->rank) return unsupported(l, "perm has %zu numbers for %u axes", count, x->rank);
  uint32_t seen = 0;
  bool in_order = perm[0] == 0;
  for (uint32_t i = 0; i < x->rank; i++) {
    if (perm[i] < 0 || perm[i] >= x->rank || seen >> perm[i] & 1)
      return invalid(l, "perm is no permutation: export the model again");
    seen |= UINT32_C(1) << perm[i];
    dims[i] = x->dims[perm[i]];
    if (perm[i] != 0 && dims[i] == 1) continue;
    in_order = in_order && perm[i] > last;
    last = perm[i];
  }
  if (!in_order)
    return unsupported(l, "changes the order of a picture's axes: only (n,c,h,w) nets are accepted; export with "
                          "tf2onnx --inputs-as-nchw");
  return set_view(l, x, x->rank, dims);
}

/* Every element of the axis is kept, whatever its size. */
static bool keeps_all(const slice_range *r, int64_t dim) { return r->start == 0 && r->step == 1 && r->end >= dim; }

/* Option A's sub-sampling: every stride-th row and column, from the first. */
resnet_status lower_slice(lowering *l) {
  value *x;
  slice_range ranges[MAX_RANK];
  resnet_status status = get_image(l, 0, false, &x);
  if (status == RESNET_OK) status = read_slices(l, 4, ranges);
  if (status != RESNET_OK) return status;
  graph_shape s = value_shape(l, x);
  if (!keeps_all(&ranges[0], INT32_MAX) || !keeps_all(&ranges[1], s.c))
    return unsupported(l, "cuts the batch or the channels: height and width are accepted");
  uint32_t *sides[2] = {&s.h, &s.w}, strides[2];
  for (size_t i = 0; i < 2; i++) {
    slice_range *r = &ranges[2 + i], taken = *r;
    if (r->step > 0 && resolve_slice(&taken, *sides[i]) == 0)
      return invalid(l, "takes nothing of axis %zu, which has %u: export the model again", 2 + i, *sides[i]);
    if (r->start != 0 || r->end < *sides[i] || r->step < 1 || r->step > MAX_WINDOW)
      return unsupported(l,
                         "takes %lld to %lld in steps of %lld of %u: from 0 to the end, in steps up to %d, is accepted",
                         (long long)r->start, (long long)r->end, (long long)r->step, *sides[i], MAX_WINDOW);
    strides[i] = (uint32_t)r->step;
    *sides[i] = (*sides[i] - 1) / strides[i] + 1;
  }
  if (strides[0] == 1 && strides[1] == 1) return set_same(l, x);
  graph_node *n = add_node(l, GRAPH_SUBSAMPLE, x->node, s, &status);
  if (!n) return status;
  n->stride_h = strides[0];
  n->stride_w = strides[1];
  return RESNET_OK;
}

/* ---- Pad ----------------------------------------------------------------------------------------------------- */

static resnet_status read_pad_value(lowering *l, float *number) {
  const tensor *t;
  *number = 0;
  if (l->opset < 11) return get_float(l, "value", 0, number);
  resnet_status status = get_constant(l, 2, "constant_value", &t);
  if (status != RESNET_OK || !t) return status;
  if (t->count != 1) return invalid(l, "its constant_value has %zu numbers instead of one", t->count);
  *number = t->is_float ? t->floats[0] : (float)t->ints[0];
  return RESNET_OK;
}

/* pads[0..3] before and pads[4..7] after n, c, h, w. */
static resnet_status read_pad_list(lowering *l, int64_t pads[8]) {
  const int64_t *list = NULL;
  size_t count = 0;
  const tensor *t = NULL, *axes = NULL;
  resnet_status status;
  if (l->opset < 11) {
    status = get_ints(l, "pads", &list, &count);
  } else {
    status = get_integers(l, 1, "pads", &t);
    if (status == RESNET_OK) status = get_integers(l, 3, "axes", &axes);
    if (t) {
      list = t->ints;
      count = t->count;
    }
  }
  if (status != RESNET_OK) return status;
  size_t named = axes ? axes->count : 4;
  if (named > 4 || count != 2 * named)
    return invalid(l, "has %zu pads for %zu axes: export the model again", count, named);
  memset(pads, 0, 8 * sizeof *pads);
  for (size_t i = 0; i < named; i++) {
    uint32_t axis;
    status = resolve_axis(l, axes ? axes->ints[i] : (int64_t)i, 4, &axis);
    if (status != RESNET_OK) return status;
    pads[axis] = list[i];
    pads[4 + axis] = list[named + i];
  }
  return RESNET_OK;
}

static resnet_status check_pads(lowering *l, const int64_t pads[8]) {
  static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};
  size_t mode;
  float number;
  resnet_status status = get_word(l, "mode", modes, 0, &mode);
  if (status == RESNET_OK) status = read_pad_value(l, &number);
  if (status != RESNET_OK) return status;
  if (mode != 0) return unsupported(l, "pads in mode '%s': constant is accepted", modes[mode]);
  if (number < 0 || number > 0 || number != number)
    return unsupported(l, "pads with %g: 0 is accepted", (double)number);
  for (size_t i = 0; i < 8; i++)
    if (pads[i] < 0 || pads[i] > MAX_SIDE)
      return unsupported(l, "pads by %lld: accepted are 0 to %d", (long long)pads[i], MAX_SIDE);
  if (pads[0] || pads[4]) return unsupported(l, "pads the batch: channels, height and width are accepted");
  return RESNET_OK;
}

/* Option A's new channels: zeros before and after the old. */
static resnet_status pad_channels(lowering *l, const value *x, uint32_t before, uint32_t after) {
  resnet_status status;
  graph_shape s = value_shape(l, x);
  s.c += before + after;
  graph_node *n = add_node(l, GRAPH_SUBSAMPLE, x->node, s, &status);
  if (!n) return status;
  n->stride_h = n->stride_w = 1;
  n->channels_before = before;
  return RESNET_OK;
}

/* Zeros around height and width are not put there: they wait in the value until a Conv takes them over as its own. */
resnet_status lower_pad(lowering *l) {
  value *x;
  int64_t pads[8];
  resnet_status status = get_image(l, 0, true, &x);
  if (status == RESNET_OK) status = read_pad_list(l, pads);
  if (status == RESNET_OK) status = check_pads(l, pads);
  if (status != RESNET_OK) return status;
  if (pads[1] || pads[5])
    status = pad_channels(l, x, (uint32_t)pads[1], (uint32_t)pads[5]);
  else
    status = set_same(l, x);
  value *y = get_result(l);
  if (status != RESNET_OK || !y) return status;
  y->pad_top = x->pad_top + (uint32_t)pads[2];
  y->pad_left = x->pad_left + (uint32_t)pads[3];
  y->pad_bottom = x->pad_bottom + (uint32_t)pads[6];
  y->pad_right = x->pad_right + (uint32_t)pads[7];
  y->pad_name = node_name(l->node);
  return RESNET_OK;
}
