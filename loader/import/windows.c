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

/* A window along one axis. */
typedef struct span {
  int64_t in, kernel, stride, dilation, out;
  int64_t before, after; /* pads, the overhang included */
  int64_t overhang;      /* how far ceil_mode's last window extends past them */
  /* padding of the value, part of ONNX's input */
  int64_t deferred_before, deferred_after;
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

static int64_t reach(const span *s) { return (s->kernel - 1) * s->dilation + 1; }

/* Return the size of ONNX's input. */
static int64_t whole_input(const span *s) { return s->in + s->deferred_before + s->deferred_after; }

/* Pad by ONNX's formula, in which a kernel with dilation is as large as its reach.
 * onnxruntime 1.x refuses such convolutions, and pads such pools as if the dilation were
 * 1, so that their output is smaller. */
static void pad_to_same(span *s, window_auto_pad mode) {
  const int64_t in = whole_input(s), out = (in - 1) / s->stride + 1;
  int64_t total = (out - 1) * s->stride + reach(s) - in;
  if (total < 0) total = 0;
  const int64_t smaller = total / 2, larger = total - smaller;
  s->before = mode == PAD_SAME_LOWER ? larger : smaller;
  s->after = mode == PAD_SAME_LOWER ? smaller : larger;
}

/* Count the windows. ceil_mode adds one that extends past the padding, if it begins in
 * the input or in the padding before it; the padding after the input grows to fit. */
static resnet_status count_windows(import_context *ctx, span *s, bool ceil_mode) {
  const int64_t padded = whole_input(s) + s->before + s->after, room = padded - reach(s);
  if (room < 0 && !(ceil_mode && room > -s->stride))
    return invalid(ctx, "its kernel (%lld, with dilation) is larger than its padded input (%lld)",
                   (long long)reach(s), (long long)padded);
  const int64_t whole = room < 0 ? 0 : room / s->stride + 1, start = whole * s->stride;
  const bool adds = ceil_mode && start - s->stride < room && start < padded - s->after;
  s->out = whole + adds;
  s->overhang = adds ? start - room : 0;
  s->after += s->overhang;
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
    spans[i].before = pads[i];
    spans[i].after = pads[i + 2];
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

/* Return the span without padding after the input that no window covers. */
static span trim_padding(span s) {
  int64_t used = (s.out - 1) * s.stride + reach(&s) - s.in - s.before - s.deferred_before;
  if (used < 0) used = 0;
  if (used < s.deferred_after) s.deferred_after = used;
  if (used - s.deferred_after < s.after) s.after = used - s.deferred_after;
  return s;
}

static bool own_within_reach(const span *s) { return s->before < reach(s) && s->after < reach(s); }

static bool all_within_reach(const span *s) {
  return s->before + s->deferred_before < reach(s) && s->after + s->deferred_after < reach(s);
}

/* Materialise the value's deferred padding and, if `own`, the window's. */
static resnet_status materialize(import_context *ctx, value *v, span spans[2], bool own) {
  span *y = &spans[0], *x = &spans[1];
  v->pad_top = (uint32_t)(y->deferred_before + (own ? y->before : 0));
  v->pad_bottom = (uint32_t)(y->deferred_after + (own ? y->after - y->overhang : 0));
  v->pad_left = (uint32_t)(x->deferred_before + (own ? x->before : 0));
  v->pad_right = (uint32_t)(x->deferred_after + (own ? x->after - x->overhang : 0));
  if (own) {
    v->name = ""; /* the padded image equals no tensor of the file */
    v->pad_node_name = import_node_name(ctx->node);
  }
  resnet_status status = padding_materialize(ctx, v);
  const graph_shape padded = value_shape(ctx, v);
  for (size_t i = 0; i < 2; i++) {
    span *s = &spans[i];
    s->in = i == 0 ? padded.h : padded.w;
    s->deferred_before = s->deferred_after = 0;
    if (own) s->before = 0;
    if (own) s->after = s->overhang;
  }
  return status;
}

static resnet_status check_own_pads(import_context *ctx, const span *s) {
  if (own_within_reach(s)) return RESNET_OK;
  return unsupported(
      ctx, "pads by %lld and %lld: each must be less than the kernel (%lld, with dilation)",
      (long long)s->before, (long long)s->after, (long long)reach(s));
}

/* Materialise padding that the graph's window cannot have: more than it reaches, and
 * padding that an average counts where its last window extends past it. */
static resnet_status fit_padding(import_context *ctx, value *v, const window_request *request,
                                 span spans[2]) {
  const bool is_conv = request->kernel != NULL;
  const bool counts = request->counts_padding && *request->counts_padding &&
                      (spans[0].overhang || spans[1].overhang);
  for (size_t i = 0; i < 2 && !is_conv; i++) {
    resnet_status status = check_own_pads(ctx, &spans[i]);
    if (status != RESNET_OK) return status;
  }
  if (!counts && all_within_reach(&spans[0]) && all_within_reach(&spans[1])) return RESNET_OK;
  const span y = trim_padding(spans[0]), x = trim_padding(spans[1]);
  if (!counts && all_within_reach(&y) && all_within_reach(&x)) {
    spans[0] = y;
    spans[1] = x;
    return RESNET_OK;
  }
  if (v->pad_lowest && padding_is_deferred(v))
    return unsupported(ctx,
                       "the padding of node '%.60s' with the lowest number is not less than the "
                       "kernel: less padding is accepted",
                       v->pad_node_name);
  if (counts) *request->counts_padding = false;
  return materialize(ctx, v, spans,
                     counts || !own_within_reach(&spans[0]) || !own_within_reach(&spans[1]));
}

/* Refuse pools with a window of padding alone. */
static resnet_status check_taps(import_context *ctx, const value *v, const graph_window *window,
                                const graph_shape *out) {
  if (graph_pool_has_taps(window, value_shape(ctx, v), *out)) return RESNET_OK;
  return unsupported(ctx, "one of its windows covers only padding, and has no value: smaller pads "
                          "or a smaller dilation are accepted");
}

resnet_status window_read(import_context *ctx, value *v, const window_request *request,
                          graph_window *window, graph_shape *out) {
  graph_shape in = value_shape(ctx, v);
  span spans[2] = {{.in = in.h, .deferred_before = v->pad_top, .deferred_after = v->pad_bottom},
                   {.in = in.w, .deferred_before = v->pad_left, .deferred_after = v->pad_right}};
  window_auto_pad mode = PAD_NOTSET;
  int64_t ceil_mode = 0;
  resnet_status status = read_spans(ctx, request, spans, &mode);
  if (status == RESNET_OK) status = attr_get_int(ctx, "ceil_mode", 0, &ceil_mode);
  for (size_t i = 0; i < 2 && status == RESNET_OK; i++) {
    if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) pad_to_same(&spans[i], mode);
    status = count_windows(ctx, &spans[i], ceil_mode != 0);
  }
  if (status == RESNET_OK) status = fit_padding(ctx, v, request, spans);
  if (status != RESNET_OK) return status;
  const span *y = &spans[0], *x = &spans[1];
  *window = (graph_window){
      (uint32_t)y->kernel,
      (uint32_t)x->kernel,
      (uint32_t)y->stride,
      (uint32_t)x->stride,
      (uint32_t)y->dilation,
      (uint32_t)x->dilation,
      (uint32_t)(y->before + y->deferred_before),
      (uint32_t)(x->before + x->deferred_before),
      (uint32_t)(y->after + y->deferred_after),
      (uint32_t)(x->after + x->deferred_after),
  };
  out->h = (uint32_t)y->out;
  out->w = (uint32_t)x->out;
  return request->kernel ? RESNET_OK : check_taps(ctx, v, window, out);
}
