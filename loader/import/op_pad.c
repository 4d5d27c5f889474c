/* Padding with zeros or the lowest number is deferred (padding.h); other padding becomes
 * a node. */
#include "loader/import/op_pad.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/nodes.h"
#include "loader/import/op_channels.h"
#include "loader/import/padding.h"
#include "loader/import/shapes.h"
#include "loader/import/values.h"

typedef struct pad_request {
  /* [0..3] before, [4..7] after each axis, in the order of the view */
  int64_t pads[8];
  graph_pad_mode mode;
  float number;
} pad_request;

static resnet_status read_pad_value(import_context *ctx, float *number) {
  const constant *t;
  *number = 0;
  if (ctx->opset < 11) return attr_get_float(ctx, "value", 0, number);
  resnet_status status = value_get_constant(ctx, 2, "constant_value", &t);
  if (status != RESNET_OK || !t) return status;
  if (t->count != 1)
    return invalid(ctx, "its constant_value has %zu numbers instead of one", t->count);
  *number = t->is_float ? t->floats[0] : (float)t->ints[0];
  return RESNET_OK;
}

static resnet_status read_list(import_context *ctx, pad_request *p) {
  const int64_t *list = NULL;
  size_t count = 0;
  const constant *t = NULL, *axes = NULL;
  resnet_status status;
  if (ctx->opset < 11) {
    status = attr_get_ints(ctx, ctx->opset < 2 ? "paddings" : "pads", &list, &count);
  } else {
    status = value_get_integers(ctx, 1, "pads", &t);
    if (status == RESNET_OK) status = value_get_integers(ctx, 3, "axes", &axes);
    if (t) {
      list = t->ints;
      count = t->count;
    }
  }
  if (status != RESNET_OK) return status;
  size_t named = axes ? axes->count : 4;
  if (named > 4 || count != 2 * named)
    return invalid(ctx, "has %zu pads for %zu axes: export the model again", count, named);
  uint32_t seen = 0;
  /* refuse duplicates */
  status = shape_mask_axes(ctx, axes ? axes->ints : NULL, axes ? named : 0, 4, &seen);
  for (size_t i = 0; i < named && status == RESNET_OK; i++) {
    uint32_t axis = 0;
    status = shape_resolve_axis(ctx, axes ? axes->ints[i] : (int64_t)i, 4, &axis);
    p->pads[axis] = list[i];
    p->pads[4 + axis] = list[named + i];
  }
  return status;
}

static resnet_status read_mode(import_context *ctx, pad_request *p) {
  static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};
  static const graph_pad_mode known[] = {GRAPH_PAD_CONSTANT, GRAPH_PAD_REFLECT, GRAPH_PAD_EDGE};
  size_t mode;
  resnet_status status = attr_get_word(ctx, "mode", modes, 0, &mode);
  if (status != RESNET_OK) return status;
  if (mode >= sizeof known / sizeof *known)
    return unsupported(ctx, "pads in mode '%s': constant, reflect and edge are accepted",
                       modes[mode]);
  p->mode = known[mode];
  return read_pad_value(ctx, &p->number);
}

static resnet_status check_pads(const import_context *ctx, const pad_request *p) {
  for (size_t i = 0; i < 8; i++)
    if (p->pads[i] < 0 || p->pads[i] > GRAPH_MAX_SIDE)
      return unsupported(ctx, "pads by %lld: 0 to %d is accepted", (long long)p->pads[i],
                         GRAPH_MAX_SIDE);
  if (p->pads[0] || p->pads[4])
    return unsupported(ctx, "pads the batch: channels, height and width are accepted");
  if (p->number != p->number || p->number >= FLT_MAX)
    return unsupported(ctx, "pads with %g: finite numbers and the lowest one are accepted",
                       (double)p->number);
  return RESNET_OK;
}

static bool is_zeros(const pad_request *p) {
  return p->mode == GRAPH_PAD_CONSTANT && !(p->number < 0) && !(p->number > 0);
}

static bool pads_nothing(const pad_request *p) {
  int64_t all = 0;
  for (size_t i = 0; i < 8; i++) all |= p->pads[i];
  return all == 0;
}

static bool is_lowest(const pad_request *p) {
  return p->mode == GRAPH_PAD_CONSTANT && p->number <= -FLT_MAX;
}

/* Add channels of zeros before and after those of x, as option-A shortcuts do. */
static resnet_status pad_channels(import_context *ctx, const value *x, uint32_t before,
                                  uint32_t after) {
  resnet_status status;
  graph_shape s = value_shape(ctx, x);
  s.c += before + after;
  graph_node *n = node_add_image(ctx, GRAPH_SUBSAMPLE, x, s, &status);
  if (!n) return status;
  n->stride_h = n->stride_w = 1;
  n->channels_before = before;
  return RESNET_OK;
}

/* Add a node for padding that cannot be deferred. */
static resnet_status add_pad_node(import_context *ctx, const value *x, const pad_request *p,
                                  uint32_t height_axis) {
  const uint32_t top = (uint32_t)p->pads[height_axis], bottom = (uint32_t)p->pads[4 + height_axis];
  const uint32_t left = (uint32_t)p->pads[height_axis + 1],
                 right = (uint32_t)p->pads[5 + height_axis];
  graph_shape s = value_shape(ctx, x);
  if (p->mode == GRAPH_PAD_REFLECT && (top >= s.h || bottom >= s.h || left >= s.w || right >= s.w))
    return invalid(
        ctx, "reflects a padding of %u,%u,%u,%u in an image of %ux%u: less padding is accepted",
        top, left, bottom, right, s.h, s.w);
  resnet_status status = padding_grow_shape(ctx, &s, top, left, bottom, right);
  if (status != RESNET_OK) return status;
  graph_node *n = node_add_image(ctx, GRAPH_PAD, x, s, &status);
  if (!n) return status;
  n->window =
      (graph_window){.pad_top = top, .pad_left = left, .pad_bottom = bottom, .pad_right = right};
  n->pad_mode = p->mode;
  n->scalar = p->mode == GRAPH_PAD_CONSTANT ? p->number : 0;
  return RESNET_OK;
}

static void defer_padding(const import_context *ctx, const value *x, value *y, const pad_request *p,
                          uint32_t height_axis) {
  y->pad_top = x->pad_top + (uint32_t)p->pads[height_axis];
  y->pad_left = x->pad_left + (uint32_t)p->pads[height_axis + 1];
  y->pad_bottom = x->pad_bottom + (uint32_t)p->pads[4 + height_axis];
  y->pad_right = x->pad_right + (uint32_t)p->pads[5 + height_axis];
  y->pad_lowest = is_lowest(p);
  y->pad_node_name = import_node_name(ctx->node);
}

static resnet_status pad_image(import_context *ctx, value *x, const pad_request *p) {
  const uint32_t channels = value_channel_axis(ctx, x), height_axis = channels == 1 ? 2 : 1;
  const bool pads_channels = p->pads[channels] || p->pads[4 + channels];
  const bool defers = is_zeros(p) || is_lowest(p);
  if (pads_nothing(p)) return value_set_same(ctx, x);
  if (pads_channels && !is_zeros(p))
    return unsupported(
        ctx,
        "pads channels with other numbers than 0: only zeros (mode constant) are accepted there");
  if (padding_is_deferred(x) && (!defers || x->pad_lowest != is_lowest(p))) {
    resnet_status status = padding_materialize(ctx, x);
    if (status != RESNET_OK) return status;
  }
  if (!defers) return add_pad_node(ctx, x, p, height_axis);
  resnet_status status = pads_channels ? pad_channels(ctx, x, (uint32_t)p->pads[channels],
                                                      (uint32_t)p->pads[4 + channels])
                                       : value_set_same(ctx, x);
  value *y = value_result(ctx);
  if (status == RESNET_OK && y) defer_padding(ctx, x, y, p, height_axis);
  return status;
}

resnet_status op_pad(import_context *ctx) {
  value *x;
  pad_request p = {.number = 0};
  resnet_status status = value_get_image(ctx, 0, true, &x);
  if (status == RESNET_OK) status = read_list(ctx, &p);
  if (status == RESNET_OK) status = read_mode(ctx, &p);
  if (status == RESNET_OK) status = check_pads(ctx, &p);
  return status == RESNET_OK ? pad_image(ctx, x, &p) : status;
}

/* ---- Concat ------------------------------------------------------------------------ */

/* Return whether `v` is zero: a constant of zeros, or x times 0, as in the first ResNets
 * of Torch. A constant remembers the answer, as a Concat may name it many times. */
static bool is_zero_value(const import_context *ctx, const value *v) {
  if (v->kind == VALUE_CONSTANT) return constant_is_zero(ctx, v->constant);
  const pending_affine *d = &ctx->affines[v->node];
  if (ctx->graph->nodes[v->node].op != GRAPH_AFFINE || padding_is_deferred(v) || v->expanded)
    return false;
  const uint32_t channels = value_shape(ctx, v).c;
  (void)work_spend(ctx->work, channels, WORK_CHECK); /* the node's end checks it */
  for (uint32_t c = 0; c < channels; c++)
    if (fabs(d->scale[c]) > 0 || fabs(d->shift[c]) > 0) return false;
  return true;
}

static const int64_t *dims_of(const value *v, uint32_t *rank) {
  *rank = v->kind == VALUE_CONSTANT ? v->constant->rank : v->rank;
  return v->kind == VALUE_CONSTANT ? v->constant->dims : v->dims;
}

/* Check that the zeros have the height, the width and the batch of the image. */
static resnet_status check_zeros(const import_context *ctx, const value *x, const value *zeros,
                                 uint32_t channels) {
  uint32_t rank;
  const int64_t *dims = dims_of(zeros, &rank);
  bool fits = rank == 4;
  for (uint32_t i = 1; fits && i < 4; i++) fits = i == channels || dims[i] == x->dims[i];
  if (fits && zeros->kind == VALUE_CONSTANT && !zeros->constant->for_batch)
    fits = dims[0] == (ctx->batch ? ctx->batch : 1);
  if (fits && dims[channels] <= GRAPH_MAX_SIDE) return RESNET_OK;
  return invalid(
      ctx,
      "joins '%.50s' and '%.50s', which differ in height, width or batch: export the model again",
      x->name, zeros->name);
}

/* The one input that is not zero, and the number of zero channels before and after it. */
typedef struct joined {
  value *x;
  int64_t before, after;
} joined;

static resnet_status find_joined(import_context *ctx, joined *j) {
  for (size_t i = 0; i < ctx->node->n_input; i++) {
    value *v;
    resnet_status status = value_get(ctx, i, &v);
    if (status == RESNET_OK) status = import_spend(ctx, 1, WORK_WALK);
    if (status != RESNET_OK) return status;
    if (is_zero_value(ctx, v)) continue;
    if (j->x || v->kind != VALUE_ACTIVATION)
      return unsupported(ctx,
                         "joins '%.50s' and '%.50s': an activation and zeros are accepted (option "
                         "A); DenseNets and others that join activations are not",
                         j->x ? j->x->name : "zeros", v->name);
    status = value_get_image(ctx, i, false, &j->x);
    if (status != RESNET_OK) return status;
  }
  return j->x ? RESNET_OK
              : unsupported(ctx, "joins only zeros: an activation among them is accepted");
}

/* Return whether the inputs are two vectors, or images of one pixel: fastai's heads join
 * the average and the maximum. */
static bool are_pixels(import_context *ctx, value *pair[2]) {
  uint32_t axes[2];
  if (ctx->node->n_input != 2) return false;
  for (size_t i = 0; i < 2; i++) {
    if (value_get(ctx, i, &pair[i]) != RESNET_OK || pair[i]->kind != VALUE_ACTIVATION) return false;
    const graph_shape s = value_shape(ctx, pair[i]);
    if (s.h != 1 || s.w != 1 || padding_is_deferred(pair[i]) || pair[i]->expanded ||
        pair[i]->batch_last || pair[i]->exchanged || is_zero_value(ctx, pair[i]))
      return false;
    if (!value_find_channels(ctx, pair[i], &axes[i])) return false;
  }
  return pair[0]->rank == pair[1]->rank && axes[0] == axes[1];
}

/* Join two vectors: pad each with zeros for the channels of the other, and add them. */
static resnet_status join_pixels(import_context *ctx, value *const pair[2], uint32_t axis) {
  const uint32_t first = value_shape(ctx, pair[0]).c;
  const graph_shape s = {1, 1, first + value_shape(ctx, pair[1]).c};
  resnet_status status = RESNET_OK;
  for (size_t i = 0; i < 2 && status == RESNET_OK; i++) {
    graph_node *n = node_append(ctx, GRAPH_SUBSAMPLE, pair[i]->node, s, import_node_name(ctx->node),
                                "", &status);
    if (!n) return status;
    n->stride_h = n->stride_w = 1;
    n->channels_before = i ? first : 0;
  }
  const uint32_t last = ctx->graph->node_count - 1;
  graph_node *sum = node_add(ctx, GRAPH_ADD, last - 1, s, &status);
  if (!sum) return status;
  sum->input[1] = last;
  sum->input_count = 2;
  value view = *pair[0];
  view.node = last + 1;
  view.dims[axis] = s.c;
  return value_set_view(ctx, &view, view.rank, view.dims);
}

static resnet_status join_zeros(import_context *ctx) {
  joined j = {NULL, 0, 0};
  int64_t given;
  uint32_t axis;
  bool seen = false;
  resnet_status status = find_joined(ctx, &j);
  if (status == RESNET_OK) status = attr_get_int(ctx, "axis", 1, &given);
  if (status == RESNET_OK) status = shape_resolve_axis(ctx, given, 4, &axis);
  if (status != RESNET_OK) return status;
  if (axis != value_channel_axis(ctx, j.x))
    return unsupported(ctx, "joins along axis %lld: the channels are accepted", (long long)given);
  for (size_t i = 0; i < ctx->node->n_input; i++) {
    value *v;
    uint32_t rank;
    (void)value_get(ctx, i, &v); /* it was read before */
    if (v == j.x) {
      seen = true;
      continue;
    }
    status = check_zeros(ctx, j.x, v, axis);
    if (status != RESNET_OK) return status;
    *(seen ? &j.after : &j.before) += dims_of(v, &rank)[axis];
  }
  if (j.before > GRAPH_MAX_SIDE || j.after > GRAPH_MAX_SIDE)
    return unsupported(ctx, "adds %lld channels of zeros: up to %d are accepted",
                       (long long)(j.before + j.after), GRAPH_MAX_SIDE);
  return pad_channels(ctx, j.x, (uint32_t)j.before, (uint32_t)j.after);
}

/* Return whether an input of the node is zero everywhere, as in option A. */
static bool reads_zeros(import_context *ctx) {
  for (size_t i = 0; i < ctx->node->n_input; i++) {
    value *v;
    if (value_get(ctx, i, &v) == RESNET_OK && is_zero_value(ctx, v)) return true;
  }
  return false;
}

resnet_status op_concat(import_context *ctx) {
  value *pair[2];
  int64_t given;
  uint32_t axis, channels;
  if (!are_pixels(ctx, pair)) {
    bool done = false;
    resnet_status status = reads_zeros(ctx) ? RESNET_OK : op_join_channels(ctx, &done);
    return status == RESNET_OK && !done ? join_zeros(ctx) : status;
  }
  (void)value_find_channels(ctx, pair[0], &channels);
  resnet_status status = attr_get_int(ctx, "axis", 1, &given);
  if (status == RESNET_OK) status = shape_resolve_axis(ctx, given, pair[0]->rank, &axis);
  if (status != RESNET_OK) return status;
  if (axis != channels)
    return unsupported(ctx, "joins along axis %lld: the channels are accepted", (long long)given);
  return join_pixels(ctx, pair, axis);
}
