/* Kernels that work element by element or channel by channel, and the input's change of layout. */
#include <math.h>
#include <stdio.h>

#include "runtime/kernels/kernel.h"

enum { TILE = 16384 }; /* floats for one task */

/* ---- input: (n,c,h,w) as the caller has it to (n,h,w,c) ---- */

static void interleave_picture(void *context, size_t picture) {
  const kernel_call *call = context;
  const size_t pixels = (size_t)call->op->shape.h * call->op->shape.w;
  const size_t offset = picture * shape_floats(call->op->shape);
  call->vector->interleave(call->input[0] + offset, pixels, call->op->shape.c, call->output + offset);
}

static void run_input(const kernel_call *call) {
  pthreadpool_parallelize_1d(call->pool, interleave_picture, (void *)(uintptr_t)call, call->batch, 0);
}

const kernel kernel_input = {.name = "input", .run = run_input};

/* ---- clamp and affine ---- */

static void clamp_tile(void *context, size_t start, size_t count) {
  const kernel_call *call = context;
  call->vector->clamp(call->input[0] + start, call->output + start, count, call->op->clamp_min, call->op->clamp_max);
}

static void run_clamp(const kernel_call *call) {
  pthreadpool_parallelize_1d_tile_1d(call->pool, clamp_tile, (void *)(uintptr_t)call,
                                     call->batch * shape_floats(call->op->shape), TILE, 0);
}

const kernel kernel_clamp = {.name = "clamp", .in_place = 1, .run = run_clamp, .describe = describe_clamp};

static void affine_row(void *context, size_t row) {
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const size_t offset = row * op->shape.w * op->shape.c;
  call->vector->affine(call->input[0] + offset, op->weights, op->bias, call->output + offset, op->shape.w, op->shape.c,
                       op->clamp_min, op->clamp_max);
}

static void run_affine(const kernel_call *call) {
  pthreadpool_parallelize_1d(call->pool, affine_row, (void *)(uintptr_t)call, call->batch * call->op->shape.h, 0);
}

const kernel kernel_affine = {.name = "affine", .in_place = 1, .run = run_affine, .describe = describe_clamp};

/* ---- softmax: y = exp(x - max) / sum; log softmax: y = x - max - log(sum). Sums in double, in channel order ---- */

static float largest(const float *x, size_t n) {
  float best = x[0];
  for (size_t i = 1; i < n; i++) best = x[i] > best ? x[i] : best;
  return best;
}

static void softmax_pixel(void *context, size_t pixel) {
  const kernel_call *call = context;
  const size_t c = call->op->shape.c;
  const float *x = call->input[0] + pixel * c;
  float *y = call->output + pixel * c;
  const float best = largest(x, c);
  double sum = 0.0;
  for (size_t k = 0; k < c; k++) {
    y[k] = expf(x[k] - best);
    sum += (double)y[k];
  }
  for (size_t k = 0; k < c; k++) y[k] = (float)((double)y[k] / sum);
}

static void log_softmax_pixel(void *context, size_t pixel) {
  const kernel_call *call = context;
  const size_t c = call->op->shape.c;
  const float *x = call->input[0] + pixel * c;
  float *y = call->output + pixel * c;
  const float best = largest(x, c);
  double sum = 0.0;
  for (size_t k = 0; k < c; k++) sum += exp((double)x[k] - (double)best);
  const double shift = (double)best + log(sum);
  for (size_t k = 0; k < c; k++) y[k] = (float)((double)x[k] - shift);
}

static void run_pixels(const kernel_call *call, pthreadpool_task_1d_t task) {
  const size_t pixels = call->batch * call->op->shape.h * call->op->shape.w;
  pthreadpool_parallelize_1d(call->pool, task, (void *)(uintptr_t)call, pixels, 0);
}

static void run_softmax(const kernel_call *call) { run_pixels(call, softmax_pixel); }
static void run_log_softmax(const kernel_call *call) { run_pixels(call, log_softmax_pixel); }

const kernel kernel_softmax = {.name = "softmax", .in_place = 1, .run = run_softmax};
const kernel kernel_log_softmax = {.name = "log_softmax", .in_place = 1, .run = run_log_softmax};
