#include "loader/import/op_view.h"

#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/element_types.h"
#include "loader/import/fold_arithmetic.h"
#include "loader/import/nodes.h"
#include "loader/import/op_channels.h"
#include "loader/import/padding.h"
#include "loader/import/shapes.h"
#include "loader/import/values.h"
#include "loader/onnx/onnx_types.h"

enum { ANY_BATCH = 1000000000 /* more than any batch; tf2onnx's "to the end" */ };

resnet_status op_identity(import_context *ctx) {
  value *x;
  resnet_status status = value_get(ctx, 0, &x);
  return status == RESNET_OK ? value_set_same(ctx, x) : status;
}

resnet_status op_dropout(import_context *ctx) {
  const constant *training;
  /* is_test does not matter: models are never trained here */
  if (ctx->opset < 7) return op_identity(ctx);
  resnet_status status = value_get_constant(ctx, 2, "training_mode", &training);
  if (status != RESNET_OK) return status;
  if (training && !training->is_float && training->count == 1 && training->ints[0])
    return unsupported(ctx, "training_mode is true: false is accepted; export in eval mode");
  return op_identity(ctx);
}

/* Import Cast. It does nothing between float types: half-precision models are widened. */
resnet_status op_cast(import_context *ctx) {
  int64_t to;
  resnet_status status = attr_get_type(ctx, &to);
  if (status != RESNET_OK) return status;
  if (!element_is_float(to))
    return unsupported(ctx,
                       "casts an activation to type %lld: float (1), float16 (10), double (11) and "
                       "bfloat16 (16) are accepted",
                       (long long)to);
  return op_identity(ctx);
}

/* Import CastLike. An activation is always of floats. */
resnet_status op_cast_like(import_context *ctx) {
  value *x, *like;
  resnet_status status = value_get(ctx, 0, &x);
  if (status == RESNET_OK) status = value_get(ctx, 1, &like);
  if (status != RESNET_OK) return status;
  if (x->kind == VALUE_CONSTANT) return fold_cast_like(ctx);
  if (like->kind == VALUE_CONSTANT && !like->constant->is_float)
    return unsupported(ctx, "casts an activation to integers: floats are accepted");
  return op_identity(ctx);
}

resnet_status op_flatten(import_context *ctx) {
  value *x;
  int64_t given;
  uint32_t axis;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = attr_get_int(ctx, "axis", 1, &given);
  if (status == RESNET_OK) status = shape_resolve_axis(ctx, given, x->rank, &axis);
  if (status != RESNET_OK) return status;
  if (axis != 1)
    return unsupported(ctx, "axis is %lld: 1 is accepted, which keeps the batch", (long long)given);
  graph_shape s = value_shape(ctx, x);
  int64_t dims[2] = {0, (int64_t)s.h * s.w * s.c};
  return value_set_view(ctx, x, 2, dims);
}

/* ---- Reshape, Squeeze, Unsqueeze: of activations and of constants ------------------ */

typedef struct shaped {
  value *v;
  bool has_batch; /* an activation, whose first dimension is the batch */
  uint32_t rank;
  const int64_t *dims;
} shaped;

static resnet_status get_shaped(import_context *ctx, shaped *x) {
  resnet_status status = value_get(ctx, 0, &x->v);
  if (status == RESNET_OK) status = value_check_no_batch(ctx, x->v);
  if (status != RESNET_OK) return status;
  x->has_batch = x->v->kind == VALUE_ACTIVATION;
  x->rank = x->has_batch ? x->v->rank : x->v->constant->rank;
  x->dims = x->has_batch ? x->v->dims : x->v->constant->dims;
  return x->has_batch ? value_get_activation(ctx, 0, &x->v) : RESNET_OK;
}

static resnet_status set_shaped(import_context *ctx, const shaped *x, uint32_t rank,
                                const int64_t *dims) {
  resnet_status status;
  if (x->has_batch) return value_set_view(ctx, x->v, rank, dims);
  constant *alias = constant_alias(ctx, x->v->constant, rank, dims, &status);
  return alias ? value_set_constant(ctx, alias) : status;
}

/* Return whether the node may drop the file's batch: it is 1, and the result is the
 * scores, which no node reads. The batch then stays in its view. */
static bool may_drop_batch(const import_context *ctx) {
  const value *v = value_result(ctx);
  return ctx->batch == 1 && v && v == ctx->scores && v->readers == 0;
}

/* Return whether a Reshape lists all numbers of the file's only sample. */
static bool lists_sample(const import_context *ctx, const value *x, const constant *target) {
  const graph_shape s = value_shape(ctx, x);
  const int64_t count = (int64_t)s.h * s.w * s.c;
  return may_drop_batch(ctx) && !target->is_float && target->rank == 1 && target->count == 1 &&
         !constant_is_batch(target, 0) && (target->ints[0] == -1 || target->ints[0] == count);
}

/* Read the shape: an attribute before opset 5, input 1 since then. */
static resnet_status read_target(import_context *ctx, const constant **target) {
  if (ctx->opset >= 5) return value_get_constant(ctx, 1, "shape", target);
  const int64_t *list;
  size_t count;
  resnet_status status = attr_get_ints(ctx, "shape", &list, &count);
  *target = NULL;
  if (status != RESNET_OK || !list) return status;
  const int64_t dim = (int64_t)count;
  constant *t = constant_new(ctx, ONNX_INT64, 1, &dim, &status);
  if (t) memcpy(t->ints, list, count * sizeof *list);
  *target = t;
  return status;
}

resnet_status op_reshape(import_context *ctx) {
  shaped x;
  const constant *target;
  int64_t allow_zero, dims[MAX_RANK] = {0};
  resnet_status status = get_shaped(ctx, &x);
  if (status == RESNET_OK) status = read_target(ctx, &target);
  if (status == RESNET_OK) status = attr_get_int(ctx, "allowzero", 0, &allow_zero);
  if (status != RESNET_OK) return status;
  if (!target) return invalid(ctx, "its shape is missing: export the model again");
  if (x.has_batch && lists_sample(ctx, x.v, target)) {
    const graph_shape s = value_shape(ctx, x.v);
    return value_set_view(ctx, x.v, 2, (int64_t[2]){0, (int64_t)s.h * s.w * s.c});
  }
  status = x.has_batch ? shape_reshape_view(ctx, x.v, target, !allow_zero, dims)
                       : shape_reshape_constant(ctx, x.v->constant, target, !allow_zero, dims);
  return status == RESNET_OK ? set_shaped(ctx, &x, (uint32_t)target->count, dims) : status;
}

/* Import Squeeze. Without axes, ONNX removes each dimension of 1. A batch that the file
 * leaves open stays: with one image, ONNX gives the same numbers without the batch. */
resnet_status op_squeeze(import_context *ctx) {
  shaped x;
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0, rank = 0;
  int64_t dims[MAX_RANK];
  resnet_status status = get_shaped(ctx, &x);
  if (status == RESNET_OK) status = shape_read_axes(ctx, 13, &axes, &count);
  if (status == RESNET_OK) status = shape_mask_axes(ctx, axes, count, x.rank, &mask);
  if (status != RESNET_OK) return status;
  if (x.has_batch && mask & 1 && !may_drop_batch(ctx))
    return unsupported(ctx, "removes the batch: axes from 1 on are accepted, and axis 0 where the "
                            "file's batch is 1 and the result is the scores");
  if (x.has_batch && count == 0 && ctx->batch == 1 && !may_drop_batch(ctx))
    return unsupported(ctx,
                       "names no axes, so that it removes the file's batch of 1, too: name the "
                       "axes of height and width, or export with a dynamic batch");
  for (uint32_t i = 0; i < x.rank; i++) {
    bool is_batch = x.has_batch && i == 0,
         remove = !is_batch && (count ? mask >> i & 1 : x.dims[i] == 1);
    if (remove && x.dims[i] != 1)
      return invalid(ctx, "removes axis %u, which has %lld elements: export the model again", i,
                     (long long)x.dims[i]);
    if (!remove) dims[rank++] = x.dims[i];
  }
  return set_shaped(ctx, &x, rank, dims);
}

resnet_status op_unsqueeze(import_context *ctx) {
  shaped x;
  const int64_t *axes;
  size_t count;
  uint32_t mask = 0;
  int64_t dims[MAX_RANK];
  resnet_status status = get_shaped(ctx, &x);
  if (status == RESNET_OK) status = shape_read_axes(ctx, 13, &axes, &count);
  if (status != RESNET_OK) return status;
  if (count == 0 || count > MAX_RANK - x.rank)
    return unsupported(ctx, "adds %zu axes to %u: up to %d together are accepted", count, x.rank,
                       MAX_RANK);
  uint32_t rank = x.rank + (uint32_t)count;
  status = shape_mask_axes(ctx, axes, count, rank, &mask);
  if (status != RESNET_OK) return status;
  if (x.has_batch && mask & 1)
    return unsupported(ctx, "puts an axis before the batch: axes from 1 on are accepted");
  for (uint32_t i = 0, from = 0; i < rank; i++) dims[i] = mask >> i & 1 ? 1 : x.dims[from++];
  return set_shaped(ctx, &x, rank, dims);
}

/* ---- Transpose, Slice -------------------------------------------------------------- */

static resnet_status read_permutation(import_context *ctx, uint32_t rank, uint32_t perm[MAX_RANK]) {
  const int64_t *given;
  size_t count;
  resnet_status status = attr_get_ints(ctx, "perm", &given, &count);
  if (status != RESNET_OK) return status;
  if (given && count != rank) return invalid(ctx, "perm has %zu numbers for %u axes", count, rank);
  uint32_t seen = 0;
  for (uint32_t i = 0; i < rank; i++) {
    int64_t axis = given ? given[i] : (int64_t)(rank - 1 - i);
    if (axis < 0 || axis >= rank || seen >> axis & 1)
      return invalid(ctx, "perm is no permutation: export the model again");
    seen |= UINT32_C(1) << axis;
    perm[i] = (uint32_t)axis;
  }
  return RESNET_OK;
}

/* Return whether all axes of more than one element, except `aside`, keep their order,
 * with the batch in front. */
static bool keeps_order(const value *x, const uint32_t *perm, uint32_t aside) {
  uint32_t last = 0;
  for (uint32_t i = 1; i < x->rank; i++) {
    if (perm[i] == aside || x->dims[perm[i]] == 1) continue;
    if (perm[i] < last) return false;
    last = perm[i];
  }
  return perm[0] == 0;
}

/* Return whether the transpose only switches between (n,c,h,w) and (n,h,w,c), so that
 * padding can stay deferred. False for a single element, whose dimensions do not identify
 * the sides. */
static bool transposes_padding(const import_context *ctx, const value *x, const uint32_t *perm,
                               bool *channels_last) {
  static const uint32_t to_back[4] = {0, 2, 3, 1}, to_front[4] = {0, 3, 1, 2};
  graph_shape s = value_shape(ctx, x);
  *channels_last = value_channel_axis(ctx, x) == 1;
  return memcmp(perm, *channels_last ? to_back : to_front, sizeof to_back) == 0 &&
         !(s.h == 1 && s.w == 1 && s.c == 1);
}

static resnet_status transpose_padded(import_context *ctx, const value *x, const uint32_t *perm,
                                      bool channels_last) {
  resnet_status status = value_set_same(ctx, x);
  value *y = value_result(ctx);
  if (!y) return status;
  y->channels_last = channels_last;
  for (uint32_t i = 1; i < 4; i++) y->dims[i] = x->dims[perm[i]];
  return status;
}

/* Transpose a vector (n,features) to (features,n), as in weights times x, or back. */
static resnet_status transpose_vector(import_context *ctx, const value *x) {
  value view = *x;
  const int64_t features = x->dims[x->batch_last ? 0 : 1];
  view.batch_last = !x->batch_last;
  return value_set_view(ctx, &view, 2,
                        (int64_t[2]){x->batch_last ? 0 : features, x->batch_last ? features : 0});
}

static resnet_status refuse_order(const import_context *ctx, const value *x, const uint32_t *perm) {
  if (perm[0] != 0)
    return unsupported(ctx,
                       "moves the batch of '%.50s' from the front: that is accepted for vectors "
                       "(n,features), around a product with weights, and for images, to "
                       "(c,n,h,w) and back; remove the Transpose",
                       x->name);
  return unsupported(
      ctx,
      "changes the order of the axes of '%.50s', between which only the channels may "
      "move: (n,c,h,w) to (n,h,w,c) and back is accepted; remove the Transpose",
      x->name);
}

/* Set the view of x with permuted axes, without moving data: if only axes of one element
 * change places, or if the channels move behind height and width, or back. The value
 * records the order of its view. */
static resnet_status transpose_view(import_context *ctx, const value *x, const uint32_t *perm) {
  uint32_t channels = 0;
  int64_t dims[MAX_RANK];
  for (uint32_t i = 0; i < x->rank; i++) dims[i] = x->dims[perm[i]];
  value view = *x;
  if (value_find_channels(ctx, x, &channels) && keeps_order(x, perm, channels)) {
    bool to_front = perm[1] == channels, to_back = perm[x->rank - 1] == channels;
    if (to_front || to_back) {
      view.channels_last = to_back && !(to_front && !x->channels_last);
      return value_set_view(ctx, &view, x->rank, dims);
    }
  }
  if (keeps_order(x, perm, MAX_RANK)) return value_set_view(ctx, x, x->rank, dims);
  return refuse_order(ctx, x, perm);
}

/* Transpose an image to or from (c,n,h,w). The view keeps the dimensions of (n,c,h,w), so
 * that the first two numbers of `perm`, or what they stand for, change places. */
static resnet_status transpose_exchanged(import_context *ctx, value *x, uint32_t *perm,
                                         bool exchanges) {
  resnet_status status = RESNET_OK;
  if (padding_is_deferred(x)) status = padding_materialize(ctx, x);
  if (status != RESNET_OK) return status;
  if (exchanges) {
    perm[1] = perm[0];
    perm[0] = 0;
  }
  status = transpose_view(ctx, x, perm);
  value *y = value_result(ctx);
  if (status != RESNET_OK || !y || !exchanges) return status;
  y->exchanged = true;
  if (value_channel_axis(ctx, y) == 1) return RESNET_OK;
  perm[0] = perm[1]; /* the file's, for the message */
  return refuse_order(ctx, x, perm);
}

resnet_status op_transpose(import_context *ctx) {
  value *x;
  uint32_t perm[MAX_RANK];
  bool channels_last;
  resnet_status status = value_get(ctx, 0, &x);
  if (status == RESNET_OK) status = read_permutation(ctx, x->rank, perm);
  if (status == RESNET_OK && x->rank == 2 && perm[0] == 1 && !x->expanded)
    return transpose_vector(ctx, x);
  for (uint32_t i = 0; status == RESNET_OK && x->exchanged && i < 4; i++)
    if (perm[i] < 2) perm[i] = 1 - perm[i];
  const bool exchanges = status == RESNET_OK && x->rank == 4 && perm[1] == 0;
  if (status == RESNET_OK && (x->exchanged || (exchanges && !x->expanded)))
    return transpose_exchanged(ctx, x, perm, exchanges);
  if (status == RESNET_OK) status = value_get_deferred(ctx, 0, &x);
  if (status == RESNET_OK && padding_is_deferred(x) &&
      transposes_padding(ctx, x, perm, &channels_last))
    return transpose_padded(ctx, x, perm, channels_last);
  if (status == RESNET_OK) status = value_get_activation(ctx, 0, &x);
  return status == RESNET_OK ? transpose_view(ctx, x, perm) : status;
}

/* Return whether the range keeps the whole axis. */
static bool keeps_all(const slice_range *r, int64_t dim) {
  return r->start == 0 && r->step == 1 && r->end >= dim;
}

/* Import the sub-sampling of option-A shortcuts: every stride-th row and column, from the
 * first. */
resnet_status op_slice(import_context *ctx) {
  value *x;
  slice_range ranges[MAX_RANK];
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK && x->rank == 2)
    return unsupported(ctx,
                       "takes some of the numbers in '%.60s': all of them are accepted; name that "
                       "tensor as the one with the scores (options.output)",
                       x->name);
  if (status == RESNET_OK) status = value_get_image(ctx, 0, false, &x);
  if (status == RESNET_OK) status = shape_read_slices(ctx, 4, ranges);
  if (status != RESNET_OK) return status;
  graph_shape s = value_shape(ctx, x);
  const uint32_t channels = value_channel_axis(ctx, x), first_side = channels == 1 ? 2 : 1;
  const bool whole = keeps_all(&ranges[first_side], value_shape(ctx, x).h) &&
                     keeps_all(&ranges[first_side + 1], value_shape(ctx, x).w);
  if (keeps_all(&ranges[0], ANY_BATCH) && whole && !keeps_all(&ranges[channels], s.c) &&
      op_can_select(ctx, x, channels))
    return op_slice_channels(ctx, x, ranges[channels]);
  if (!keeps_all(&ranges[0], ANY_BATCH) || !keeps_all(&ranges[channels], s.c))
    return unsupported(ctx,
                       "cuts or reverses the batch or the channels ('%.40s'): slices of height and "
                       "width are accepted; reorder or select channels outside of the model",
                       x->name);
  uint32_t *sides[2] = {&s.h, &s.w}, strides[2];
  for (size_t i = 0; i < 2; i++) {
    slice_range *r = &ranges[first_side + i], taken = *r;
    if (r->step > 0 && shape_resolve_slice(&taken, *sides[i]) == 0)
      return invalid(ctx, "takes no element of axis %zu, which has %u: export the model again",
                     first_side + i, *sides[i]);
    if (r->start != 0 || r->end < *sides[i] || r->step < 1 || r->step > GRAPH_MAX_WINDOW)
      return unsupported(ctx,
                         "takes %lld to %lld in steps of %lld of %u: from 0 to the end, in steps "
                         "up to %d, is accepted; crop before the model",
                         (long long)r->start, (long long)r->end, (long long)r->step, *sides[i],
                         GRAPH_MAX_WINDOW);
    strides[i] = (uint32_t)r->step;
    *sides[i] = (*sides[i] - 1) / strides[i] + 1;
  }
  if (strides[0] == 1 && strides[1] == 1) return value_set_same(ctx, x);
  graph_node *n = node_add_image(ctx, GRAPH_SUBSAMPLE, x, s, &status);
  if (!n) return status;
  n->stride_h = strides[0];
  n->stride_w = strides[1];
  return RESNET_OK;
}

/* Import Gather of the file's only sample. */
static resnet_status gather_batch(import_context *ctx, const value *x, const constant *index) {
  if (may_drop_batch(ctx) && index && index->count == 1 && index->ints[0] >= -1 &&
      index->ints[0] <= 0)
    return value_set_view(ctx, x, x->rank, x->dims);
  return unsupported(ctx,
                     "takes samples along axis 0 ('%.50s'), the batch: one element from axis 1 on "
                     "is accepted, and of a file's batch of 1 where the result is the scores",
                     x->name);
}

/* Import Gather of a size-1 axis, e.g. x[:, :, 0, 0] after global pooling: a pure view. A
 * scalar index also drops the axis. */
resnet_status op_gather(import_context *ctx) {
  value *x;
  const constant *index;
  int64_t given, dims[MAX_RANK];
  uint32_t axis, rank = 0;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = value_get_integers(ctx, 1, "indices", &index);
  if (status == RESNET_OK) status = attr_get_int(ctx, "axis", 0, &given);
  if (status == RESNET_OK) status = shape_resolve_axis(ctx, given, x->rank, &axis);
  if (status != RESNET_OK) return status;
  if (index && axis > 0 && (x->dims[axis] > 1 || index->count > 1) && op_can_select(ctx, x, axis))
    return op_gather_channels(ctx, x, index);
  if (axis == 0) return gather_batch(ctx, x, index);
  if (!index || x->dims[axis] != 1 || index->count != 1 || index->ints[0] < -1 ||
      index->ints[0] > 0)
    return unsupported(
        ctx,
        "takes %zu of the %lld elements of axis %u ('%.40s'): the one element of a size-1 axis, "
        "from axis 1 on, is accepted; select or reorder channels outside of the model",
        index ? index->count : 0, (long long)x->dims[axis], axis, x->name);
  for (uint32_t i = 0; i < x->rank; i++)
    if (i != axis || index->rank == 1) dims[rank++] = x->dims[i];
  return value_set_view(ctx, x, rank, dims);
}
