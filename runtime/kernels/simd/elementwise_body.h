/* Source of one variant. Included by the files vector_*.c, which define VARIANT and are
 * compiled for an instruction set. Plain C whose loops over channels the compiler turns
 * into vectors: blocks of a fixed width stay in registers. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/simd/elementwise.h"

/* floats: two AVX-512 registers, four AVX, eight SSE or NEON */
enum { BLOCK = 32 };

static float clamp_one(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

/* Blocks go through a local array, which stays in registers, so that `out` may be an
 * input without the compiler having to fear that a store changes what it loads next. */
static void add_block(const float *a, const float *b, float *out, size_t width, float low,
                      float high) {
  float sum[BLOCK];
  for (size_t k = 0; k < width; k++) sum[k] = clamp_one(a[k] + b[k], low, high);
  for (size_t k = 0; k < width; k++) out[k] = sum[k];
}

static void add(const float *a, const float *b, float *out, size_t n, float low, float high) {
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

static void affine(const float *x, const float *scale, const float *shift, float *out,
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

static void clamp(const float *x, float *out, size_t n, float low, float high) {
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

static void scale(const float *x, const float *gate, float *out, size_t pixels, size_t c, float low,
                  float high) {
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

/* exp(x) for -87.33 <= x <= 0, where it is no less than 2^-126: x = n ln 2 + r, n an
 * integer, |r| <= ln(2) / 2. Adding 1.5 * 2^23 leaves n in the last bits of the sum; ln 2
 * is taken in two parts, of which the first times n is exact (Cody & Waite 1980,
 * "Software Manual for the Elementary Functions"). Taylor's series of exp(r) is off by
 * r^8 / 8! < 2^-27. */
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
  /* 2^n; what `shift` has above n leaves at the top */
  return sum * float_of((bits_of(shifted) + 127) << 23);
}

/* 1 / (1 + exp(-x)) = exp(x) / (1 + exp(x)): of the two the one whose exp(-|x|) cannot
 * overflow, so that both tails keep all their digits. The numerator is chosen by x's sign
 * bit, and the limit is a loop of its own, since compilers make a jump of a `?:` around
 * all this, which they cannot turn into vectors. */
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

static void sigmoid(const float *x, float *out, size_t n) {
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

static void stir(uint32_t *lanes, const uint8_t *bytes, size_t blocks) {
  uint32_t sums[CHECKSUM_LANES], words[CHECKSUM_LANES];
  memcpy(sums, lanes, sizeof sums);
  for (size_t i = 0; i < blocks; i++, bytes += CHECKSUM_BLOCK) {
    memcpy(words, bytes, sizeof words);
    for (size_t k = 0; k < CHECKSUM_LANES; k++) {
      /* odd: 2^32 / golden ratio */
      const uint32_t product = (sums[k] ^ words[k]) * UINT32_C(0x9E3779B1);
      sums[k] = product << 15 | product >> 17;
    }
  }
  memcpy(lanes, sums, sizeof sums);
}

static void interleave(const float *x, size_t pixels, size_t c, float *out) {
  if (c == 3) { /* pictures: one pass with three streams */
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

#define STRINGIFY(text) #text
#define NAME_OF(variant) STRINGIFY(variant)
#define OBJECT(variant) OBJECT_(variant)
#define OBJECT_(variant) vector_##variant
const vector_functions OBJECT(VARIANT) = {
    .name = NAME_OF(VARIANT),
    .add = add,
    .clamp = clamp,
    .affine = affine,
    .scale = scale,
    .sigmoid = sigmoid,
    .window_max = window_max,
    .window_sum = window_sum,
    .stir = stir,
    .interleave = interleave,
};
