/* Pad. Borders of zeros, or of the lowest number, are not put around a picture at once:
 * they wait in its value until the next node takes them over as its own padding, or until
 * one comes that cannot (put_borders). */
#include <float.h>
#include <math.h>
#include <string.h>

#include "loader/import/import.h"

typedef struct padding {
  /* [0..3] before and [4..7] after each axis, in the view's order */
  int64_t pads[8];
  graph_pad_mode mode;
  float number;
} padding;

static resnet_status read_number(lowering *l, float *number) {
  const tensor *t;
  *number = 0;
  if (l->opset < 11) return get_float(l, "value", 0, number);
  resnet_status status = get_constant(l, 2, "constant_value", &t);
  if (status != RESNET_OK || !t) return status;
  if (t->count != 1)
    return invalid(l, "its constant_value has %zu numbers instead of one", t->count);
  *number = t->is_float ? t->floats[0] : (float)t->ints[0];
  return RESNET_OK;
}

static resnet_status read_list(lowering *l, padding *p) {
  const int64_t *list = NULL;
  size_t count = 0;
  const tensor *t = NULL, *axes = NULL;
  resnet_status status;
  if (l->opset < 11) {
    status = get_ints(l, l->opset < 2 ? "paddings" : "pads", &list, &count);
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
  uint32_t seen = 0;
  /* none twice */
  status = mask_axes(l, axes ? axes->ints : NULL, axes ? named : 0, 4, &seen);
  for (size_t i = 0; i < named && status == RESNET_OK; i++) {
    uint32_t axis = 0;
    status = resolve_axis(l, axes ? axes->ints[i] : (int64_t)i, 4, &axis);
    p->pads[axis] = list[i];
    p->pads[4 + axis] = list[named + i];
  }
  return status;
}

static resnet_status read_mode(lowering *l, padding *p) {
  static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};
  static const graph_pad_mode known[] = {GRAPH_PAD_CONSTANT, GRAPH_PAD_REFLECT, GRAPH_PAD_EDGE};
  size_t mode;
  resnet_status status = get_word(l, "mode", modes, 0, &mode);
  if (status != RESNET_OK) return status;
  if (mode >= sizeof known / sizeof *known)
    return unsupported(l, "pads in mode '%s': constant, reflect and edge are accepted",
                       modes[mode]);
  p->mode = known[mode];
  return read_number(l, &p->number);
}

static resnet_status check_pads(const lowering *l, const padding *p) {
  for (size_t i = 0; i < 8; i++)
    if (p->pads[i] < 0 || p->pads[i] > GRAPH_MAX_SIDE)
      return unsupported(l, "pads by %lld: accepted are 0 to %d", (long long)p->pads[i],
                         GRAPH_MAX_SIDE);
  if (p->pads[0] || p->pads[4])
    return unsupported(l, "pads the batch: channels, height and width are accepted");
  if (p->number != p->number || p->number >= FLT_MAX)
    return unsupported(l, "pads with %g: finite numbers and the lowest one are accepted",
                       (double)p->number);
  return RESNET_OK;
}

static bool is_zeros(const padding *p) {
  return p->mode == GRAPH_PAD_CONSTANT && !(p->number < 0) && !(p->number > 0);
}

static bool pads_nothing(const padding *p) {
  int64_t all = 0;
  for (size_t i = 0; i < 8; i++) all |= p->pads[i];
  return all == 0;
}

static bool is_lowest(const padding *p) {
  return p->mode == GRAPH_PAD_CONSTANT && p->number <= -FLT_MAX;
}

/* Option A's new channels: zeros before and after the old. */
static resnet_status pad_channels(lowering *l, const value *x, uint32_t before, uint32_t after) {
  resnet_status status;
  graph_shape s = value_shape(l, x);
  s.c += before + after;
  graph_node *n = add_pictured(l, GRAPH_SUBSAMPLE, x, s, &status);
  if (!n) return status;
  n->stride_h = n->stride_w = 1;
  n->channels_before = before;
  return RESNET_OK;
}

static void set_borders(graph_node *n, uint32_t top, uint32_t left, uint32_t bottom,
                        uint32_t right) {
  n->window =
      (graph_window){.pad_top = top, .pad_left = left, .pad_bottom = bottom, .pad_right = right};
}

static resnet_status refuse_lowest(const lowering *l, const value *v) {
  return unsupported(l,
                     "reads the padding of node '%.60s' with the lowest number: only a MaxPool may",
                     v->pad_name);
}

static bool padded_shape(graph_shape *s, uint64_t top, uint64_t left, uint64_t bottom,
                         uint64_t right) {
  const uint64_t h = s->h + top + bottom, w = s->w + left + right;
  if (h > GRAPH_MAX_SIDE || w > GRAPH_MAX_SIDE) return false;
  s->h = (uint32_t)h;
  s->w = (uint32_t)w;
  return true;
}

static resnet_status too_large(const lowering *l, graph_shape s) {
  return unsupported(l, "its borders make (h %u, w %u) larger than %d: smaller ones are accepted",
                     s.h, s.w, GRAPH_MAX_SIDE);
}

resnet_status put_borders(lowering *l, value *v) {
  resnet_status status;
  graph_shape s = value_shape(l, v);
  if (v->pad_lowest) return refuse_lowest(l, v);
  if (!padded_shape(&s, v->pad_top, v->pad_left, v->pad_bottom, v->pad_right))
    return too_large(l, s);
  const bool last = picture_channels(l, v) == 3;
  graph_node *n = append_node(l, GRAPH_PAD, v->node, s, v->pad_name, v->name, &status);
  if (!n) return status;
  set_borders(n, v->pad_top, v->pad_left, v->pad_bottom, v->pad_right);
  v->node = l->graph->node_count - 1;
  v->pad_top = v->pad_left = v->pad_bottom = v->pad_right = 0;
  v->channels_last = last; /* of a single pixel it meant nothing */
  v->dims[last ? 1 : 2] = s.h;
  v->dims[last ? 2 : 3] = s.w;
  return RESNET_OK;
}

/* Borders that no other node takes over. */
static resnet_status add_borders(lowering *l, const value *x, const padding *p,
                                 uint32_t height_axis) {
  const uint32_t top = (uint32_t)p->pads[height_axis], bottom = (uint32_t)p->pads[4 + height_axis];
  const uint32_t left = (uint32_t)p->pads[height_axis + 1],
                 right = (uint32_t)p->pads[5 + height_axis];
  graph_shape s = value_shape(l, x);
  if (p->mode == GRAPH_PAD_REFLECT && (top >= s.h || bottom >= s.h || left >= s.w || right >= s.w))
    return invalid(
        l, "reflects borders of %u,%u,%u,%u in a picture of %ux%u: smaller ones are accepted", top,
        left, bottom, right, s.h, s.w);
  if (!padded_shape(&s, top, left, bottom, right)) return too_large(l, s);
  resnet_status status;
  graph_node *n = add_pictured(l, GRAPH_PAD, x, s, &status);
  if (!n) return status;
  set_borders(n, top, left, bottom, right);
  n->pad_mode = p->mode;
  n->pad_value = p->mode == GRAPH_PAD_CONSTANT ? p->number : 0;
  return RESNET_OK;
}

static void let_wait(const lowering *l, const value *x, value *y, const padding *p,
                     uint32_t height_axis) {
  y->pad_top = x->pad_top + (uint32_t)p->pads[height_axis];
  y->pad_left = x->pad_left + (uint32_t)p->pads[height_axis + 1];
  y->pad_bottom = x->pad_bottom + (uint32_t)p->pads[4 + height_axis];
  y->pad_right = x->pad_right + (uint32_t)p->pads[5 + height_axis];
  y->pad_lowest = is_lowest(p);
  y->pad_name = node_name(l->node);
}

static resnet_status pad_picture(lowering *l, value *x, const padding *p) {
  const uint32_t channels = picture_channels(l, x), height_axis = channels == 1 ? 2 : 1;
  const bool pads_channels = p->pads[channels] || p->pads[4 + channels];
  const bool waits = is_zeros(p) || is_lowest(p);
  if (pads_nothing(p)) return set_same(l, x);
  if (pads_channels && !is_zeros(p))
    return unsupported(
        l,
        "pads channels with other numbers than 0: only zeros (mode constant) are accepted there");
  if (has_borders(x) && (!waits || x->pad_lowest != is_lowest(p))) {
    resnet_status status = put_borders(l, x);
    if (status != RESNET_OK) return status;
  }
  if (!waits) return add_borders(l, x, p, height_axis);
  resnet_status status = pads_channels ? pad_channels(l, x, (uint32_t)p->pads[channels],
                                                      (uint32_t)p->pads[4 + channels])
                                       : set_same(l, x);
  value *y = get_result(l);
  if (status == RESNET_OK && y) let_wait(l, x, y, p, height_axis);
  return status;
}

resnet_status lower_pad(lowering *l) {
  value *x;
  padding p = {.number = 0};
  resnet_status status = get_picture(l, 0, true, &x);
  if (status == RESNET_OK) status = read_list(l, &p);
  if (status == RESNET_OK) status = read_mode(l, &p);
  if (status == RESNET_OK) status = check_pads(l, &p);
  return status == RESNET_OK ? pad_picture(l, x, &p) : status;
}

/* ---- Concat: option A written as a picture beside zeros, two pools beside each other  */

static bool is_all_zero(const float *numbers, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (numbers[i] < 0 || numbers[i] > 0 || numbers[i] != numbers[i]) return false;
  return true;
}

/* x times 0, as Torch's first ResNets had it; a constant of zeros. */
static bool is_zero_value(const lowering *l, const value *v) {
  if (v->kind == VALUE_TENSOR)
    return v->tensor->is_float && is_all_zero(v->tensor->floats, v->tensor->count);
  const draft *d = &l->drafts[v->node];
  if (l->graph->nodes[v->node].op != GRAPH_AFFINE || has_borders(v) || v->expanded) return false;
  for (uint32_t c = 0; c < value_shape(l, v).c; c++)
    if (fabs(d->scale[c]) > 0 || fabs(d->shift[c]) > 0) return false;
  return true;
}

static const int64_t *dims_of(const value *v, uint32_t *rank) {
  *rank = v->kind == VALUE_TENSOR ? v->tensor->rank : v->rank;
  return v->kind == VALUE_TENSOR ? v->tensor->dims : v->dims;
}

/* The zeros are as high and wide as the picture, and there are as many as pictures. */
static resnet_status check_zeros(const lowering *l, const value *x, const value *zeros,
                                 uint32_t channels) {
  uint32_t rank;
  const int64_t *dims = dims_of(zeros, &rank);
  bool fits = rank == 4;
  for (uint32_t i = 1; fits && i < 4; i++) fits = i == channels || dims[i] == x->dims[i];
  if (fits && zeros->kind == VALUE_TENSOR && !zeros->tensor->for_batch)
    fits = dims[0] == (l->batch ? l->batch : 1);
  if (fits && dims[channels] <= GRAPH_MAX_SIDE) return RESNET_OK;
  return invalid(
      l,
      "joins '%.50s' and '%.50s', which differ in height, width or batch: export the model again",
      x->name, zeros->name);
}

/* The one input that is no zeros, and how many channels of zeros stand before and after
 * it. */
typedef struct joined {
  value *x;
  int64_t before, after;
} joined;

static resnet_status find_joined(lowering *l, joined *j) {
  for (size_t i = 0; i < l->node->n_input; i++) {
    value *v;
    resnet_status status = get_value(l, i, &v);
    if (status != RESNET_OK) return status;
    if (is_zero_value(l, v)) continue;
    if (j->x || v->kind != VALUE_ACTIVATION)
      return unsupported(l,
                         "joins '%.50s' and '%.50s': an activation and zeros are accepted (option "
                         "A); DenseNets and "
                         "others that join activations are not",
                         j->x ? j->x->name : "zeros", v->name);
    status = get_picture(l, i, false, &j->x);
    if (status != RESNET_OK) return status;
  }
  return j->x ? RESNET_OK
              : unsupported(l, "joins zeros alone: an activation among them is accepted");
}

/* Two flat tensors, or pictures of one pixel: fastai's heads put the average beside the
 * maximum. */
static bool are_pixels(lowering *l, value *pair[2]) {
  uint32_t axes[2];
  if (l->node->n_input != 2) return false;
  for (size_t i = 0; i < 2; i++) {
    if (get_value(l, i, &pair[i]) != RESNET_OK || pair[i]->kind != VALUE_ACTIVATION) return false;
    const graph_shape s = value_shape(l, pair[i]);
    if (s.h != 1 || s.w != 1 || has_borders(pair[i]) || pair[i]->expanded ||
        is_zero_value(l, pair[i]))
      return false;
    if (!find_channels(l, pair[i], &axes[i])) return false;
  }
  return pair[0]->rank == pair[1]->rank && axes[0] == axes[1];
}

/* Each gets zeros for the other's channels, and they are added. */
static resnet_status join_pixels(lowering *l, value *const pair[2], uint32_t axis) {
  const uint32_t first = value_shape(l, pair[0]).c;
  const graph_shape s = {1, 1, first + value_shape(l, pair[1]).c};
  resnet_status status = RESNET_OK;
  for (size_t i = 0; i < 2 && status == RESNET_OK; i++) {
    graph_node *n =
        append_node(l, GRAPH_SUBSAMPLE, pair[i]->node, s, node_name(l->node), "", &status);
    if (!n) return status;
    n->stride_h = n->stride_w = 1;
    n->channels_before = i ? first : 0;
  }
  const uint32_t last = l->graph->node_count - 1;
  graph_node *sum = add_node(l, GRAPH_ADD, last - 1, s, &status);
  if (!sum) return status;
  sum->input[1] = last;
  sum->input_count = 2;
  value view = *pair[0];
  view.node = last + 1;
  view.dims[axis] = s.c;
  return set_view(l, &view, view.rank, view.dims);
}

static resnet_status join_zeros(lowering *l) {
  joined j = {NULL, 0, 0};
  int64_t given;
  uint32_t axis;
  bool seen = false;
  resnet_status status = find_joined(l, &j);
  if (status == RESNET_OK) status = get_int(l, "axis", 1, &given);
  if (status == RESNET_OK) status = resolve_axis(l, given, 4, &axis);
  if (status != RESNET_OK) return status;
  if (axis != picture_channels(l, j.x))
    return unsupported(l, "joins along axis %lld: the channels are accepted", (long long)given);
  for (size_t i = 0; i < l->node->n_input; i++) {
    value *v;
    uint32_t rank;
    (void)get_value(l, i, &v); /* it was there before */
    if (v == j.x) {
      seen = true;
      continue;
    }
    status = check_zeros(l, j.x, v, axis);
    if (status != RESNET_OK) return status;
    *(seen ? &j.after : &j.before) += dims_of(v, &rank)[axis];
  }
  if (j.before > GRAPH_MAX_SIDE || j.after > GRAPH_MAX_SIDE)
    return unsupported(l, "adds %lld channels of zeros: up to %d are accepted",
                       (long long)(j.before + j.after), GRAPH_MAX_SIDE);
  return pad_channels(l, j.x, (uint32_t)j.before, (uint32_t)j.after);
}

resnet_status lower_concat(lowering *l) {
  value *pair[2];
  int64_t given;
  uint32_t axis, channels;
  if (!are_pixels(l, pair)) return join_zeros(l);
  (void)find_channels(l, pair[0], &channels);
  resnet_status status = get_int(l, "axis", 1, &given);
  if (status == RESNET_OK) status = resolve_axis(l, given, pair[0]->rank, &axis);
  if (status != RESNET_OK) return status;
  if (axis != channels)
    return unsupported(l, "joins along axis %lld: the channels are accepted", (long long)given);
  return join_pixels(l, pair, axis);
}
