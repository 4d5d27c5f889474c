/* Winograd convolution F(h x w, r x r): Lavin & Gray 2015, "Fast Algorithms for
 * Convolutional Neural Networks", sections 4.1 and 4.2. A tile of h x w outputs reads (h
 * + r - 1) x (w + r - 1) inputs, and takes as many multiplications for each pair of
 * channels where the direct sum takes h x w x r x r.
 *
 *     out = A^T [ (G g G^T) * (B^T d B) ] A      g: r x r weights, d: inputs, *: element by element, summed over the
 *                                                input channels: matrix multiplications (tiles,c) x (c,o)
 *
 * One line of these matrices, n = h + r - 1 for columns and w + r - 1 for rows, for each
 * point x at which the polynomials are evaluated: G has x^j / f(x), A^T has x^i, B^T
 * depends on the points alone. n = 4 takes 0, 1, -1, infinity (the paper's F(2,3)); n = 6
 * takes 0, 1, -1, 2, -2, infinity (the paper's F(4,3)); n = 8 takes 0, 1, -1, 2, -2, 1/2,
 * -1/2, infinity. Rounding, of the largest output of a layer with random weights: 4e-7
 * for F(2x2, 3x3), 1e-6 for F(4x2, 3x3) and 7e-6 for F(4x4, 3x3) over 128 channels; 3e-6
 * for F(5x5, 4x4) over a picture's three.
 *
 * Compiled once for each instruction set from winograd_body.h, as vector.h; here
 * multiplications and additions may be fused, so that variants agree up to rounding, not
 * to the bit.
 */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_WINOGRAD_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_WINOGRAD_H

#include "runtime/plan/plan.h"

enum {
  WINOGRAD_MAX_IN = 8, /* n of the largest form */
  WINOGRAD_MAX_OUT = 5,
  WINOGRAD_MAX_POINTS = WINOGRAD_MAX_IN * WINOGRAD_MAX_IN
};

typedef struct winograd_size {
  size_t h, w;
} winograd_size;

typedef struct winograd_form_functions {
  winograd_size out, in; /* of a tile */
  size_t taps;           /* r */

  /* spread[i * point_stride + k] = (B^T d B)[i] of channel k < c; d's pixel (row,column)
   * starts at pixels[row * in.w + column]. Reads and writes whole vectors: up to panel /
   * 2 - 1 floats behind the c-th. */
  void (*input)(const float *const *pixels, size_t c, float *spread, size_t point_stride);

  /* Transform `count` <= panel filters, each (r,r,c), in double precision into one panel
   * of each point: packed[i * point_stride + k * panel + filter]; filters that are
   * missing become zero. */
  void (*weights)(const float *filters, size_t count, size_t c, float *packed, size_t point_stride);

  /* The outputs A^T m A + bias, + shortcut where that is not NULL, clamped. m[i] =
   * products[i * point_stride + k], k < o, of which whole vectors are read. Pixel
   * (row,column) lies at out + row * row_stride + column * o; only the first rows x
   * columns are written, and read from `shortcut`, which is laid out like out and may be
   * out. */
  void (*output)(const float *products, size_t point_stride, size_t o, const float *bias,
                 const float *shortcut, float *out, size_t row_stride, size_t rows, size_t columns,
                 float low, float high);
} winograd_form_functions;

typedef struct winograd_functions {
  const char *name;
  size_t panel; /* filters of a panel: matrix_functions' of the same variant */
  winograd_form_functions form[WINOGRAD_FORMS];
} winograd_functions;

/* The variants that this build holds and this CPU runs, the fastest first; NULL for an
 * index behind the last. */
const winograd_functions *winograd_variant(size_t index);

#endif
