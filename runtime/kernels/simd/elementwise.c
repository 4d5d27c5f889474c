/* Plain C whose loops over channels the compiler vectorises: blocks of a fixed width stay
 * in registers. */
#include "runtime/kernels/simd/elementwise.h"

#include <math.h>
#include <stdint.h>

#include "runtime/kernels/simd/simd.h"

/* floats: two registers of AVX-512, four of AVX, eight of SSE or NEON */
enum { BLOCK = 32 };

static float clamp_one(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

/* Each block goes through a local array, which stays in registers. So `out` may be an
 * input, and the compiler knows that no store changes what it loads next. */
static void add_block(const float *a, const float *b, float *out, size_t width, float low,
                      float high) {
  float sum[BLOCK];
  for (size_t k = 0; k < width; k++) sum[k] = clamp_one(a[k] + b[k], low, high);
  for (size_t k = 0; k < width; k++) out[k] = sum[k];
}

static void add_floats(const float *a, const float *b, float *out, size_t n, float low,
                       float high) {
  size_t i = 0;
  for (; i + BLOCK <= n; i += BLOCK) add_block(a + i, b + i, out + i, BLOCK, low, high);
  if (i < n) add_block(a + i, b + i, out + i, n - i, low, high);
}

static void affine_block(const float *x, const float *scale, const float *shift, float *out,
                         size_t width, float low, float high) {
  float y[BLOCK];
  for (size_t k = 0; k < width; k++) y[k] = clamp_one(x[k] * scale[k] + shift[k], low, high);
  for (size_t k = 0; k < width; k++) out[k] = y[k];
}

static void affine_channels(const float *x, const float *scale, const float *shift, float *out,
                            size_t pixels, size_t c, float low, float high) {
  for (size_t p = 0; p < pixels; p++, x += c, out += c) {
    size_t k = 0;
    for (; k + BLOCK <= c; k += BLOCK)
      affine_block(x + k, scale + k, shift + k, out + k, BLOCK, low, high);
    if (k < c) affine_block(x + k, scale + k, shift + k, out + k, c - k, low, high);
  }
}

static void clamp_block(const float *x, float *out, size_t width, float low, float high) {
  float y[BLOCK];
  for (size_t k = 0; k < width; k++) y[k] = clamp_one(x[k], low, high);
  for (size_t k = 0; k < width; k++) out[k] = y[k];
}

static void clamp_floats(const float *x, float *out, size_t n, float low, float high) {
  size_t i = 0;
  for (; i + BLOCK <= n; i += BLOCK) clamp_block(x + i, out + i, BLOCK, low, high);
  if (i < n) clamp_block(x + i, out + i, n - i, low, high);
}

static void scale_block(const float *x, const float *gate, float *out, size_t width, float low,
                        float high) {
  float y[BLOCK];
  for (size_t k = 0; k < width; k++) y[k] = clamp_one(x[k] * gate[k], low, high);
  for (size_t k = 0; k < width; k++) out[k] = y[k];
}

static void scale_channels(const float *x, const float *gate, float *out, size_t pixels, size_t c,
                           float low, float high) {
  for (size_t p = 0; p < pixels; p++, x += c, out += c) {
    size_t k = 0;
    for (; k + BLOCK <= c; k += BLOCK) scale_block(x + k, gate + k, out + k, BLOCK, low, high);
    if (k < c) scale_block(x + k, gate + k, out + k, c - k, low, high);
  }
}

static inline uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* The sign bit selects: GCC 12 does not vectorise a comparison. */
static void prelu_block(const float *x, const float *slope, float *out, size_t width) {
  float y[BLOCK];
  for (size_t k = 0; k < width; k++) {
    const uint32_t negative = 0u - (bits_of(x[k]) >> 31); /* all bits, or none */
    y[k] = float_of((bits_of(x[k]) & ~negative) | (bits_of(slope[k] * x[k]) & negative));
  }
  for (size_t k = 0; k < width; k++) out[k] = y[k];
}

static void prelu_channels(const float *x, const float *slope, float *out, size_t pixels,
                           size_t c) {
  for (size_t p = 0; p < pixels; p++, x += c, out += c) {
    size_t k = 0;
    for (; k + BLOCK <= c; k += BLOCK) prelu_block(x + k, slope + k, out + k, BLOCK);
    if (k < c) prelu_block(x + k, slope + k, out + k, c - k);
  }
}

/* Return exp(x) for -87.33 <= x <= 0, where it is no less than 2^-126.
 *
 * x = n ln 2 + r, n an integer, |r| <= ln(2) / 2. Adding 1.5 * 2^23 leaves n in the last
 * bits of the sum. ln 2 is the sum of two constants, and n times the first one is exact
 * (Cody & Waite 1980, "Software Manual for the Elementary Functions"). The error of
 * Taylor's series for exp(r) is r^8 / 8! < 2^-27. */
static inline float exp_one(float x) {
  static const float shift = 12582912.0f, log2_e = 1.44269504f, ln2_high = 0.693359375f,
                     ln2_low = -2.12194440e-4f;
  const float shifted = x * log2_e + shift, n = shifted - shift,
              r = (x - n * ln2_high) - n * ln2_low;
  float sum = 1.0f / 5040;
  sum = sum * r + 1.0f / 720;
  sum = sum * r + 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  /* 2^n: the shift to the left drops the bits of `shift` above n */
  return sum * float_of((bits_of(shifted) + 127) << 23);
}

/* 1 / (1 + exp(-x)) = exp(x) / (1 + exp(x)). Both forms are computed from exp(-|x|),
 * which cannot overflow, so both tails keep all their digits. The sign bit of x selects
 * the numerator, and the limit has its own loop: compilers translate a `?:` around all
 * this into a jump, which they cannot vectorise. */
static void sigmoid_block(const float *x, float *out, size_t width) {
  float y[BLOCK];
  for (size_t k = 0; k < width; k++) y[k] = clamp_one(-fabsf(x[k]), -87.33f, 0.0f);
  for (size_t k = 0; k < width; k++) {
    const float e = exp_one(y[k]);
    const uint32_t negative = 0u - (bits_of(x[k]) >> 31);
    y[k] = float_of((bits_of(e) & negative) | (bits_of(1.0f) & ~negative)) / (1.0f + e);
  }
  for (size_t k = 0; k < width; k++) out[k] = y[k];
}

static void sigmoid_floats(const float *x, float *out, size_t n) {
  size_t i = 0;
  for (; i + BLOCK <= n; i += BLOCK) sigmoid_block(x + i, out + i, BLOCK);
  if (i < n) sigmoid_block(x + i, out + i, n - i);
}

static void max_block(const float *x, size_t rows, size_t row_stride, size_t columns,
                      size_t column_stride, size_t width, float *out) {
  float best[BLOCK];
  for (size_t k = 0; k < width; k++) best[k] = x[k];
  for (size_t row = 0; row < rows; row++)
    for (size_t column = 0; column < columns; column++) {
      const float *pixel = x + row * row_stride + column * column_stride;
      for (size_t k = 0; k < width; k++) best[k] = pixel[k] > best[k] ? pixel[k] : best[k];
    }
  for (size_t k = 0; k < width; k++) out[k] = best[k];
}

static void window_max(const float *x, size_t rows, size_t row_stride, size_t columns,
                       size_t column_stride, size_t c, float *out) {
  size_t k = 0;
  for (; k + BLOCK <= c; k += BLOCK)
    max_block(x + k, rows, row_stride, columns, column_stride, BLOCK, out + k);
  if (k < c) max_block(x + k, rows, row_stride, columns, column_stride, c - k, out + k);
}

static void sum_block(const float *x, size_t rows, size_t row_stride, size_t columns,
                      size_t column_stride, size_t width, float factor, float *out) {
  float sum[BLOCK] = {0};
  for (size_t row = 0; row < rows; row++)
    for (size_t column = 0; column < columns; column++) {
      const float *pixel = x + row * row_stride + column * column_stride;
      for (size_t k = 0; k < width; k++) sum[k] += pixel[k];
    }
  for (size_t k = 0; k < width; k++) out[k] = sum[k] * factor;
}

static void window_sum(const float *x, size_t rows, size_t row_stride, size_t columns,
                       size_t column_stride, size_t c, float factor, float *out) {
  size_t k = 0;
  for (; k + BLOCK <= c; k += BLOCK)
    sum_block(x + k, rows, row_stride, columns, column_stride, BLOCK, factor, out + k);
  if (k < c) sum_block(x + k, rows, row_stride, columns, column_stride, c - k, factor, out + k);
}

static void interleave(const float *x, size_t pixels, size_t c, float *out) {
  if (c == 3) { /* an image: one pass with three streams */
    const float *r = x, *g = x + pixels, *b = x + 2 * pixels;
    for (size_t p = 0; p < pixels; p++) {
      out[3 * p] = r[p];
      out[3 * p + 1] = g[p];
      out[3 * p + 2] = b[p];
    }
    return;
  }
  for (size_t p = 0; p < pixels; p++)
    for (size_t k = 0; k < c; k++) out[p * c + k] = x[k * pixels + p];
}

const simd_elementwise SIMD_INSTANCE(elementwise) = {
    .add = add_floats,
    .clamp = clamp_floats,
    .affine = affine_channels,
    .prelu = prelu_channels,
    .scale = scale_channels,
    .sigmoid = sigmoid_floats,
    .window_max = window_max,
    .window_sum = window_sum,
    .interleave = interleave,
};
