/* Softmax over the channels of each pixel, y = exp(x - log sum exp x), and its
 * logarithm. */
#include "runtime/kernels/softmax.h"
#include "runtime/kernels/table.h"

#include <math.h>

double kernel_log_sum_exp(const float *x, size_t n) {
  float largest = x[0];
  for (size_t i = 1; i < n; i++) largest = x[i] > largest ? x[i] : largest;
  double sum = 0.0;
  for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - (double)largest);
  return (double)largest + log(sum);
}

static void softmax_pixel(void *context, size_t pixel) {
  const kernel_call *call = context;
  const size_t c = call->op->shape.c;
  const float *x = call->input[0] + pixel * c;
  float *y = call->output + pixel * c;
  const double shift = kernel_log_sum_exp(x, c);
  const bool logarithm = call->op->kernel == KERNEL_LOG_SOFTMAX;
  for (size_t k = 0; k < c; k++)
    y[k] = (float)(logarithm ? (double)x[k] - shift : exp((double)x[k] - shift));
}

static void run_softmax(const kernel_call *call) {
  const size_t pixels = call->batch * call->op->shape.h * call->op->shape.w;
  pthreadpool_parallelize_1d(call->pool, softmax_pixel, (void *)(uintptr_t)call, pixels,
                             POOL_FLAGS);
}

const kernel kernel_softmax = {.name = "softmax", .in_place = 1, .run = run_softmax};
const kernel kernel_log_softmax = {.name = "log_softmax", .in_place = 1, .run = run_softmax};
