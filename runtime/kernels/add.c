/* The shortcut: out = clamp(residual + shortcut), in one pass. XNNPACK's addition has no
 * clamp.
 *
 * Option A (section 3.3 of "Deep Residual Learning"): the shortcut's source is
 * sub-sampled and extended by zero channels. The addition reads the source's pixels in
 * place, so neither the sub-sampled nor the padded tensor is ever written. */
#include "runtime/kernels/table.h"

#include <string.h>

#include "runtime/kernels/describe.h"

static void add_elements(void *context, size_t start, size_t count) {
  const kernel_call *call = context;
  call->simd->elementwise->add(call->input[0] + start, call->input[1] + start, call->output + start,
                               count, call->op->clamp_min, call->op->clamp_max);
}

/* Add one output row of one sample. */
static void add_subsampled_row(void *context, size_t sample, size_t row) {
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const simd_elementwise *v = call->simd->elementwise;
  const size_t c = op->shape.c, source_c = op->source_shape.c, before = op->channels_before;
  const size_t after = before + source_c;
  const size_t pixel = (sample * op->shape.h + row) * op->shape.w;
  const size_t source_row = sample * op->source_shape.h + row * op->stride_h;
  const float *x = call->input[0] + pixel * c;
  const float *source = call->input[1] + source_row * op->source_shape.w * source_c;
  float *out = call->output + pixel * c;
  for (size_t column = 0; column < op->shape.w; column++) {
    v->clamp(x, out, before, op->clamp_min, op->clamp_max);
    v->add(x + before, source, out + before, source_c, op->clamp_min, op->clamp_max);
    v->clamp(x + after, out + after, c - after, op->clamp_min, op->clamp_max);
    x += c;
    out += c;
    source += op->stride_w * source_c;
  }
}

static void run_add(const kernel_call *call) {
  if (call->op->subsampled)
    pthreadpool_parallelize_2d(call->pool, add_subsampled_row, (void *)(uintptr_t)call, call->batch,
                               call->op->shape.h, POOL_FLAGS);
  else
    pthreadpool_parallelize_1d_tile_1d(call->pool, add_elements, (void *)(uintptr_t)call,
                                       call->batch * plan_shape_floats(call->op->shape),
                                       ELEMENTS_PER_TASK, POOL_FLAGS);
}

static void describe_subsample(const plan_op *op, char *text, size_t size) {
  describe_append(text, size, "stride %u,%u, %u zero channels before", op->stride_h, op->stride_w,
                  op->channels_before);
}

static void describe_add(const plan_op *op, char *text, size_t size) {
  describe_append(text, size, "%s", describe_shortcut(op));
  if (op->subsampled) {
    describe_append(text, size, " ");
    describe_subsample(op, text, size);
  }
  describe_clamp(op, text, size);
}

/* An option-A tensor is written where more than one addition reads it. */
static void subsample_row(void *context, size_t sample, size_t row) {
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const size_t c = op->shape.c, source_c = op->source_shape.c;
  const size_t source_row = sample * op->source_shape.h + row * op->stride_h;
  const float *source = call->input[0] + source_row * op->source_shape.w * source_c;
  float *out = call->output + (sample * op->shape.h + row) * op->shape.w * c;
  memset(out, 0, op->shape.w * c * sizeof *out);
  for (size_t column = 0; column < op->shape.w;
       column++, out += c, source += op->stride_w * source_c)
    memcpy(out + op->channels_before, source, source_c * sizeof *out);
}

static void run_subsample(const kernel_call *call) {
  pthreadpool_parallelize_2d(call->pool, subsample_row, (void *)(uintptr_t)call, call->batch,
                             call->op->shape.h, POOL_FLAGS);
}

const kernel kernel_add = {.name = "add", .in_place = 3, .run = run_add, .describe = describe_add};

const kernel kernel_subsample = {
    .name = "subsample", .run = run_subsample, .describe = describe_subsample};
