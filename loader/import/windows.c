/* Formulas: onnx/docs/Operators.md. */
#include "loader/import/windows.h"

#include "loader/import/attributes.h"
#include "loader/import/padding.h"

const char *const window_auto_pad_names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};

resnet_status window_get_auto_pad(const import_context *ctx, window_auto_pad *mode) {
  size_t word;
  resnet_status status = attr_get_word(ctx, "auto_pad", window_auto_pad_names, PAD_NOTSET, &word);
  *mode = (window_auto_pad)word;
  return status;
}

/* A window along one axis. `before` and `after` are pads. */
typedef struct span {
  int64_t in, kernel, stride, dilation, before, after, out;
} span;

/* Read `count` numbers of an attribute, each in [low,high]: height and width, or for
 * count 4 top, left, bottom and right. */
static resnet_status read_sides(import_context *ctx, const char *name, size_t count, int64_t low,
                                int64_t high, int64_t fallback, int64_t *sides) {
  const int64_t *values;
  size_t given;
  resnet_status status = attr_get_ints(ctx, name, &values, &given);
  if (status != RESNET_OK) return status;
  if (given && given != count)
    return invalid(ctx, "attribute %s has %zu numbers: %zu are accepted (2-D)", name, given, count);
  for (size_t i = 0; i < count; i++) {
    sides[i] = given ? values[i] : fallback;
    if (sides[i] >= low && sides[i] <= high) continue;
    /* large numbers and negative pads (which crop) are valid ONNX, a stride of 0 is
     * not */
    bool is_onnx = sides[i] > high || low == 0;
    return import_refuse(ctx, is_onnx ? RESNET_ERROR_UNSUPPORTED : RESNET_ERROR_FORMAT,
                         "attribute %s is %lld: %lld to %lld is accepted", name,
                         (long long)sides[i], (long long)low, (long long)high);
  }
  return RESNET_OK;
}

static void pad_to_same(span *s, int64_t dilated, window_auto_pad mode) {
  int64_t in = s->in + s->before + s->after, out = (in - 1) / s->stride + 1;
  int64_t total = (out - 1) * s->stride + dilated - in;
  if (total < 0) total = 0;
  int64_t smaller = total / 2, larger = total - smaller;
  s->before += mode == PAD_SAME_LOWER ? larger : smaller;
  s->after += mode == PAD_SAME_LOWER ? smaller : larger;
}

/* Apply ceil_mode as PyTorch does: add one window that extends past the padding, if it
 * begins in the input or in the padding before it. Grows the padding after the input to
 * fit. Returns by how much. */
static int64_t widen_for_ceil(span *s, int64_t dilated) {
  int64_t padded = s->in + s->before + s->after;
  int64_t out = (padded - dilated + s->stride - 1) / s->stride + 1;
  if ((out - 1) * s->stride >= s->in + s->before) out--;
  int64_t overhang = (out - 1) * s->stride + dilated - padded;
  if (overhang <= 0) return 0;
  s->after += overhang;
  return overhang;
}

static resnet_status resolve_span(import_context *ctx, span *s, window_auto_pad mode,
                                  bool ceil_mode, const window_request *request) {
  int64_t dilated = (s->kernel - 1) * s->dilation + 1;
  if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) pad_to_same(s, dilated, mode);
  if (s->before >= dilated || s->after >= dilated)
    return unsupported(
        ctx, "pads by %lld and %lld: each must be less than the kernel (%lld, with dilation)",
        (long long)s->before, (long long)s->after, (long long)dilated);
  if (dilated > s->in + s->before + s->after)
    return invalid(ctx, "its kernel (%lld, with dilation) is larger than its padded input (%lld)",
                   (long long)dilated, (long long)(s->in + s->before + s->after));
  /* otherwise a window of a pool could skip the whole input */
  bool is_pool = !request->kernel;
  if (is_pool && s->dilation > s->in)
    return unsupported(
        ctx, "its dilation (%lld) exceeds its input (%lld): a window could hold padding only",
        (long long)s->dilation, (long long)s->in);
  if (ceil_mode && widen_for_ceil(s, dilated) && request->refuses_overhang)
    return unsupported(ctx, "ceil_mode with count_include_pad and a window past the padding: "
                            "runtimes disagree on it; set count_include_pad=0");
  s->out = (s->in + s->before + s->after - dilated) / s->stride + 1;
  return RESNET_OK;
}

static resnet_status read_kernel(import_context *ctx, const window_request *request,
                                 span spans[2]) {
  int64_t kernel[2];
  if (!request->kernel && !attr_exists(ctx, "kernel_shape"))
    return invalid(ctx, "attribute kernel_shape is missing: export the model again");
  resnet_status status = read_sides(ctx, "kernel_shape", 2, 1, GRAPH_MAX_WINDOW, 1, kernel);
  if (status != RESNET_OK) return status;
  for (size_t i = 0; i < 2; i++) {
    int64_t side = request->kernel ? request->kernel[i] : kernel[i];
    if (attr_exists(ctx, "kernel_shape") && side != kernel[i])
      return invalid(
          ctx,
          "attribute kernel_shape (%lld) contradicts its weights (%lld): export the model again",
          (long long)kernel[i], (long long)side);
    if (side < 1 || side > GRAPH_MAX_WINDOW)
      return unsupported(ctx, "its kernel is %lld high or wide: 1 to %d is accepted",
                         (long long)side, GRAPH_MAX_WINDOW);
    spans[i].kernel = side;
  }
  return RESNET_OK;
}

static resnet_status read_pads(import_context *ctx, span spans[2], window_auto_pad *mode) {
  int64_t pads[4];
  resnet_status status = window_get_auto_pad(ctx, mode);
  if (status == RESNET_OK) status = read_sides(ctx, "pads", 4, 0, GRAPH_MAX_SIDE, 0, pads);
  if (status != RESNET_OK) return status;
  if (*mode != PAD_NOTSET && (pads[0] | pads[1] | pads[2] | pads[3]))
    return invalid(ctx, "auto_pad %s contradicts its pads: export the model again",
                   window_auto_pad_names[*mode]);
  for (size_t i = 0; i < 2; i++) {
    spans[i].before += pads[i];
    spans[i].after += pads[i + 2];
  }
  return RESNET_OK;
}

static resnet_status read_spans(import_context *ctx, const window_request *request, span spans[2],
                                window_auto_pad *mode) {
  int64_t strides[2], dilations[2];
  resnet_status status = read_kernel(ctx, request, spans);
  if (status == RESNET_OK) status = read_sides(ctx, "strides", 2, 1, GRAPH_MAX_WINDOW, 1, strides);
  if (status == RESNET_OK)
    status = read_sides(ctx, "dilations", 2, 1, request->accepts_dilation ? GRAPH_MAX_SIDE : 1, 1,
                        dilations);
  if (status == RESNET_OK) status = read_pads(ctx, spans, mode);
  if (status != RESNET_OK) return status;
  for (size_t i = 0; i < 2; i++) {
    spans[i].stride = strides[i];
    spans[i].dilation = dilations[i];
  }
  return RESNET_OK;
}

/* Materialise all padding if the window pads by more than it reaches. */
static resnet_status pad_beyond_kernel(import_context *ctx, value *v, span spans[2]) {
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
  v->name = ""; /* the padded image equals no tensor of the file */
  v->pad_node_name = import_node_name(ctx->node);
  resnet_status status = padding_materialize(ctx, v);
  graph_shape padded = value_shape(ctx, v);
  for (size_t i = 0; i < 2; i++) {
    spans[i].in = i == 0 ? padded.h : padded.w;
    spans[i].before = spans[i].after = 0;
  }
  return status;
}

resnet_status window_read(import_context *ctx, value *v, const window_request *request,
                          graph_window *window, graph_shape *out) {
  graph_shape in = value_shape(ctx, v);
  span spans[2] = {{.in = in.h, .before = v->pad_top, .after = v->pad_bottom},
                   {.in = in.w, .before = v->pad_left, .after = v->pad_right}};
  window_auto_pad mode = PAD_NOTSET;
  int64_t ceil_mode = 0;
  resnet_status status = read_spans(ctx, request, spans, &mode);
  if (status == RESNET_OK) status = attr_get_int(ctx, "ceil_mode", 0, &ceil_mode);
  if (status == RESNET_OK && request->kernel) status = pad_beyond_kernel(ctx, v, spans);
  for (size_t i = 0; i < 2 && status == RESNET_OK; i++)
    status = resolve_span(ctx, &spans[i], mode, ceil_mode != 0, request);
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
