#include "runtime/kernels/simd/winograd_stride2.h"

#include "runtime/kernels/simd/simd.h"

/* Line i of B^T, times the even inputs of a row or column. */
INLINE vec stride2_input_line(const vec *d, size_t i) {
  if (i == 0) return 2.0f * (d[0] - d[2]) + (d[3] - d[1]);
  if (i == 1) return (d[3] - d[2]) - 2.0f * d[1];
  if (i == 2) return (2.0f * d[1] + d[3]) - 3.0f * d[2];
  if (i == 3) return d[3] - d[1];
  return 2.0f * (d[1] - d[3]) + (d[4] - d[2]);
}

INLINE float *stride2_place(const simd_stride2_place *p, size_t group, size_t matrix, size_t row,
                            size_t k) {
  return p->first[group] + matrix * p->matrix[group] + row * p->row + k;
}

INLINE void stride2_even_even(const float *const *pixels, size_t k, const simd_stride2_place *to) {
  vec t[STRIDE2_POINTS][STRIDE2_POINTS];
  UNROLLED
  for (size_t column = 0; column < STRIDE2_POINTS; column++) {
    vec d[STRIDE2_POINTS];
    UNROLLED
    for (size_t row = 0; row < STRIDE2_POINTS; row++)
      d[row] = load(pixels[2 * row * STRIDE2_IN + 2 * column] + k, WIDTH);
    UNROLLED
    for (size_t i = 0; i < STRIDE2_POINTS; i++) t[i][column] = stride2_input_line(d, i);
  }
  UNROLLED
  for (size_t i = 0; i < STRIDE2_POINTS; i++) {
    UNROLLED
    for (size_t j = 0; j < STRIDE2_POINTS; j++)
      store(stride2_place(to, STRIDE2_EVEN_EVEN, i * STRIDE2_POINTS + j, 0, k),
            stride2_input_line(t[i], j), WIDTH);
  }
}

/* Transform the even inputs of one odd row or column, 2 * `step` pixels apart. */
INLINE void stride2_odd_line(const float *const *pixels, size_t step, size_t k,
                             const simd_stride2_place *to, size_t group, size_t row) {
  vec d[STRIDE2_POINTS];
  UNROLLED
  for (size_t i = 0; i < STRIDE2_POINTS; i++) d[i] = load(pixels[2 * i * step] + k, WIDTH);
  UNROLLED
  for (size_t i = 0; i < STRIDE2_POINTS; i++)
    store(stride2_place(to, group, i, row, k), stride2_input_line(d, i), WIDTH);
}

static void stride2_input(const float *const *pixels, size_t c, const simd_stride2_place *to) {
  for (size_t k = 0; k < c; k += WIDTH) {
    stride2_even_even(pixels, k, to);
    for (size_t i = 0; i < STRIDE2_OUT; i++) {
      stride2_odd_line(pixels + 2 * i + 1, STRIDE2_IN, k, to, STRIDE2_EVEN_ODD, i);
      stride2_odd_line(pixels + (2 * i + 1) * STRIDE2_IN, 1, k, to, STRIDE2_ODD_EVEN, i);
      for (size_t j = 0; j < STRIDE2_OUT; j++)
        store(stride2_place(to, STRIDE2_ODD_ODD, 0, i * STRIDE2_OUT + j, k),
              load(pixels[(2 * i + 1) * STRIDE2_IN + 2 * j + 1] + k, WIDTH), WIDTH);
    }
  }
}

/* Line i of G, times the even taps. (Arguments are pointers because compilers warn of
 * passing vectors wider than a register.) */
INLINE void stride2_filter_line(const wide *first, const wide *last, size_t i, wide *out) {
  static const double point[] = {0, 1, -1, 2}, factor[] = {1.0 / 2, -1.0 / 2, -1.0 / 6, 1.0 / 6};
  *out = i == STRIDE2_POINTS - 1 ? *last : *first * factor[i] + *last * (factor[i] * point[i]);
}

INLINE void store_weights(float *packed, const wide *u) {
  store(packed, __builtin_convertvector(*u, vec), WIDTH);
}

INLINE void stride2_filter_channel(const float *filters, size_t count, size_t c, size_t k,
                                   float *packed, size_t stride) {
  enum { N = STRIDE2_POINTS };
  wide g[3][3], left, right, u;
  for (size_t tap = 0; tap < 9; tap++) {
    float taps[WIDTH] = {0};
    for (size_t f = 0; f < count; f++) taps[f] = filters[(f * 9 + tap) * c + k];
    g[tap / 3][tap % 3] = __builtin_convertvector(load(taps, WIDTH), wide);
  }
  for (size_t i = 0; i < N; i++) {
    stride2_filter_line(&g[0][0], &g[2][0], i, &left);
    stride2_filter_line(&g[0][2], &g[2][2], i, &right);
    for (size_t j = 0; j < N; j++) {
      stride2_filter_line(&left, &right, j, &u);
      store_weights(packed + (i * N + j) * stride, &u);
    }
    stride2_filter_line(&g[0][1], &g[2][1], i, &u);
    store_weights(packed + (N * N + i) * stride, &u);
    stride2_filter_line(&g[1][0], &g[1][2], i, &u);
    store_weights(packed + (N * N + N + i) * stride, &u);
  }
  store_weights(packed + (N * N + 2 * N) * stride, &g[1][1]);
}

static void stride2_weights(const float *filters, size_t count, size_t c, float *packed,
                            size_t matrix_stride) {
  for (size_t first = 0; first < PANEL; first += WIDTH) {
    const size_t left = count > first ? count - first : 0;
    for (size_t k = 0; k < c; k++)
      stride2_filter_channel(filters + first * 9 * c, left < WIDTH ? left : WIDTH, c, k,
                             packed + k * PANEL + first, matrix_stride);
  }
}

/* Line i of A^T, times the products at the five points. */
INLINE vec stride2_output_line(const vec *m, size_t i) {
  vec y = (i % 2 ? m[1] - m[2] : m[1] + m[2]) + (float)(1 << i) * m[3];
  if (i == 0) y += m[0];
  return i == STRIDE2_OUT - 1 ? y + m[4] : y;
}

INLINE vec load_product(const simd_stride2_place *p, size_t group, size_t matrix, size_t row,
                        size_t k) {
  return load(stride2_place(p, group, matrix, row, k), WIDTH);
}

/* Compute row `row` of the tile. z holds the sums of the even input rows, by point and
 * column. */
INLINE void stride2_output_row(const simd_stride2_place *products, size_t k, size_t row,
                               vec z[STRIDE2_POINTS][STRIDE2_OUT], vec y[STRIDE2_OUT]) {
  vec odd[STRIDE2_POINTS];
  UNROLLED
  for (size_t j = 0; j < STRIDE2_POINTS; j++)
    odd[j] = load_product(products, STRIDE2_ODD_EVEN, j, row, k);
  UNROLLED
  for (size_t column = 0; column < STRIDE2_OUT; column++) {
    vec even[STRIDE2_POINTS];
    UNROLLED
    for (size_t i = 0; i < STRIDE2_POINTS; i++) even[i] = z[i][column];
    y[column] = stride2_output_line(even, row) + stride2_output_line(odd, column) +
                load_product(products, STRIDE2_ODD_ODD, 0, row * STRIDE2_OUT + column, k);
  }
}

INLINE void stride2_output_channels(const simd_stride2_place *products, size_t k, size_t count,
                                    const float *bias, float *out, size_t row_stride,
                                    size_t column_stride, size_t rows, size_t columns, float low,
                                    float high) {
  vec z[STRIDE2_POINTS][STRIDE2_OUT], y[STRIDE2_OUT][STRIDE2_OUT];
  UNROLLED
  for (size_t i = 0; i < STRIDE2_POINTS; i++) {
    vec m[STRIDE2_POINTS];
    UNROLLED
    for (size_t j = 0; j < STRIDE2_POINTS; j++)
      m[j] = load_product(products, STRIDE2_EVEN_EVEN, i * STRIDE2_POINTS + j, 0, k);
    UNROLLED
    for (size_t column = 0; column < STRIDE2_OUT; column++)
      z[i][column] =
          stride2_output_line(m, column) + load_product(products, STRIDE2_EVEN_ODD, i, column, k);
  }
  UNROLLED
  for (size_t row = 0; row < STRIDE2_OUT; row++) stride2_output_row(products, k, row, z, y[row]);
  const vec shift = load(bias + k, count), lowest = (vec){0} + low, highest = (vec){0} + high;
  for (size_t row = 0; row < rows; row++)
    for (size_t column = 0; column < columns; column++)
      store(out + row * row_stride + column * column_stride + k,
            clamp_vec(y[row][column] + shift, lowest, highest), count);
}

static void stride2_output(const simd_stride2_place *products, size_t o, const float *bias,
                           float *out, size_t row_stride, size_t rows, size_t columns, float low,
                           float high) {
  size_t k = 0;
  for (; k + WIDTH <= o; k += WIDTH)
    stride2_output_channels(products, k, WIDTH, bias, out, row_stride, o, rows, columns, low, high);
  if (k < o)
    stride2_output_channels(products, k, o - k, bias, out, row_stride, o, rows, columns, low, high);
}

const simd_winograd_stride2 SIMD_INSTANCE(winograd_stride2) = {
    .transform_input = stride2_input,
    .transform_weights = stride2_weights,
    .transform_output = stride2_output,
};
