/* Shapes: axes, reshaping, slices, and the windows of convolutions and pools. Formulas:
 * onnx/docs/Operators.md. */
#include <string.h>

#include "loader/import/import.h"

resnet_status resolve_axis(const lowering *l, int64_t axis, uint32_t rank, uint32_t *out) {
  if (axis < -(int64_t)rank || axis >= (int64_t)rank)
    return invalid(l, "axis %lld is out of range for %u dimensions: export the model again",
                   (long long)axis, rank);
  *out = (uint32_t)(axis < 0 ? axis + (int64_t)rank : axis);
  return RESNET_OK;
}

resnet_status read_axes(lowering *l, int64_t input_since, const int64_t **axes, size_t *count) {
  const tensor *t = NULL;
  *axes = NULL;
  *count = 0;
  if (l->opset < input_since) return get_ints(l, "axes", axes, count);
  resnet_status status = get_integers(l, 1, "axes", &t);
  if (status != RESNET_OK || !t) return status;
  *axes = t->ints;
  *count = t->count;
  return RESNET_OK;
}

resnet_status mask_axes(const lowering *l, const int64_t *axes, size_t count, uint32_t rank,
                        uint32_t *mask) {
  *mask = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t axis = 0;
    resnet_status status = resolve_axis(l, axes[i], rank, &axis);
    if (status != RESNET_OK) return status;
    if (*mask >> axis & 1)
      return invalid(l, "axis %u is named twice: export the model again", axis);
    *mask |= UINT32_C(1) << axis;
  }
  return RESNET_OK;
}

/* ---- Reshape ----------------------------------------------------------------------- */

/* Resolve dims[first..rank) of `target` against `old` so that they hold `count` elements
 * together. */
static resnet_status resolve_target(lowering *l, const tensor *target, uint32_t first,
                                    const int64_t *old, uint32_t old_rank, bool zero_copies,
                                    size_t count, int64_t *dims) {
  size_t product = 1;
  uint32_t open = MAX_RANK;
  for (uint32_t i = first; i < target->count; i++) {
    int64_t size = target->ints[i];
    if (tensor_is_batch(target, i))
      return unsupported(l, "moves the batch to dimension %u: it is accepted in front only", i);
    if (size == 0 && zero_copies && i < old_rank) size = old[i];
    if (size == -1 && open == MAX_RANK) {
      open = i;
      continue;
    }
    if (size < 0 || !mem_size_multiply(product, (size_t)size, &product))
      return invalid(l, "asks for dimension %lld at position %u: export the model again",
                     (long long)size, i);
    dims[i] = size;
  }
  if (open < MAX_RANK && product > 0) {
    dims[open] = (int64_t)(count / product);
    product *= count / product;
  }
  if (product == count) return RESNET_OK;
  /* with -1 in front, ONNX would move elements from one picture to another */
  bool mixes = first > 0 && target->ints[0] == -1;
  return refuse(
      l, mixes ? RESNET_ERROR_UNSUPPORTED : RESNET_ERROR_FORMAT,
      "reshapes %zu elements to a shape of %zu%s: the shape must fit the picture, for any batch",
      count, product, first ? " (batch aside)" : "");
}

static resnet_status check_target(const lowering *l, const tensor *target) {
  if (target->is_float || target->rank != 1 || target->count > MAX_RANK)
    return invalid(l, "its shape must be a list of up to %d integers", MAX_RANK);
  return RESNET_OK;
}

resnet_status reshape_tensor(lowering *l, const tensor *t, const tensor *target, bool zero_copies,
                             int64_t *dims) {
  resnet_status status = check_target(l, target);
  if (status != RESNET_OK) return status;
  return resolve_target(l, target, 0, t->dims, t->rank, zero_copies, t->count, dims);
}

/* A fixed batch in the shape stands for any: [1,2048] is what exporters write for
 * (n,2048) (onnx issue 1249). */
static bool leads_with_batch(const lowering *l, const tensor *target, bool zero_copies) {
  int64_t first = target->ints[0];
  return tensor_is_batch(target, 0) || first == -1 || (first == 0 && zero_copies) ||
         first == (l->batch ? l->batch : 1);
}

resnet_status reshape_view(lowering *l, const value *v, const tensor *target, bool zero_copies,
                           int64_t *dims) {
  resnet_status status = check_target(l, target);
  if (status != RESNET_OK) return status;
  if (target->count == 0)
    return invalid(l, "its shape is empty, its input is not: export the model again");
  const graph_shape s = value_shape(l, v);
  if (target->count == 1 && target->ints[0] == -1 && (uint64_t)s.h * s.w * s.c > 1)
    return unsupported(
        l, "puts all pictures of a batch into one row, as PyTorch's as_strided does in nets of "
           "channels_last "
           "format: call model.to(memory_format=torch.contiguous_format) and export again");
  int64_t first = target->ints[0];
  if (!leads_with_batch(l, target, zero_copies))
    return refuse(
        l, first < 1 || first > GRAPH_MAX_SIDE ? RESNET_ERROR_FORMAT : RESNET_ERROR_UNSUPPORTED,
        "its shape begins with %lld, which is not the batch: export with a dynamic batch, or -1",
        (long long)first);
  if (first == -1 && !tensor_is_batch(target, 0))
    for (size_t i = 1; i < target->count; i++)
      if (target->ints[i] == -1)
        return invalid(l, "its shape has two dimensions of -1: export the model again");
  return resolve_target(l, target, 1, v->dims, v->rank, zero_copies, (size_t)s.h * s.w * s.c, dims);
}

/* ---- Slice ------------------------------------------------------------------------- */

typedef struct slice_lists {
  const int64_t *list[4]; /* starts, ends, axes, steps */
  size_t count[4];
} slice_lists;

static resnet_status read_slice_lists(lowering *l, slice_lists *lists) {
  static const char *const names[4] = {"starts", "ends", "axes", "steps"};
  memset(lists, 0, sizeof *lists);
  for (size_t i = 0; i < 4; i++) {
    const tensor *t = NULL;
    resnet_status status;
    if (l->opset < 10)
      status = get_ints(l, names[i], &lists->list[i], &lists->count[i]);
    else
      status = get_integers(l, i + 1, names[i], &t);
    if (status != RESNET_OK) return status;
    if (!t) continue;
    lists->list[i] = t->ints;
    lists->count[i] = t->count;
  }
  size_t count = lists->count[0];
  bool axes_fit = !lists->list[2] || lists->count[2] == count,
       steps_fit = !lists->list[3] || lists->count[3] == count;
  if (count == 0 || lists->count[1] != count || !axes_fit || !steps_fit)
    return invalid(l,
                   "its starts, ends, axes and steps are not equally many: export the model again");
  return RESNET_OK;
}

resnet_status read_slices(lowering *l, uint32_t rank, slice_range ranges[MAX_RANK]) {
  slice_lists lists;
  resnet_status status = read_slice_lists(l, &lists);
  if (status != RESNET_OK) return status;
  uint32_t seen = 0;
  for (uint32_t i = 0; i < MAX_RANK; i++) ranges[i] = (slice_range){0, INT64_MAX, 1};
  for (size_t i = 0; i < lists.count[0]; i++) {
    uint32_t axis = 0;
    status = resolve_axis(l, lists.list[2] ? lists.list[2][i] : (int64_t)i, rank, &axis);
    if (status != RESNET_OK) return status;
    slice_range r = {lists.list[0][i], lists.list[1][i], lists.list[3] ? lists.list[3][i] : 1};
    if (r.step == 0 || seen >> axis & 1)
      return invalid(l, "slices axis %u twice or with step 0: export the model again", axis);
    seen |= UINT32_C(1) << axis;
    ranges[axis] = r;
  }
  return RESNET_OK;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

int64_t resolve_slice(slice_range *range, int64_t dim) {
  bool forward = range->step > 0;
  int64_t start = range->start < 0 ? range->start + dim : range->start;
  int64_t end = range->end < 0 ? range->end + dim : range->end;
  range->start = forward ? clamp(start, 0, dim) : clamp(start, 0, dim > 0 ? dim - 1 : 0);
  range->end = forward ? clamp(end, 0, dim) : clamp(end, -1, dim > 0 ? dim - 1 : -1);
  /* larger steps reach no further element */
  range->step = clamp(range->step, -(dim + 1), dim + 1);
  int64_t span = forward ? range->end - range->start : range->start - range->end;
  int64_t step = forward ? range->step : -range->step;
  return span <= 0 || dim == 0 ? 0 : (span - 1) / step + 1;
}

/* ---- windows ----------------------------------------------------------------------- */

const char *const auto_pad_names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};

resnet_status get_auto_pad(const lowering *l, auto_pad *mode) {
  size_t word;
  resnet_status status = get_word(l, "auto_pad", auto_pad_names, PAD_NOTSET, &word);
  *mode = (auto_pad)word;
  return status;
}

/* One side of a window. `before` and `after` are pads. */
typedef struct span {
  int64_t in, kernel, stride, dilation, before, after, out;
} span;

/* Two numbers (or with count 4: top, left, bottom, right) of an attribute, each within
 * [low,high]. */
static resnet_status read_sides(lowering *l, const char *name, size_t count, int64_t low,
                                int64_t high, int64_t fallback, int64_t *sides) {
  const int64_t *values;
  size_t given;
  resnet_status status = get_ints(l, name, &values, &given);
  if (status != RESNET_OK) return status;
  if (given && given != count)
    return invalid(l, "attribute %s has %zu numbers: %zu are accepted (2-D)", name, given, count);
  for (size_t i = 0; i < count; i++) {
    sides[i] = given ? values[i] : fallback;
    if (sides[i] >= low && sides[i] <= high) continue;
    /* large numbers and negative pads (which crop) are ONNX; a stride of 0 is not */
    bool is_onnx = sides[i] > high || low == 0;
    return refuse(l, is_onnx ? RESNET_ERROR_UNSUPPORTED : RESNET_ERROR_FORMAT,
                  "attribute %s is %lld: accepted are %lld to %lld", name, (long long)sides[i],
                  (long long)low, (long long)high);
  }
  return RESNET_OK;
}

static void pad_to_same(span *s, int64_t dilated, auto_pad mode) {
  int64_t in = s->in + s->before + s->after, out = (in - 1) / s->stride + 1;
  int64_t total = (out - 1) * s->stride + dilated - in;
  if (total < 0) total = 0;
  int64_t smaller = total / 2, larger = total - smaller;
  s->before += mode == PAD_SAME_LOWER ? larger : smaller;
  s->after += mode == PAD_SAME_LOWER ? smaller : larger;
}

/* ceil_mode: one more window may stand over the border, if it begins within the input or
 * the padding before it (as PyTorch has it). The padding after is made as wide as it then
 * needs to be. */
static int64_t widen_for_ceil(span *s, int64_t dilated) {
  int64_t padded = s->in + s->before + s->after;
  int64_t out = (padded - dilated + s->stride - 1) / s->stride + 1;
  if ((out - 1) * s->stride >= s->in + s->before) out--;
  int64_t overhang = (out - 1) * s->stride + dilated - padded;
  if (overhang <= 0) return 0;
  s->after += overhang;
  return overhang;
}

static resnet_status resolve_span(lowering *l, span *s, auto_pad mode, bool ceil_mode,
                                  const window_request *request) {
  int64_t dilated = (s->kernel - 1) * s->dilation + 1;
  if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) pad_to_same(s, dilated, mode);
  if (s->before >= dilated || s->after >= dilated)
    return unsupported(
        l, "pads %lld and %lld: each must be less than the kernel (%lld, dilation included)",
        (long long)s->before, (long long)s->after, (long long)dilated);
  if (dilated > s->in + s->before + s->after)
    return invalid(l, "its kernel (%lld, dilation included) is larger than its padded input (%lld)",
                   (long long)dilated, (long long)(s->in + s->before + s->after));
  /* of nothing, where its steps jump over the whole input */
  bool is_pool = !request->kernel;
  if (is_pool && s->dilation > s->in)
    return unsupported(
        l, "its dilation (%lld) exceeds its input (%lld): a window could hold padding only",
        (long long)s->dilation, (long long)s->in);
  if (ceil_mode && widen_for_ceil(s, dilated) && request->refuses_overhang)
    return unsupported(
        l,
        "ceil_mode with count_include_pad and a window over the border: runtimes disagree on it; "
        "set count_include_pad=0");
  s->out = (s->in + s->before + s->after - dilated) / s->stride + 1;
  return RESNET_OK;
}

static resnet_status read_kernel(lowering *l, const window_request *request, span spans[2]) {
  int64_t kernel[2];
  if (!request->kernel && !has_attribute(l, "kernel_shape"))
    return invalid(l, "attribute kernel_shape is missing: export the model again");
  resnet_status status = read_sides(l, "kernel_shape", 2, 1, GRAPH_MAX_WINDOW, 1, kernel);
  if (status != RESNET_OK) return status;
  for (size_t i = 0; i < 2; i++) {
    int64_t side = request->kernel ? request->kernel[i] : kernel[i];
    if (has_attribute(l, "kernel_shape") && side != kernel[i])
      return invalid(
          l, "attribute kernel_shape (%lld) contradicts its weights (%lld): export the model again",
          (long long)kernel[i], (long long)side);
    if (side < 1 || side > GRAPH_MAX_WINDOW)
      return unsupported(l, "its kernel is %lld wide or high: accepted are 1 to %d",
                         (long long)side, GRAPH_MAX_WINDOW);
    spans[i].kernel = side;
  }
  return RESNET_OK;
}

static resnet_status read_pads(lowering *l, span spans[2], auto_pad *mode) {
  int64_t pads[4];
  resnet_status status = get_auto_pad(l, mode);
  if (status == RESNET_OK) status = read_sides(l, "pads", 4, 0, GRAPH_MAX_SIDE, 0, pads);
  if (status != RESNET_OK) return status;
  if (*mode != PAD_NOTSET && (pads[0] | pads[1] | pads[2] | pads[3]))
    return invalid(l, "auto_pad %s contradicts its pads: export the model again",
                   auto_pad_names[*mode]);
  for (size_t i = 0; i < 2; i++) {
    spans[i].before += pads[i];
    spans[i].after += pads[i + 2];
  }
  return RESNET_OK;
}

static resnet_status read_spans(lowering *l, const window_request *request, span spans[2],
                                auto_pad *mode) {
  int64_t strides[2], dilations[2];
  resnet_status status = read_kernel(l, request, spans);
  if (status == RESNET_OK) status = read_sides(l, "strides", 2, 1, GRAPH_MAX_WINDOW, 1, strides);
  if (status == RESNET_OK)
    status = read_sides(l, "dilations", 2, 1, request->accepts_dilation ? GRAPH_MAX_SIDE : 1, 1,
                        dilations);
  if (status == RESNET_OK) status = read_pads(l, spans, mode);
  if (status != RESNET_OK) return status;
  for (size_t i = 0; i < 2; i++) {
    spans[i].stride = strides[i];
    spans[i].dilation = dilations[i];
  }
  return RESNET_OK;
}

/* A window that is to step over more padding than it reaches: the borders become part of
 * the picture. */
static resnet_status move_borders(lowering *l, value *v, span spans[2]) {
  bool reaches = true;
  for (size_t i = 0; i < 2; i++) {
    int64_t dilated = (spans[i].kernel - 1) * spans[i].dilation + 1;
    reaches = reaches && spans[i].before < dilated && spans[i].after < dilated;
  }
  if (reaches) return RESNET_OK;
  v->pad_top = (uint32_t)spans[0].before;
  v->pad_bottom = (uint32_t)spans[0].after;
  v->pad_left = (uint32_t)spans[1].before;
  v->pad_right = (uint32_t)spans[1].after;
  v->name = ""; /* no tensor of the file is what this makes */
  v->pad_name = node_name(l->node);
  resnet_status status = put_borders(l, v);
  graph_shape padded = value_shape(l, v);
  for (size_t i = 0; i < 2; i++) {
    spans[i].in = i == 0 ? padded.h : padded.w;
    spans[i].before = spans[i].after = 0;
  }
  return status;
}

resnet_status read_window(lowering *l, value *v, const window_request *request,
                          graph_window *window, graph_shape *out) {
  graph_shape in = value_shape(l, v);
  span spans[2] = {{.in = in.h, .before = v->pad_top, .after = v->pad_bottom},
                   {.in = in.w, .before = v->pad_left, .after = v->pad_right}};
  auto_pad mode = PAD_NOTSET;
  int64_t ceil_mode = 0;
  resnet_status status = read_spans(l, request, spans, &mode);
  if (status == RESNET_OK) status = get_int(l, "ceil_mode", 0, &ceil_mode);
  if (status == RESNET_OK && request->kernel) status = move_borders(l, v, spans);
  for (size_t i = 0; i < 2 && status == RESNET_OK; i++)
    status = resolve_span(l, &spans[i], mode, ceil_mode != 0, request);
  if (status != RESNET_OK) return status;
  const span *y = &spans[0], *x = &spans[1];
  *window = (graph_window){(uint32_t)y->kernel, (uint32_t)x->kernel,   (uint32_t)y->stride,
                           (uint32_t)x->stride, (uint32_t)y->dilation, (uint32_t)x->dilation,
                           (uint32_t)y->before, (uint32_t)x->before,   (uint32_t)y->after,
                           (uint32_t)x->after};
  out->h = (uint32_t)y->out;
  out->w = (uint32_t)x->out;
  return RESNET_OK;
}
