/* Kernels for single elements or channels, and the input's change of layout. */
#include "runtime/kernels/table.h"

#include <string.h>

#include "runtime/kernels/describe.h"

/* ---- input: the caller's (n,c,h,w) to (n,h,w,c) ---- */

static void interleave_sample(void *context, size_t sample) {
  const kernel_call *call = context;
  const size_t pixels = (size_t)call->op->shape.h * call->op->shape.w;
  const size_t offset = sample * plan_shape_floats(call->op->shape);
  call->simd->elementwise->interleave(call->input[0] + offset, pixels, call->op->shape.c,
                                      call->output + offset);
}

static void run_input(const kernel_call *call) {
  pthreadpool_parallelize_1d(call->pool, interleave_sample, (void *)(uintptr_t)call, call->batch,
                             POOL_FLAGS);
}

const kernel kernel_input = {.name = "input", .run = run_input};

/* ---- clamp and affine ---- */

static void clamp_elements(void *context, size_t start, size_t count) {
  const kernel_call *call = context;
  call->simd->elementwise->clamp(call->input[0] + start, call->output + start, count,
                                 call->op->clamp_min, call->op->clamp_max);
}

static void run_clamp(const kernel_call *call) {
  pthreadpool_parallelize_1d_tile_1d(call->pool, clamp_elements, (void *)(uintptr_t)call,
                                     call->batch * plan_shape_floats(call->op->shape),
                                     ELEMENTS_PER_TASK, POOL_FLAGS);
}

const kernel kernel_clamp = {
    .name = "clamp", .in_place = 1, .run = run_clamp, .describe = describe_clamp};

static void affine_row(void *context, size_t row) {
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const size_t offset = row * op->shape.w * op->shape.c;
  call->simd->elementwise->affine(call->input[0] + offset, op->weights, op->bias,
                                  call->output + offset, op->shape.w, op->shape.c, op->clamp_min,
                                  op->clamp_max);
}

static void run_affine(const kernel_call *call) {
  pthreadpool_parallelize_1d(call->pool, affine_row, (void *)(uintptr_t)call,
                             call->batch * call->op->shape.h, POOL_FLAGS);
}

const kernel kernel_affine = {
    .name = "affine", .in_place = 1, .run = run_affine, .describe = describe_clamp};

/* ---- PReLU (He et al. 2015, "Delving Deep into Rectifiers") ---- */

static void prelu_row(void *context, size_t row) {
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const size_t offset = row * op->shape.w * op->shape.c;
  call->simd->elementwise->prelu(call->input[0] + offset, op->weights, call->output + offset,
                                 op->shape.w, op->shape.c);
}

static void run_prelu(const kernel_call *call) {
  pthreadpool_parallelize_1d(call->pool, prelu_row, (void *)(uintptr_t)call,
                             call->batch * call->op->shape.h, POOL_FLAGS);
}

static void describe_prelu(const plan_op *op, char *text, size_t size) {
  (void)op;
  describe_append(text, size, "a slope for each channel");
}

const kernel kernel_prelu = {
    .name = "prelu", .in_place = 1, .run = run_prelu, .describe = describe_prelu};

/* ---- leaky ReLU ---- */

enum { LEAKY_BLOCK = 16 /* floats */ };

/* Compute one block. The sign bit selects: GCC 12 does not vectorise a comparison. */
static void leaky_relu_block(float block[LEAKY_BLOCK], float slope) {
  float scaled[LEAKY_BLOCK];
  uint32_t bits[LEAKY_BLOCK], scaled_bits[LEAKY_BLOCK];
  for (size_t i = 0; i < LEAKY_BLOCK; i++) scaled[i] = slope * block[i];
  memcpy(bits, block, sizeof bits);
  memcpy(scaled_bits, scaled, sizeof scaled_bits);
  for (size_t i = 0; i < LEAKY_BLOCK; i++) {
    const uint32_t negative = 0u - (bits[i] >> 31); /* all bits, or none */
    bits[i] = (bits[i] & ~negative) | (scaled_bits[i] & negative);
  }
  memcpy(block, bits, sizeof bits);
}

/* `out` may be `x`, so that a block is read before it is written. One source serves all
 * instruction sets: the loop waits for memory. */
static void leaky_relu_elements(void *context, size_t start, size_t count) {
  const kernel_call *call = context;
  const float *x = call->input[0] + start;
  float *out = call->output + start;
  for (size_t i = 0; i < count; i += LEAKY_BLOCK) {
    const size_t size = count - i < LEAKY_BLOCK ? count - i : LEAKY_BLOCK;
    float block[LEAKY_BLOCK] = {0};
    memcpy(block, x + i, size * sizeof *block);
    leaky_relu_block(block, call->op->scalar);
    memcpy(out + i, block, size * sizeof *block);
  }
}

static void run_leaky_relu(const kernel_call *call) {
  pthreadpool_parallelize_1d_tile_1d(call->pool, leaky_relu_elements, (void *)(uintptr_t)call,
                                     call->batch * plan_shape_floats(call->op->shape),
                                     ELEMENTS_PER_TASK, POOL_FLAGS);
}

static void describe_leaky_relu(const plan_op *op, char *text, size_t size) {
  describe_append(text, size, "slope %g", (double)op->scalar);
}

const kernel kernel_leaky_relu = {
    .name = "leaky_relu", .in_place = 1, .run = run_leaky_relu, .describe = describe_leaky_relu};
