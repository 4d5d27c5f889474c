/* Winograd convolution F(h x w, r x r): Lavin & Gray 2015, "Fast Algorithms for
 * Convolutional Neural Networks", sections 4.1 and 4.2. A tile of h x w outputs reads
 * (h + r - 1) x (w + r - 1) inputs. For each pair of channels it takes one multiplication
 * for each input, where the direct sum takes h x w x r x r.
 *
 *     out = A^T [ (G g G^T) * (B^T d B) ] A
 *
 *     g: r x r weights    d: inputs
 *     *: element by element, summed over the input channels, which makes it one matrix
 *        product (tiles,c) x (c,o) for each element
 *
 * These matrices have one line for each point x at which the polynomials are evaluated:
 * n = h + r - 1 lines for columns, n = w + r - 1 for rows. G has x^j / f(x), A^T has x^i,
 * B^T depends on the points alone.
 *
 *     n = 4: 0, 1, -1, infinity                        the paper's F(2,3)
 *     n = 6: 0, 1, -1, 2, -2, infinity                 the paper's F(4,3)
 *     n = 8: 0, 1, -1, 2, -2, 1/2, -1/2, infinity
 *
 * Rounding errors, relative to the largest output of a layer with random weights:
 *
 *     F(2x2, 3x3)   4e-7    over 128 channels
 *     F(4x2, 3x3)   1e-6    over 128 channels
 *     F(4x4, 3x3)   7e-6    over 128 channels
 *     F(5x5, 4x4)   3e-6    over an image's three channels
 *
 * Multiplications and additions may be fused, so instruction sets agree up to rounding,
 * not to the bit. */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_WINOGRAD_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_WINOGRAD_H

#include <stddef.h>

enum {
  WINOGRAD_MAX_IN = 8, /* n of the largest form */
  WINOGRAD_MAX_OUT = 5,
  WINOGRAD_MAX_POINTS = WINOGRAD_MAX_IN * WINOGRAD_MAX_IN
};

typedef struct winograd_size {
  size_t h, w;
} winograd_size;

typedef struct simd_winograd_form {
  winograd_size out, in; /* of a tile */
  size_t taps;           /* r */

  /* out[i * point_stride + k] = (B^T d B)[i] of channel k < c. Pixel (row,column) of d
   * starts at pixels[row * in.w + column]. This reads and writes whole vectors: up to
   * panel / 2 - 1 floats behind channel c - 1. */
  void (*transform_input)(const float *const *pixels, size_t c, float *out, size_t point_stride);

  /* Transform `count` <= panel filters, each (r,r,c), in double precision into one panel
   * for each point: packed[i * point_stride + k * panel + filter]. Missing filters become
   * zero. */
  void (*transform_weights)(const float *filters, size_t count, size_t c, float *packed,
                            size_t point_stride);

  /* Write the outputs A^T m A + bias, + shortcut where that is not NULL, clamped. m[i] =
   * products[i * point_stride + k], k < o, is read in whole vectors. Pixel (row,column)
   * starts at out + row * row_stride + column * o. Only the first rows x columns are
   * written, and read from `shortcut`, which is laid out like out and may be out. */
  void (*transform_output)(const float *products, size_t point_stride, size_t o, const float *bias,
                           const float *shortcut, float *out, size_t row_stride, size_t rows,
                           size_t columns, float low, float high);
} simd_winograd_form;

typedef struct simd_winograd {
  simd_winograd_form f2x2_3x3, f4x2_3x3, f4x4_3x3;
  /* for a 7x7 or 8x8 convolution of stride 2 after a parity split of rows and columns */
  simd_winograd_form f5x5_4x4;
} simd_winograd;

#endif
