/* Matrix products (rows,c) x (c,o) over packed weights: panels of columns,
 * (ceil(o / panel),c,panel), whose missing columns are zero. A convolution is a sum of
 * such products, one for each tap of its window. Its rows are found by pointers, and its
 * packed weights are (ceil(o / panel),taps,c,panel).
 *
 * Each element is one sum, over the taps in order and over c in ascending order. It does
 * not depend on the rows and columns computed beside it: the work may be split anywhere
 * without changing a bit.
 * Multiplications and additions may be fused, so instruction sets agree up to rounding,
 * not to the bit. */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_GEMM_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_GEMM_H

#include <stdbool.h>
#include <stddef.h>

typedef struct simd_product {
  const float *a; /* (rows,c), a row every a_stride floats */
  size_t a_stride;
  const float *packed; /* weights */
  size_t c, o;
  float *out; /* (rows,o), a row every out_stride floats */
  size_t out_stride;
  /* for multiply: the number of such products, floats from one to the next */
  size_t count, a_next, packed_next, out_next;
  /* prefetch the panel that follows: for weights that do not stay in a core's cache */
  bool fetch;

  /* for multiply_epilogue: the rows of a convolution. Row r of tap t is c floats from
   * rows[t * rows_stride + r] + rows_offset on. NULL: one tap, whose rows are `a`. */
  const float *const *rows;
  size_t taps, rows_stride, rows_offset;
  /* o is at most half a panel, and the packed panel has half the columns */
  bool half_panel;
  /* for multiply_epilogue: room for (rows,panel) floats, or NULL. With it, long sums are
   * computed in blocks, whose weights stay in the CPU's caches, and kept in between. */
  float *sums;
} simd_product;

/* What follows a convolution's product: out = clamp(product + bias + shortcut). */
typedef struct simd_epilogue {
  const float *bias;     /* (o) */
  const float *shortcut; /* laid out like out, and may be out; NULL: none */
  float low, high;
} simd_epilogue;

typedef struct simd_gemm {
  size_t rows; /* that are multiplied at once: fastest where this divides their number */

  /* Compute p->count products. This writes whole vectors: out_stride is at least o
   * rounded up to half a panel. */
  void (*multiply)(const simd_product *p, size_t rows);

  /* Compute one product or convolution and its epilogue; write o floats of each row. */
  void (*multiply_epilogue)(const simd_product *p, const simd_epilogue *epilogue, size_t rows);
} simd_gemm;

#endif
