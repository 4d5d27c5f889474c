/* Winograd convolution of stride 2: F(4x4, 3x3) after a parity split: taps and inputs
 * form groups by the parity of their row and column.
 *
 * Along one axis, y(i) = g0 x(2i) + g1 x(2i+1) + g2 x(2i+2).
 *
 *     even inputs meet two taps: F(4,2) of stride 1, 5 products for 4 outputs, at the
 *                                points 0, 1, -1, 2, infinity
 *     odd inputs meet one tap:   4 products, without a transform
 *
 * So a tile of 4 x 4 outputs takes (5 + 4)^2 = 81 products for each pair of channels,
 * where the direct sum takes 144. Products of odd inputs share their weights, so there
 * are (5 + 1)^2 = 36 matrices of weights, in four groups by parity.
 *
 * Instruction sets agree up to rounding. */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_WINOGRAD_STRIDE2_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_WINOGRAD_STRIDE2_H

#include <stddef.h>

enum {
  STRIDE2_OUT = 4,                  /* side of a tile's outputs */
  STRIDE2_POINTS = STRIDE2_OUT + 1, /* products of even inputs along one axis */
  STRIDE2_IN = 2 * STRIDE2_OUT + 1, /* side of a tile's inputs */
  STRIDE2_PIXELS = STRIDE2_IN * STRIDE2_IN,
  STRIDE2_MATRICES = (STRIDE2_POINTS + 1) * (STRIDE2_POINTS + 1)
};

/* Groups by parity of row and column. */
enum { STRIDE2_EVEN_EVEN, STRIDE2_EVEN_ODD, STRIDE2_ODD_EVEN, STRIDE2_ODD_ODD, STRIDE2_GROUPS };

/* The place of one tile's transformed inputs or products: row r of matrix i of group g
 * starts at first[g] + i * matrix[g] + r * row. */
typedef struct simd_stride2_place {
  float *first[STRIDE2_GROUPS];
  size_t matrix[STRIDE2_GROUPS], row;
} simd_stride2_place;

typedef struct simd_winograd_stride2 {
  /* Transform c channels of 9 x 9 pixels, in whole vectors. */
  void (*transform_input)(const float *const *pixels, size_t c, const simd_stride2_place *to);

  /* Transform `count` <= panel filters, each (3,3,c), in double precision into one panel
   * of each of the 36 matrices, group by group: packed[i * matrix_stride + k * panel +
   * filter]. Missing filters become zero. */
  void (*transform_weights)(const float *filters, size_t count, size_t c, float *packed,
                            size_t matrix_stride);

  /* Write the 4 x 4 outputs + bias, clamped; pixel (row,column) to out + row * row_stride
   * + column * o. Only the first rows x columns are written. */
  void (*transform_output)(const simd_stride2_place *products, size_t o, const float *bias,
                           float *out, size_t row_stride, size_t rows, size_t columns, float low,
                           float high);
} simd_winograd_stride2;

#endif
