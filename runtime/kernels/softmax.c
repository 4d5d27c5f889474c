/* Softmax over the channels of each pixel, y = exp(x - max x - log sum exp (x - max x)),
 * and its logarithm. */
#include "runtime/kernels/softmax.h"
#include "runtime/kernels/table.h"

#include <math.h>

double kernel_log_sum_exp(const float *x, size_t n, double *largest) {
  float most = x[0];
  for (size_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
  *largest = (double)most;
  double sum = 0.0;
  for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - *largest);
  return log(sum);
}

static void softmax_pixel(void *context, size_t pixel) {
  const kernel_call *call = context;
  const size_t c = call->op->shape.c;
  const float *x = call->input[0] + pixel * c;
  float *y = call->output + pixel * c;
  double largest;
  const double rest = kernel_log_sum_exp(x, c, &largest);
  const bool logarithm = call->op->kernel == KERNEL_LOG_SOFTMAX;
  for (size_t k = 0; k < c; k++) {
    const double log_of_y = (double)x[k] - largest - rest;
    y[k] = (float)(logarithm ? log_of_y : exp(log_of_y));
  }
}

static void run_softmax(const kernel_call *call) {
  const size_t pixels = call->batch * call->op->shape.h * call->op->shape.w;
  pthreadpool_parallelize_1d(call->pool, softmax_pixel, (void *)(uintptr_t)call, pixels,
                             POOL_FLAGS);
}

const kernel kernel_softmax = {.name = "softmax", .in_place = 1, .run = run_softmax};
const kernel kernel_log_softmax = {.name = "log_softmax", .in_place = 1, .run = run_softmax};
