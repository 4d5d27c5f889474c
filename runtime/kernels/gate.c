/* Gates on channels: the sigmoid, the scaling, and ECA's convolution along the channels.
 * Squeeze-and-excitation (Hu et al. 2018) and ECA (Wang et al. 2020) pool a feature map
 * to (1,1,c), compute a gate from that and scale the map by it. */
#include "runtime/kernels/table.h"

#include "runtime/kernels/describe.h"

/* ---- sigmoid ---- */

static void sigmoid_elements(void *context, size_t start, size_t count) {
  const kernel_call *call = context;
  call->simd->elementwise->sigmoid(call->input[0] + start, call->output + start, count);
}

static void run_sigmoid(const kernel_call *call) {
  pthreadpool_parallelize_1d_tile_1d(call->pool, sigmoid_elements, (void *)(uintptr_t)call,
                                     call->batch * plan_shape_floats(call->op->shape),
                                     ELEMENTS_PER_TASK, POOL_FLAGS);
}

const kernel kernel_sigmoid = {.name = "sigmoid", .in_place = 1, .run = run_sigmoid};

/* ---- scale ---- */

/* If the op computes the gate's sigmoid, it writes it to the workspace: other ops may
 * read the gate itself. */
static resnet_status shape_scale(kernel_call *call, resnet_error *error) {
  const size_t c = call->op->sigmoid ? call->op->shape.c : 0;
  if (mem_size_multiply(call->batch, c * sizeof(float), &call->workspace_size)) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_LIMIT,
                  "node '%s': the gates of %zu samples do not fit the address space; make the "
                  "batch smaller",
                  call->op->name, call->batch);
}

static void apply_sigmoid(void *context, size_t start, size_t count) {
  const kernel_call *call = context;
  float *gates = call->workspace;
  call->simd->elementwise->sigmoid(call->input[1] + start, gates + start, count);
}

/* Scale some rows of one sample. */
static void scale_rows(void *context, size_t sample, size_t row, size_t rows) {
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const size_t c = op->shape.c, offset = (sample * op->shape.h + row) * op->shape.w * c;
  const float *gates = op->sigmoid ? call->workspace : call->input[1];
  call->simd->elementwise->scale(call->input[0] + offset, gates + sample * c, call->output + offset,
                                 rows * op->shape.w, c, op->clamp_min, op->clamp_max);
}

static void run_scale(const kernel_call *call) {
  const plan_op *op = call->op;
  const size_t row = (size_t)op->shape.w * op->shape.c;
  const size_t rows = row < ELEMENTS_PER_TASK ? ELEMENTS_PER_TASK / row : 1;
  if (op->sigmoid)
    pthreadpool_parallelize_1d_tile_1d(call->pool, apply_sigmoid, (void *)(uintptr_t)call,
                                       call->batch * op->shape.c, ELEMENTS_PER_TASK, POOL_FLAGS);
  pthreadpool_parallelize_2d_tile_1d(call->pool, scale_rows, (void *)(uintptr_t)call, call->batch,
                                     op->shape.h, rows, POOL_FLAGS);
}

static void describe_scale(const plan_op *op, char *text, size_t size) {
  describe_append(text, size, op->sigmoid ? "gate sigmoid" : "gate");
  describe_clamp(op, text, size);
}

const kernel kernel_scale = {.name = "scale",
                             .in_place = 1,
                             .shape = shape_scale,
                             .run = run_scale,
                             .describe = describe_scale};

/* ---- product of two feature maps ---- */

static void multiply_elements(void *context, size_t start, size_t count) {
  enum { CHUNK = 1024 };
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const simd_elementwise *v = call->simd->elementwise;
  float gates[CHUNK];
  for (size_t end = start + count; start < end; start += CHUNK) {
    const size_t n = end - start < CHUNK ? end - start : CHUNK;
    const float *gate = call->input[1] + start;
    if (op->sigmoid) v->sigmoid(gate, gates, n);
    v->scale(call->input[0] + start, op->sigmoid ? gates : gate, call->output + start, 1, n,
             op->clamp_min, op->clamp_max);
  }
}

static void run_multiply(const kernel_call *call) {
  pthreadpool_parallelize_1d_tile_1d(call->pool, multiply_elements, (void *)(uintptr_t)call,
                                     call->batch * plan_shape_floats(call->op->shape),
                                     ELEMENTS_PER_TASK, POOL_FLAGS);
}

static void describe_multiply(const plan_op *op, char *text, size_t size) {
  const bool own = op->input[0] == op->input[1];
  describe_append(text, size, "%s", op->sigmoid ? own ? "swish" : "gate sigmoid" : "");
  describe_clamp(op, text, size);
}

const kernel kernel_multiply = {
    .name = "multiply", .in_place = 3, .run = run_multiply, .describe = describe_multiply};

/* ---- convolution along the channels ---- */

/* Sum the taps around one channel; channels outside 0..c-1 count as zeros. */
static float channel_sum(const plan_op *op, const float *x, size_t channel) {
  const size_t taps = op->window.kernel_w, pad = op->window.pad_left;
  float sum = op->bias[0];
  for (size_t k = channel < pad ? pad - channel : 0; k < taps && channel + k - pad < op->in.c; k++)
    sum += op->weights[k] * x[channel + k - pad];
  return sum;
}

static void convolve_sample(void *context, size_t sample) {
  const kernel_call *call = context;
  const size_t c = call->op->shape.c;
  for (size_t k = 0; k < c; k++)
    call->output[sample * c + k] = channel_sum(call->op, call->input[0] + sample * c, k);
}

static void run_channel_conv(const kernel_call *call) {
  pthreadpool_parallelize_1d(call->pool, convolve_sample, (void *)(uintptr_t)call, call->batch,
                             POOL_FLAGS);
}

static void describe_channel_conv(const plan_op *op, char *text, size_t size) {
  describe_append(text, size, "channels 1x%u", op->window.kernel_w);
}

const kernel kernel_channel_conv = {
    .name = "channel_conv", .run = run_channel_conv, .describe = describe_channel_conv};
