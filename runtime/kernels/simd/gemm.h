/* Matrix products (rows,c) x (c,o) over weights packed as panels, (ceil(o /
 * panel),c,panel), missing columns zero.
 *
 * Each element is one sum over c in ascending order, whatever rows and columns are
 * computed beside it, so that work may be split anywhere without changing a bit. Compiled
 * once for each instruction set from matrix_body.h, as vector.h; here multiplications and
 * additions may be fused, so that variants agree up to rounding, not to the bit.
 */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_GEMM_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_GEMM_H

#include <stdbool.h>
#include <stddef.h>

typedef struct matrix_product {
  const float *a; /* (rows,c), a row every a_stride floats */
  size_t a_stride;
  const float *packed; /* weights */
  size_t c, o;
  float *out; /* (rows,o), a row every out_stride floats */
  size_t out_stride;
  /* of multiply: how many such products, floats from one to the next */
  size_t count, a_next, packed_next, out_next;
  /* fetch ahead what lies behind each panel: for weights that do not stay in a core's
   * cache */
  bool fetch;
} matrix_product;

/* What follows a convolution's product: out = clamp(product + bias + shortcut). */
typedef struct matrix_finish {
  const float *bias;     /* (o) */
  const float *shortcut; /* laid out like out, and may be out; NULL: none */
  float low, high;
} matrix_finish;

typedef struct matrix_functions {
  const char *name;
  size_t panel; /* columns that are computed at once */

  /* p->count products. Writes whole vectors: out_stride is at least o rounded up to panel
   * / 2. */
  void (*multiply)(const matrix_product *p, size_t rows);

  /* The product, finished; writes o floats of each row. */
  void (*multiply_finish)(const matrix_product *p, const matrix_finish *finish, size_t rows);
} matrix_functions;

/* The variants that this build holds and this CPU runs, the fastest first; NULL for an
 * index behind the last. */
const matrix_functions *matrix_variant(size_t index);

#endif
