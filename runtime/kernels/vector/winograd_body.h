/* Source of one variant. Included by the files winograd_*.c, which define VARIANT and VECTOR_BYTES. Each transform is
 * written once; the forms are instances of it with constant sizes. */
#include "runtime/kernels/vector/lanes.h"
#include "runtime/kernels/vector/winograd.h"

/* ---- inputs ---- */

/* B^T d for one row or column of n, in place. */
INLINE void transform_input(vec *d, size_t n) {
  if (n == 4) {
    const vec d1 = d[1];
    d[0] = d[0] - d[2];
    d[1] = d1 + d[2];
    d[2] = d[2] - d1;
    d[3] = d[3] - d1;
    return;
  }
  const vec even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
  const vec even2 = d[4] - d[2], odd2 = 2.0f * (d[3] - d[1]);
  d[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  d[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
  d[1] = even + odd;
  d[2] = even - odd;
  d[3] = even2 + odd2;
  d[4] = even2 - odd2;
}

/* Columns first, from memory into t; then rows, from t to memory: half of it fits no register file. */
INLINE void input_channels(const float *const *pixels, size_t k, float *spread, size_t point_stride, size_t n) {
  vec t[WINOGRAD_MAX_POINTS];
  for (size_t column = 0; column < n; column++) {
    vec d[WINOGRAD_MAX_IN];
    for (size_t row = 0; row < n; row++) d[row] = load(pixels[row * n + column] + k, WIDTH);
    transform_input(d, n);
    for (size_t row = 0; row < n; row++) t[row * n + column] = d[row];
  }
  for (size_t row = 0; row < n; row++) {
    transform_input(t + row * n, n);
    for (size_t column = 0; column < n; column++)
      store(spread + (row * n + column) * point_stride + k, t[row * n + column], WIDTH);
  }
}

INLINE void input(const float *const *pixels, size_t c, float *spread, size_t point_stride, size_t n) {
  for (size_t k = 0; k < c; k += WIDTH) input_channels(pixels, k, spread, point_stride, n);
}

/* ---- weights ---- */

/* Entry (i,j) of G for n points, j < r. */
INLINE double g_entry(size_t i, size_t j, size_t n, size_t r) {
  static const double point4[] = {0, 1, -1}, factor4[] = {1, 1.0 / 2, 1.0 / 2};
  static const double point6[] = {0, 1, -1, 2, -2}, factor6[] = {1.0 / 4, -1.0 / 6, -1.0 / 6, 1.0 / 24, 1.0 / 24};
  if (i == n - 1) return j == r - 1 ? 1.0 : 0.0;
  const double x = n == 4 ? point4[i] : point6[i];
  double power = n == 4 ? factor4[i] : factor6[i];
  for (size_t k = 0; k < j; k++) power *= x;
  return power;
}

/* G g for one row or column: r values to n. */
INLINE void transform_filter(const wide *g, size_t stride, wide *out, size_t out_stride, size_t n, size_t r) {
  for (size_t i = 0; i < n; i++) {
    wide sum = g[0] * g_entry(i, 0, n, r);
    for (size_t j = 1; j < r; j++) sum += g[j * stride] * g_entry(i, j, n, r);
    out[i * out_stride] = sum;
  }
}

INLINE void filter_channel(const float *filters, size_t count, size_t c, size_t k, float *packed, size_t point_stride,
                           size_t n, size_t r) {
  wide g[WINOGRAD_MAX_POINTS], t[WINOGRAD_MAX_POINTS], u[WINOGRAD_MAX_IN];
  for (size_t tap = 0; tap < r * r; tap++) {
    float lanes[WIDTH] = {0};
    for (size_t f = 0; f < count; f++) lanes[f] = filters[(f * r * r + tap) * c + k];
    g[tap] = __builtin_convertvector(load(lanes, WIDTH), wide);
  }
  for (size_t column = 0; column < r; column++) transform_filter(g + column, r, t + column, r, n, r);
  for (size_t row = 0; row < n; row++) {
    transform_filter(t + row * r, 1, u, 1, n, r);
    for (size_t column = 0; column < n; column++)
      store(packed + (row * n + column) * point_stride, __builtin_convertvector(u[column], vec), WIDTH);
  }
}

INLINE void weights(const float *filters, size_t count, size_t c, float *packed, size_t point_stride, size_t n,
                    size_t r) {
  for (size_t first = 0; first < 2 * WIDTH; first += WIDTH) {
    const size_t left = count > first ? count - first : 0;
    for (size_t k = 0; k < c; k++)
      filter_channel(filters + first * r * r * c, left < WIDTH ? left : WIDTH, c, k, packed + k * 2 * WIDTH + first,
                     point_stride, n, r);
  }
}

/* ---- outputs ---- */

/* A^T m for one row or column of n: the first `out` hold the result. */
INLINE void transform_output(vec *m, size_t n, size_t out) {
  const vec sum1 = m[1] + m[2], difference1 = m[1] - m[2];
  if (n == 4) {
    m[0] = m[0] + sum1;
    m[1] = difference1 + m[3];
    return;
  }
  const vec sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  m[0] = m[0] + sum1 + sum2;
  m[1] = difference1 + 2.0f * difference2;
  m[2] = sum1 + 4.0f * sum2;
  if (out == 3) m[2] += m[5];
  if (out == 4) m[3] = difference1 + 8.0f * difference2 + m[5];
}

/* Where the outputs of one tile go, for all its channels. */
typedef struct destination {
  const float *bias, *shortcut;
  float *out;
  size_t row_stride, column_stride;
  size_t rows, columns; /* of the tile that are inside the picture */
  float low, high;
} destination;

INLINE void output_channels(const float *products, size_t point_stride, size_t k, size_t count, const destination *to,
                            size_t n, size_t out) {
  vec t[WINOGRAD_MAX_POINTS];
  for (size_t column = 0; column < n; column++) {
    vec m[WINOGRAD_MAX_IN];
    for (size_t row = 0; row < n; row++) m[row] = load(products + (row * n + column) * point_stride + k, WIDTH);
    transform_output(m, n, out);
    for (size_t row = 0; row < out; row++) t[row * n + column] = m[row];
  }
  const vec shift = load(to->bias + k, count), lowest = (vec){0} + to->low, highest = (vec){0} + to->high;
  for (size_t row = 0; row < to->rows; row++) {
    vec *y = t + row * n;
    transform_output(y, n, out);
    for (size_t column = 0; column < to->columns; column++) {
      const size_t at = row * to->row_stride + column * to->column_stride + k;
      vec value = y[column] + shift;
      if (to->shortcut) value += load(to->shortcut + at, count);
      store(to->out + at, clamp(value, lowest, highest), count);
    }
  }
}

INLINE void output(const float *products, size_t point_stride, size_t o, const destination *to, size_t n, size_t out) {
  size_t k = 0;
  for (; k + WIDTH <= o; k += WIDTH) output_channels(products, point_stride, k, WIDTH, to, n, out);
  if (k < o) output_channels(products, point_stride, k, o - k, to, n, out);
}

/* ---- the forms: constant sizes for the functions above ---- */

#define FORM(m, r)                                                                                                     \
  static void input_##m##_##r(const float *const *pixels, size_t c, float *spread, size_t point_stride) {              \
    input(pixels, c, spread, point_stride, m + r - 1);                                                                 \
  }                                                                                                                    \
  static void weights_##m##_##r(const float *filters, size_t count, size_t c, float *packed, size_t point_stride) {    \
    weights(filters, count, c, packed, point_stride, m + r - 1, r);                                                    \
  }                                                                                                                    \
  static void output_##m##_##r(const float *products, size_t point_stride, size_t o, const float *bias,                \
                               const float *shortcut, float *out, size_t row_stride, size_t rows, size_t columns,      \
                               float low, float high) {                                                                \
    const destination to = {bias, shortcut, out, row_stride, o, rows, columns, low, high};                             \
    output(products, point_stride, o, &to, m + r - 1, m);                                                              \
  }
FORM(2, 3)
FORM(4, 3)
FORM(3, 4)
#define FUNCTIONS(m, r)                                                                                                \
  { m, r, m + r - 1, input_##m##_##r, weights_##m##_##r, output_##m##_##r }

const winograd_functions JOIN(winograd, VARIANT) = {
    .name = NAME_OF(VARIANT),
    .panel = 2 * WIDTH,
    .form = {[WINOGRAD_F2X2_3X3] = FUNCTIONS(2, 3),
             [WINOGRAD_F4X4_3X3] = FUNCTIONS(4, 3),
             [WINOGRAD_F3X3_4X4] = FUNCTIONS(3, 4)},
};
