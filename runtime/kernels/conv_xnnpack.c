/* Convolution + bias + clamp by XNNPACK. A fully connected layer is a 1x1 convolution
 * over one pixel. */
#include "runtime/kernels/table.h"

#include "runtime/kernels/describe.h"

/* XNNPACK's depthwise paths do not ask a weights cache for packed weights: each session
 * packs its own from the plan's. These are few (kernel area times channels). */
static bool is_depthwise(const plan_op *op) {
  return op->groups == op->in.c && op->groups == op->shape.c;
}

/* Create an operator in *out, NULL before. XNNPACK returns success without an operator
 * when it cannot allocate the zeros around the image. */
static enum xnn_status create_operator(const plan_op *op, const float *weights, const float *bias,
                                       xnn_weights_cache_t cache, xnn_operator_t *out) {
  const graph_window *w = &op->window;
  enum xnn_status status = xnn_create_convolution2d_nhwc_f32(
      w->pad_top, w->pad_right, w->pad_bottom, w->pad_left, w->kernel_h, w->kernel_w, w->stride_h,
      w->stride_w, w->dilation_h, w->dilation_w, op->groups, op->in.c / op->groups,
      op->shape.c / op->groups, op->in.c, op->shape.c, weights, bias, op->clamp_min, op->clamp_max,
      0, NULL, cache, out);
  return status == xnn_status_success && !*out ? xnn_status_out_of_memory : status;
}

static resnet_status report_status(const plan_op *op, enum xnn_status status, const char *step,
                                   resnet_error *error) {
  if (status == xnn_status_success) return RESNET_OK;
  if (status == xnn_status_out_of_memory)
    return err_no_memory(error, "a convolution's packed weights or indirection");
  return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                  "node '%s' (Conv): XNNPACK refuses to %s it (status %d); the CPU lacks what its "
                  "kernels need, or the shapes are too large for it",
                  op->name, step, (int)status);
}

/* Return a * b + c, or UINT64_MAX if that overflows. */
static uint64_t multiply_add(uint64_t a, uint64_t b, uint64_t c) {
  return b != 0 && a > (UINT64_MAX - c) / b ? UINT64_MAX : a * b + c;
}

/* XNNPACK allocates, measured with the version of tools/deps and rounded up:
 *   - the operator, 3 kB;
 *   - a row of zeros, as long as a pixel;
 *   - a pointer for every tap of every output pixel, unless the kernel is 1x1 with stride
 *     1. It rounds up to whole tiles, of fewer pixels than 64.
 *   - depthwise weights. Kernels of up to 25 taps are padded to 25, in tiles of up to 64
 *     channels. Larger ones are packed as a product for each channel, in such tiles. */
static uint64_t state_bytes_xnnpack(const plan_op *op) {
  enum { OPERATOR_BYTES = 4096, TILE = 64, UNIPASS_TAPS = 25 };
  const graph_window *w = &op->window;
  const uint64_t taps = (uint64_t)w->kernel_h * w->kernel_w,
                 pixels = (uint64_t)op->shape.h * op->shape.w + TILE;
  uint64_t bytes = OPERATOR_BYTES + sizeof(float) * (op->in.c + (uint64_t)TILE);
  if (taps > 1 || w->stride_h > 1 || w->stride_w > 1)
    bytes = multiply_add(taps * sizeof(void *), pixels, bytes);
  if (!is_depthwise(op)) return bytes;
  const uint64_t rows = taps <= UNIPASS_TAPS ? UNIPASS_TAPS + 1 : taps + 1,
                 columns =
                     taps <= UNIPASS_TAPS ? round_up(op->in.c, TILE) : (uint64_t)op->in.c * TILE;
  return multiply_add(rows * sizeof(float), columns, bytes);
}

static size_t packed_size_xnnpack(const plan_op *op) {
  size_t size = 0;
  if (is_depthwise(op)) return 0;
  weights_provider provider;
  weights_provider_measure(&provider, &size);
  xnn_operator_t none = NULL;
  const float present = 0.0f; /* XNNPACK only checks that there are weights */
  (void)create_operator(op, &present, &present, &provider.provider, &none);
  return size;
}

static resnet_status pack_xnnpack(plan_op *op, memory *m, resnet_error *error) {
  if (is_depthwise(op)) return RESNET_OK;
  weights_provider provider;
  weights_provider_pack(&provider, m, &op->packed);
  xnn_operator_t packer = NULL;
  resnet_status status = report_status(
      op, create_operator(op, op->weights, op->bias, &provider.provider, &packer), "pack", error);
  xnn_delete_operator(packer);
  if (status != RESNET_OK) return status;
  plan_op_release_weights(op, m);
  return RESNET_OK;
}

static resnet_status open_xnnpack(const kernel_call *call, resnet_error *error) {
  const plan_op *op = call->op;
  kernel_state *state = call->state;
  if (is_depthwise(op))
    return report_status(op, create_operator(op, op->weights, op->bias, NULL, &state->xnnpack),
                         "create", error);
  weights_provider_read(&state->weights, &op->packed);
  /* the unpacked weights were released; XNNPACK only checks that there are weights */
  const float *present = op->packed.data;
  return report_status(
      op, create_operator(op, present, present, &state->weights.provider, &state->xnnpack),
      "create", error);
}

static resnet_status shape_xnnpack(kernel_call *call, resnet_error *error) {
  size_t alignment, height, width;
  enum xnn_status status = xnn_reshape_convolution2d_nhwc_f32(
      call->state->xnnpack, call->batch, call->op->in.h, call->op->in.w, &call->workspace_size,
      &alignment, &height, &width, call->pool);
  if (status == xnn_status_success && (height != call->op->shape.h || width != call->op->shape.w))
    return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                    "node '%s' (Conv): XNNPACK computes %zux%zu where the graph has %ux%u",
                    call->op->name, height, width, call->op->shape.h, call->op->shape.w);
  return report_status(call->op, status, "reshape", error);
}

static void run_xnnpack(const kernel_call *call) {
  /* cannot fail: the operator was created and shaped for these buffers */
  (void)xnn_setup_convolution2d_nhwc_f32(call->state->xnnpack, call->workspace, call->input[0],
                                         call->output);
  (void)xnn_run_operator(call->state->xnnpack, call->pool);
}

static void close_xnnpack(kernel_state *state) {
  xnn_delete_operator(state->xnnpack);
  state->xnnpack = NULL;
}

static void describe_xnnpack(const plan_op *op, char *text, size_t size) {
  describe_convolution(op, text, size);
  describe_clamp(op, text, size);
}

const kernel kernel_conv = {
    .name = "conv",
    .is_convolution = true,
    .packed_size = packed_size_xnnpack,
    .pack = pack_xnnpack,
    .state_bytes = state_bytes_xnnpack,
    .open = open_xnnpack,
    .shape = shape_xnnpack,
    .run = run_xnnpack,
    .close = close_xnnpack,
    .describe = describe_xnnpack,
};
