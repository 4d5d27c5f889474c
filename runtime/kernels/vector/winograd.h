/* Winograd convolution F(4x4, 3x3): Lavin & Gray 2015, "Fast Algorithms for Convolutional Neural Networks", section 4.2
 * and its matrices for m = 4, r = 3. A tile of 4 x 4 outputs takes 36 multiplications for each pair of channels where
 * the direct sum takes 144.
 *
 *     out = A^T [ (G g G^T) * (B^T d B) ] A      g: 3x3 weights, d: 6x6 inputs, *: element by element, summed over the
 *                                                input channels: 36 matrix multiplications (tiles,c) x (c,o)
 *
 * Compiled once for each instruction set from winograd_body.h, as vector.h; here multiplications and additions may be
 * fused, so that variants agree up to rounding, not to the bit.
 */
#ifndef LIBRESNET_RUNTIME_KERNELS_WINOGRAD_H
#define LIBRESNET_RUNTIME_KERNELS_WINOGRAD_H

#include <stddef.h>

enum {
  WINOGRAD_OUT = 4,     /* side of a tile's outputs */
  WINOGRAD_IN = 6,      /* side of the inputs it needs */
  WINOGRAD_POINTS = 36, /* WINOGRAD_IN squared: matrices to multiply */
  WINOGRAD_ROWS = 8     /* tiles that the multiplication handles at once */
};

typedef struct winograd_functions {
  const char *name;
  size_t panel; /* output channels that the multiplication handles at once */

  /* spread[i * point_stride + k] = (B^T d B)[i] of channel k < c; d's pixel (row,column) starts at
   * pixels[row * 6 + column]. */
  void (*input)(const float *const *pixels, size_t c, float *spread, size_t point_stride);

  /* products (rows,o) = spread (rows,c) x weights, packed as panels (ceil(o / panel),c,panel). */
  void (*multiply)(const float *spread, const float *weights, float *products, size_t rows, size_t c, size_t o);

  /* The 4 x 4 outputs A^T m A + bias, + shortcut where that is not NULL, clamped. m[i] = products[i * point_stride +
   * k], k < o. Pixel (row,column) lies at out + row * row_stride + column * o; only the first rows x columns are
   * written, and read from `shortcut`, which is laid out like out and may be out. */
  void (*output)(const float *products, size_t point_stride, size_t o, const float *bias, const float *shortcut,
                 float *out, size_t row_stride, size_t rows, size_t columns, float low, float high);
} winograd_functions;

/* The variants that this build holds and this CPU runs, the fastest first; NULL for an index behind the last. */
const winograd_functions *winograd_variant(size_t index);

#endif
