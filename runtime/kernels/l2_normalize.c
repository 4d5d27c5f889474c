/* Each pixel's channels divided by their Euclidean norm. The sum of squares is in double
 * precision and in index order: the same bits on any CPU. */
#include "runtime/kernels/table.h"

#include <math.h>

#include "runtime/kernels/describe.h"

/* Return what to divide by; 0: the output is 0. */
static double find_divisor(const plan_op *op, double squares) {
  const double epsilon = (double)op->scalar, norm = sqrt(squares);
  switch (op->norm_mode) {
  case GRAPH_NORM_MIN:
    return norm < epsilon ? epsilon : norm;
  case GRAPH_NORM_ADD:
    return norm + epsilon;
  case GRAPH_NORM_ADD_SQUARE:
    return sqrt(squares + epsilon);
  default:
    return norm;
  }
}

static void normalize_pixel(void *context, size_t pixel) {
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const size_t c = op->shape.c;
  const float *x = call->input[0] + pixel * c;
  float *y = call->output + pixel * c;
  double squares = 0;
  for (size_t k = 0; k < c; k++) squares += (double)x[k] * (double)x[k];
  const double divisor = find_divisor(op, squares);
  const bool zero = op->norm_mode == GRAPH_NORM_ZERO && !(divisor < 0 || divisor > 0);
  for (size_t k = 0; k < c; k++) y[k] = zero ? 0.0f : (float)((double)x[k] / divisor);
}

static void run_l2_normalize(const kernel_call *call) {
  const size_t pixels = call->batch * call->op->shape.h * call->op->shape.w;
  pthreadpool_parallelize_1d(call->pool, normalize_pixel, (void *)(uintptr_t)call, pixels,
                             POOL_FLAGS);
}

static void describe_l2_normalize(const plan_op *op, char *text, size_t size) {
  const double epsilon = (double)op->scalar;
  if (op->norm_mode == GRAPH_NORM_MIN)
    describe_append(text, size, "by max(norm, %g)", epsilon);
  else if (op->norm_mode == GRAPH_NORM_ADD)
    describe_append(text, size, "by norm + %g", epsilon);
  else if (op->norm_mode == GRAPH_NORM_ADD_SQUARE)
    describe_append(text, size, "by sqrt(squares + %g)", epsilon);
  else
    describe_append(text, size, "by norm");
}

const kernel kernel_l2_normalize = {.name = "l2_normalize",
                                    .in_place = 1,
                                    .run = run_l2_normalize,
                                    .describe = describe_l2_normalize};
