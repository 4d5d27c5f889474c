/* Powers, element by element, for generalised mean pooling (GeM): Radenovic et al. 2018,
 * "Fine-tuning CNN Image Retrieval with No Human Annotation", section 3.2.
 *
 * powf of the C library may choose other instructions on another CPU. This arithmetic is
 * the same on all: double precision without fused operations, to about 1e-13 before the
 * one rounding to float. The result is therefore within 0.51 units of a float's last
 * place. Ends are those of C's pow. */
#include "runtime/kernels/table.h"

#include <math.h>

#include "runtime/kernels/describe.h"

enum { LOG_TERMS = 10, EXP_TERMS = 14 };

/* Return log2(x) of a finite x > 0: x = m 2^e with m in [sqrt(1/2), sqrt(2)), and
 * ln m = 2 (t + t^3/3 + t^5/5 ...) with t = (m - 1) / (m + 1), so that |t| < 0.172. */
static double log2_of(double x) {
  int exponent;
  double m = frexp(x, &exponent);
  if (m < 0.70710678118654752) {
    m *= 2;
    exponent--;
  }
  const double t = (m - 1) / (m + 1), square = t * t;
  double sum = 0;
  for (int k = LOG_TERMS; k >= 0; k--) sum = sum * square + 1.0 / (2 * k + 1);
  return (double)exponent + 2 * t * sum * 1.4426950408889634;
}

/* Return 2^x: 2^n times the Taylor series of exp(f ln 2), |f| <= 1/2. Beyond a float's
 * range the result is 0 or infinity. */
static double exp2_of(double x) {
  if (x > 200) return (double)INFINITY;
  if (x < -200) return 0;
  const double n = floor(x + 0.5), y = (x - n) * 0.69314718055994531;
  double sum = 1;
  for (int k = EXP_TERMS; k > 0; k--) sum = 1 + y / k * sum;
  return ldexp(sum, (int)n);
}

static float power_of(float x, float exponent) {
  const double p = (double)exponent, size = fabs((double)x);
  const bool whole = floor(p) >= p, odd = whole && fmod(fabs(p), 2) >= 1;
  if (!(fabsf(exponent) > 0)) return 1;
  if (isnan(x) || (x < 0 && isfinite(x) && !whole)) return NAN;
  double y;
  if (!(size > 0))
    y = p > 0 ? 0 : (double)INFINITY;
  else if (isinf(x))
    y = p > 0 ? (double)INFINITY : 0;
  else
    y = exp2_of(p * log2_of(size));
  return (float)(odd ? copysign(y, (double)x) : y);
}

static void power_elements(void *context, size_t start, size_t count) {
  const kernel_call *call = context;
  const float *x = call->input[0] + start;
  float *out = call->output + start;
  for (size_t i = 0; i < count; i++) out[i] = power_of(x[i], call->op->scalar);
}

static void run_power(const kernel_call *call) {
  pthreadpool_parallelize_1d_tile_1d(call->pool, power_elements, (void *)(uintptr_t)call,
                                     call->batch * plan_shape_floats(call->op->shape),
                                     ELEMENTS_PER_TASK / 16, POOL_FLAGS);
}

static void describe_power(const plan_op *op, char *text, size_t size) {
  describe_append(text, size, "exponent %g", (double)op->scalar);
}

const kernel kernel_power = {
    .name = "power", .in_place = 1, .run = run_power, .describe = describe_power};
