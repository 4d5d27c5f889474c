/* Winograd convolution of stride 2: F(4x4, 3x3) on taps and inputs taken apart by the
 * parity of their row and column.
 *
 * Along one axis, y(i) = g0 x(2i) + g1 x(2i+1) + g2 x(2i+2). The even inputs meet two
 * taps, which is F(4,2) of stride
 * 1: 5 products at the points 0, 1, -1, 2, infinity for 4 outputs; the odd ones meet one tap, 4 products as they are.
 * So a tile of 4 x 4 outputs takes (5 + 4)^2 = 81 products for each pair of channels
 * where the direct sum takes 144. Products of odd inputs share their weights, so that
 * there are (5 + 1)^2 = 36 matrices of them, in four groups by parity.
 *
 * Compiled once for each instruction set from strided_body.h; variants agree up to
 * rounding.
 */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_WINOGRAD_STRIDE2_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_WINOGRAD_STRIDE2_H

#include <stddef.h>

enum {
  STRIDED_OUT = 4,                  /* side of a tile's outputs */
  STRIDED_POINTS = STRIDED_OUT + 1, /* products of even inputs along one axis */
  STRIDED_IN = 2 * STRIDED_OUT + 1, /* side of the inputs it needs */
  STRIDED_PIXELS = STRIDED_IN * STRIDED_IN,
  STRIDED_MATRICES = (STRIDED_POINTS + 1) * (STRIDED_POINTS + 1),
  STRIDED_GROUPS = 4
};

/* By parity of row and column: even-even, even-odd, odd-even, odd-odd. */
typedef struct strided_group {
  size_t matrices; /* of weights: 25, 5, 5, 1 */
  /* of inputs or products for each tile in each matrix: 1, 4, 4, 16 */
  size_t rows;
} strided_group;

extern const strided_group strided_groups[STRIDED_GROUPS];

/* Where one tile's transformed inputs or products lie: row r of matrix i of group g
 * starts at first[g] + i * matrix[g] + r * row. */
typedef struct strided_place {
  float *first[STRIDED_GROUPS];
  size_t matrix[STRIDED_GROUPS], row;
} strided_place;

typedef struct strided_functions {
  const char *name;
  size_t panel; /* filters of a panel: matrix_functions' of the same variant */

  /* Transform c channels of 9 x 9 pixels, whole vectors at a time. */
  void (*input)(const float *const *pixels, size_t c, const strided_place *to);

  /* Transform `count` <= panel filters, each (3,3,c), in double precision into one panel
   * of each of the 36 matrices, group by group: packed[i * matrix_stride + k * panel +
   * filter]; filters that are missing become zero. */
  void (*weights)(const float *filters, size_t count, size_t c, float *packed,
                  size_t matrix_stride);

  /* The 4 x 4 outputs + bias, clamped; pixel (row,column) to out + row * row_stride +
   * column * o. Only the first rows x columns are written. */
  void (*output)(const strided_place *products, size_t o, const float *bias, float *out,
                 size_t row_stride, size_t rows, size_t columns, float low, float high);
} strided_functions;

/* The variants that this build holds and this CPU runs, the fastest first; NULL for an
 * index behind the last. */
const strided_functions *strided_variant(size_t index);

#endif
