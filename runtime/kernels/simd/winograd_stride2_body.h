/* Source of one variant. Included by the files strided_*.c, which define VARIANT and
 * VECTOR_BYTES. */
#include <stdbool.h>

#include "runtime/kernels/simd/simd.h"
#include "runtime/kernels/simd/winograd_stride2.h"

enum { EVEN_EVEN, EVEN_ODD, ODD_EVEN, ODD_ODD };

/* Line i of B^T, times the n even inputs of a row or column. */
INLINE vec input_line(const vec *d, size_t i) {
  if (i == 0) return 2.0f * (d[0] - d[2]) + (d[3] - d[1]);
  if (i == 1) return (d[3] - d[2]) - 2.0f * d[1];
  if (i == 2) return (2.0f * d[1] + d[3]) - 3.0f * d[2];
  if (i == 3) return d[3] - d[1];
  return 2.0f * (d[1] - d[3]) + (d[4] - d[2]);
}

INLINE float *place_of(const strided_place *p, size_t group, size_t matrix, size_t row, size_t k) {
  return p->first[group] + matrix * p->matrix[group] + row * p->row + k;
}

INLINE void input_even_even(const float *const *pixels, size_t k, const strided_place *to) {
  vec t[STRIDED_POINTS][STRIDED_POINTS];
  UNROLLED for (size_t column = 0; column < STRIDED_POINTS; column++) {
    vec d[STRIDED_POINTS];
    UNROLLED for (size_t row = 0; row < STRIDED_POINTS; row++) d[row] =
        load(pixels[2 * row * STRIDED_IN + 2 * column] + k, WIDTH);
    UNROLLED for (size_t i = 0; i < STRIDED_POINTS; i++) t[i][column] = input_line(d, i);
  }
  UNROLLED for (size_t i = 0; i < STRIDED_POINTS; i++)
      UNROLLED for (size_t j = 0; j < STRIDED_POINTS; j++)
          store(place_of(to, EVEN_EVEN, i * STRIDED_POINTS + j, 0, k), input_line(t[i], j), WIDTH);
}

/* The even inputs of one odd row or column; `step` pixels lie between them. */
INLINE void input_line_of(const float *const *pixels, size_t step, size_t k,
                          const strided_place *to, size_t group, size_t row) {
  vec d[STRIDED_POINTS];
  UNROLLED for (size_t i = 0; i < STRIDED_POINTS; i++) d[i] = load(pixels[2 * i * step] + k, WIDTH);
  UNROLLED for (size_t i = 0; i < STRIDED_POINTS; i++)
      store(place_of(to, group, i, row, k), input_line(d, i), WIDTH);
}

static void input(const float *const *pixels, size_t c, const strided_place *to) {
  for (size_t k = 0; k < c; k += WIDTH) {
    input_even_even(pixels, k, to);
    for (size_t i = 0; i < STRIDED_OUT; i++) {
      input_line_of(pixels + 2 * i + 1, STRIDED_IN, k, to, EVEN_ODD, i);
      input_line_of(pixels + (2 * i + 1) * STRIDED_IN, 1, k, to, ODD_EVEN, i);
      for (size_t j = 0; j < STRIDED_OUT; j++)
        store(place_of(to, ODD_ODD, 0, i * STRIDED_OUT + j, k),
              load(pixels[(2 * i + 1) * STRIDED_IN + 2 * j + 1] + k, WIDTH), WIDTH);
    }
  }
}

/* Line i of G, times the even taps. (By pointers, as compilers warn of passing vectors
 * wider than a register.) */
INLINE void filter_line(const wide *first, const wide *last, size_t i, wide *out) {
  static const double point[] = {0, 1, -1, 2}, factor[] = {1.0 / 2, -1.0 / 2, -1.0 / 6, 1.0 / 6};
  *out = i == STRIDED_POINTS - 1 ? *last : *first * factor[i] + *last * (factor[i] * point[i]);
}

INLINE void store_weights(float *packed, const wide *u) {
  store(packed, __builtin_convertvector(*u, vec), WIDTH);
}

INLINE void filter_channel(const float *filters, size_t count, size_t c, size_t k, float *packed,
                           size_t stride) {
  enum { N = STRIDED_POINTS };
  wide g[3][3], left, right, u;
  for (size_t tap = 0; tap < 9; tap++) {
    float lanes[WIDTH] = {0};
    for (size_t f = 0; f < count; f++) lanes[f] = filters[(f * 9 + tap) * c + k];
    g[tap / 3][tap % 3] = __builtin_convertvector(load(lanes, WIDTH), wide);
  }
  for (size_t i = 0; i < N; i++) {
    filter_line(&g[0][0], &g[2][0], i, &left);
    filter_line(&g[0][2], &g[2][2], i, &right);
    for (size_t j = 0; j < N; j++) {
      filter_line(&left, &right, j, &u);
      store_weights(packed + (i * N + j) * stride, &u);
    }
    filter_line(&g[0][1], &g[2][1], i, &u);
    store_weights(packed + (N * N + i) * stride, &u);
    filter_line(&g[1][0], &g[1][2], i, &u);
    store_weights(packed + (N * N + N + i) * stride, &u);
  }
  store_weights(packed + (N * N + 2 * N) * stride, &g[1][1]);
}

static void weights(const float *filters, size_t count, size_t c, float *packed,
                    size_t matrix_stride) {
  for (size_t first = 0; first < 2 * WIDTH; first += WIDTH) {
    const size_t left = count > first ? count - first : 0;
    for (size_t k = 0; k < c; k++)
      filter_channel(filters + first * 9 * c, left < WIDTH ? left : WIDTH, c, k,
                     packed + k * 2 * WIDTH + first, matrix_stride);
  }
}

/* Line i of A^T, times the products at the five points. */
INLINE vec output_line(const vec *m, size_t i) {
  vec y = (i % 2 ? m[1] - m[2] : m[1] + m[2]) + (float)(1 << i) * m[3];
  if (i == 0) y += m[0];
  return i == STRIDED_OUT - 1 ? y + m[4] : y;
}

INLINE vec product(const strided_place *p, size_t group, size_t matrix, size_t row, size_t k) {
  return load(place_of(p, group, matrix, row, k), WIDTH);
}

/* Row `row` of the tile, of which z has what the even input rows give, by point and
 * column. */
INLINE void output_row(const strided_place *products, size_t k, size_t row,
                       vec z[STRIDED_POINTS][STRIDED_OUT], vec y[STRIDED_OUT]) {
  vec odd[STRIDED_POINTS];
  UNROLLED for (size_t j = 0; j < STRIDED_POINTS; j++) odd[j] =
      product(products, ODD_EVEN, j, row, k);
  UNROLLED for (size_t column = 0; column < STRIDED_OUT; column++) {
    vec even[STRIDED_POINTS];
    UNROLLED for (size_t i = 0; i < STRIDED_POINTS; i++) even[i] = z[i][column];
    y[column] = output_line(even, row) + output_line(odd, column) +
                product(products, ODD_ODD, 0, row * STRIDED_OUT + column, k);
  }
}

INLINE void output_channels(const strided_place *products, size_t k, size_t count,
                            const float *bias, float *out, size_t row_stride, size_t column_stride,
                            size_t rows, size_t columns, float low, float high) {
  vec z[STRIDED_POINTS][STRIDED_OUT], y[STRIDED_OUT][STRIDED_OUT];
  UNROLLED for (size_t i = 0; i < STRIDED_POINTS; i++) {
    vec m[STRIDED_POINTS];
    UNROLLED for (size_t j = 0; j < STRIDED_POINTS; j++) m[j] =
        product(products, EVEN_EVEN, i * STRIDED_POINTS + j, 0, k);
    UNROLLED for (size_t column = 0; column < STRIDED_OUT; column++) z[i][column] =
        output_line(m, column) + product(products, EVEN_ODD, i, column, k);
  }
  UNROLLED for (size_t row = 0; row < STRIDED_OUT; row++) output_row(products, k, row, z, y[row]);
  const vec shift = load(bias + k, count), lowest = (vec){0} + low, highest = (vec){0} + high;
  for (size_t row = 0; row < rows; row++)
    for (size_t column = 0; column < columns; column++)
      store(out + row * row_stride + column * column_stride + k,
            clamp(y[row][column] + shift, lowest, highest), count);
}

static void output(const strided_place *products, size_t o, const float *bias, float *out,
                   size_t row_stride, size_t rows, size_t columns, float low, float high) {
  size_t k = 0;
  for (; k + WIDTH <= o; k += WIDTH)
    output_channels(products, k, WIDTH, bias, out, row_stride, o, rows, columns, low, high);
  if (k < o)
    output_channels(products, k, o - k, bias, out, row_stride, o, rows, columns, low, high);
}

const strided_functions JOIN(strided, VARIANT) = {.name = NAME_OF(VARIANT),
                                                  .panel = 2 * WIDTH,
                                                  .input = input,
                                                  .weights = weights,
                                                  .output = output};
