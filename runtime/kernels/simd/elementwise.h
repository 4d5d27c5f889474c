/* Loops over elements, channels and windows.
 *
 * All instruction sets give the same bits: they do the same IEEE operations in the same
 * order for each element, and the build forbids contracting a * b + c. So
 * simd_elementwise_portable, which any C compiler can build, is the reference for the
 * others. */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_ELEMENTWISE_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_ELEMENTWISE_H

#include <stddef.h>

typedef struct simd_elementwise {
  /* out[i] = clamp(a[i] + b[i]); out may be a or b. */
  void (*add)(const float *a, const float *b, float *out, size_t n, float low, float high);

  /* out[i] = clamp(x[i]); out may be x. */
  void (*clamp)(const float *x, float *out, size_t n, float low, float high);

  /* out[p][k] = clamp(x[p][k] * scale[k] + shift[k]) for (pixels,c); out may be x. */
  void (*affine)(const float *x, const float *scale, const float *shift, float *out, size_t pixels,
                 size_t c, float low, float high);

  /* out[p][k] = x[p][k], times slope[k] if its sign bit is set, for (pixels,c); out may
   * be x. */
  void (*prelu)(const float *x, const float *slope, float *out, size_t pixels, size_t c);

  /* out[p][k] = clamp(x[p][k] * gate[k]) for (pixels,c); out may be x, and for a single
   * pixel also gate. */
  void (*scale)(const float *x, const float *gate, float *out, size_t pixels, size_t c, float low,
                float high);

  /* out[i] = 1 / (1 + exp(-x[i])), at most 3 units in the last place off, and never less
   * than 2^-126; out may be x. */
  void (*sigmoid)(const float *x, float *out, size_t n);

  /* out[k] = max over the rows x columns window at x of x[row * row_stride + column *
   * column_stride + k], k < c; rows and columns are at least 1, strides are in floats. */
  void (*window_max)(const float *x, size_t rows, size_t row_stride, size_t columns,
                     size_t column_stride, size_t c, float *out);

  /* The sum instead of the maximum, added up row by row, times `factor`. */
  void (*window_sum)(const float *x, size_t rows, size_t row_stride, size_t columns,
                     size_t column_stride, size_t c, float factor, float *out);

  /* (c,pixels) to (pixels,c): out[p * c + k] = x[k * pixels + p]. */
  void (*interleave)(const float *x, size_t pixels, size_t c, float *out);
} simd_elementwise;

#endif
