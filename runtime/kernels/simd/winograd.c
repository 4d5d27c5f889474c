/* Each transform is written once; the forms are instances of it with constant sizes. */
#include "runtime/kernels/simd/winograd.h"

#include <stdbool.h>

#include "runtime/kernels/simd/simd.h"

/* ---- inputs ---- */

/* Line i of B^T, times the column d of n values. The grouping lets a CPU fuse products
 * and sums where it can. */
INLINE vec input_line4(const vec *d, size_t i) {
  return i == 0 ? d[0] - d[2] : i == 1 ? d[1] + d[2] : i == 2 ? d[2] - d[1] : d[3] - d[1];
}

INLINE vec input_line6(const vec *d, size_t i) {
  if (i == 0) return (d[4] - 5.0f * d[2]) + 4.0f * d[0];
  if (i == 5) return (d[5] - 5.0f * d[3]) + 4.0f * d[1];
  if (i > 2)
    return i == 3 ? (d[4] - d[2]) + 2.0f * (d[3] - d[1]) : (d[4] - d[2]) - 2.0f * (d[3] - d[1]);
  const vec even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
  return i == 1 ? even + odd : even - odd;
}

INLINE vec input_line8(const vec *d, size_t i) {
  if (i == 0) return (d[6] - d[0]) + 5.25f * (d[2] - d[4]);
  if (i == 7) return (d[7] - d[1]) + 5.25f * (d[3] - d[5]);
  /* the pair's points: x and -x */
  const float x = i < 3 ? 1.0f : i < 5 ? 2.0f : 0.5f;
  const float inner = i < 3   ? 4.25f
                      : i < 5 ? 1.25f
                              : 5.0f,
              outer = i < 3   ? 1.0f
                      : i < 5 ? 0.25f
                              : 4.0f;
  const vec even = (d[6] - inner * d[4]) + outer * d[2], odd = (d[5] - inner * d[3]) + outer * d[1];
  return i % 2 ? even + x * odd : even - x * odd;
}

INLINE vec input_line(const vec *d, size_t i, size_t n) {
  return n == 4 ? input_line4(d, i) : n == 6 ? input_line6(d, i) : input_line8(d, i);
}

/* Transform half of the lines, from `first` on: all values of a 6 x 6 tile fit no
 * register file. (Half of an 8 x 8 tile does not fit either, but a stem has few input
 * channels.) */
INLINE void input_lines(const float *const *pixels, size_t k, float *out, size_t point_stride,
                        winograd_size n, size_t first) {
  vec t[WINOGRAD_MAX_IN / 2][WINOGRAD_MAX_IN];
  UNROLLED
  for (size_t column = 0; column < n.w; column++) {
    vec d[WINOGRAD_MAX_IN];
    UNROLLED
    for (size_t row = 0; row < n.h; row++) d[row] = load(pixels[row * n.w + column] + k, WIDTH);
    UNROLLED
    for (size_t i = 0; i < n.h / 2; i++) t[i][column] = input_line(d, first + i, n.h);
  }
  UNROLLED
  for (size_t i = 0; i < n.h / 2; i++) {
    UNROLLED
    for (size_t column = 0; column < n.w; column++)
      store(out + ((first + i) * n.w + column) * point_stride + k, input_line(t[i], column, n.w),
            WIDTH);
  }
}

INLINE void transform_input(const float *const *pixels, size_t c, float *out, size_t point_stride,
                            winograd_size n) {
  for (size_t k = 0; k < c; k += WIDTH) {
    OPAQUE(point_stride);
    input_lines(pixels, k, out, point_stride, n, 0);
    OPAQUE(point_stride);
    input_lines(pixels, k, out, point_stride, n, n.h / 2);
  }
}

/* ---- weights ---- */

/* Return entry (i,j) of G for n points, j < r. */
INLINE double g_entry(size_t i, size_t j, size_t n, size_t r) {
  static const double points[] = {0, 1, -1, 2, -2, 1.0 / 2, -1.0 / 2};
  static const double factor4[] = {1, 1.0 / 2, 1.0 / 2};
  static const double factor6[] = {1.0 / 4, -1.0 / 6, -1.0 / 6, 1.0 / 24, 1.0 / 24};
  static const double factor8[] = {-1,       -2.0 / 9,  -2.0 / 9, 1.0 / 90,
                                   1.0 / 90, 32.0 / 45, 32.0 / 45};
  if (i == n - 1) return j == r - 1 ? 1.0 : 0.0;
  double power = n == 4 ? factor4[i] : n == 6 ? factor6[i] : factor8[i];
  for (size_t k = 0; k < j; k++) power *= points[i];
  return power;
}

/* Compute G g for one row or column: r values to n. */
INLINE void transform_filter(const wide *g, size_t stride, wide *out, size_t out_stride, size_t n,
                             size_t r) {
  for (size_t i = 0; i < n; i++) {
    wide sum = g[0] * g_entry(i, 0, n, r);
    for (size_t j = 1; j < r; j++) sum += g[j * stride] * g_entry(i, j, n, r);
    out[i * out_stride] = sum;
  }
}

/* Transform channel k of the copied filters. */
INLINE void filter_channel(const float *copied, size_t count, size_t k, float *packed,
                           size_t point_stride, winograd_size n, size_t r) {
  wide g[WINOGRAD_MAX_POINTS], t[WINOGRAD_MAX_POINTS], u[WINOGRAD_MAX_IN];
  for (size_t tap = 0; tap < r * r; tap++) {
    float taps[WIDTH] = {0};
    for (size_t f = 0; f < count; f++) taps[f] = copied[(f * r * r + tap) * WIDTH + k];
    g[tap] = __builtin_convertvector(load(taps, WIDTH), wide);
  }
  for (size_t column = 0; column < r; column++)
    transform_filter(g + column, r, t + column, r, n.h, r);
  for (size_t row = 0; row < n.h; row++) {
    transform_filter(t + row * r, 1, u, 1, n.w, r);
    for (size_t column = 0; column < n.w; column++)
      store(packed + (row * n.w + column) * point_stride, __builtin_convertvector(u[column], vec),
            WIDTH);
  }
}

/* Copy a vector of channels of the filters first: their lines are far apart, and would
 * evict each other from L1 before the next channel is read. */
INLINE void transform_weights(const float *filters, size_t count, size_t c, float *packed,
                              size_t point_stride, winograd_size n, size_t r) {
  enum { MAX_TAPS = 4 * 4 };
  float copied[WIDTH * MAX_TAPS * WIDTH];
  for (size_t first = 0; first < PANEL; first += WIDTH) {
    const size_t left = count > first ? count - first : 0, some = left < WIDTH ? left : WIDTH;
    for (size_t k = 0; k < c; k += WIDTH) {
      const size_t channels = c - k < WIDTH ? c - k : WIDTH;
      const float *from = filters + first * r * r * c + k;
      for (size_t i = 0; channels == WIDTH && i < some * r * r; i++)
        store(copied + i * WIDTH, load(from + i * c, WIDTH), WIDTH);
      for (size_t i = 0; channels < WIDTH && i < some * r * r; i++)
        memcpy(copied + i * WIDTH, from + i * c, channels * sizeof *copied);
      for (size_t i = 0; i < channels; i++)
        filter_channel(copied, some, i, packed + (k + i) * PANEL + first, point_stride, n, r);
    }
  }
}

/* ---- outputs ---- */

/* Line i of A^T, times the column m of n values. */
INLINE vec output_line(const vec *m, size_t i, size_t n, size_t out) {
  vec y = i % 2 ? m[1] - m[2] : m[1] + m[2];
  if (n >= 6) y += (float)(1 << i) * (i % 2 ? m[3] - m[4] : m[3] + m[4]);
  if (n == 8) y += 1.0f / (float)(1 << i) * (i % 2 ? m[5] - m[6] : m[5] + m[6]);
  if (i == 0) y += m[0];
  return i == out - 1 ? y + m[n - 1] : y;
}

/* The place of one tile's outputs, for all channels. */
typedef struct destination {
  const float *bias, *shortcut;
  float *out;
  size_t row_stride, column_stride;
  size_t rows, columns; /* of the tile, inside the image */
  float low, high;
} destination;

/* Compute A^T m A. */
INLINE void output_tile(const float *products, size_t point_stride, winograd_size n,
                        winograd_size out, vec y[WINOGRAD_MAX_OUT][WINOGRAD_MAX_OUT]) {
  vec t[WINOGRAD_MAX_OUT][WINOGRAD_MAX_IN];
  UNROLLED
  for (size_t column = 0; column < n.w; column++) {
    vec m[WINOGRAD_MAX_IN];
    UNROLLED
    for (size_t row = 0; row < n.h; row++)
      m[row] = load(products + (row * n.w + column) * point_stride, WIDTH);
    UNROLLED
    for (size_t row = 0; row < out.h; row++) t[row][column] = output_line(m, row, n.h, out.h);
  }
  UNROLLED
  for (size_t row = 0; row < out.h; row++) {
    UNROLLED
    for (size_t column = 0; column < out.w; column++)
      y[row][column] = output_line(t[row], column, n.w, out.w);
  }
}

/* Store `columns` pixels of one row, `count` channels of each from channel k on. */
INLINE void store_row(const vec *y, size_t row, size_t columns, size_t k, size_t count,
                      const destination *to) {
  const vec shift = load(to->bias + k, count), low = (vec){0} + to->low, high = (vec){0} + to->high;
  const size_t at = row * to->row_stride + k;
  UNROLLED
  for (size_t column = 0; column < columns; column++) {
    vec value = y[column] + shift;
    if (to->shortcut) value += load(to->shortcut + at + column * to->column_stride, count);
    store(to->out + at + column * to->column_stride, clamp_vec(value, low, high), count);
  }
}

/* Compute one vector of channels of a whole tile. */
INLINE void output_whole(const float *products, size_t point_stride, size_t k,
                         const destination *to, winograd_size n, winograd_size out) {
  vec y[WINOGRAD_MAX_OUT][WINOGRAD_MAX_OUT];
  output_tile(products + k, point_stride, n, out, y);
  UNROLLED
  for (size_t row = 0; row < out.h; row++) store_row(y[row], row, out.w, k, WIDTH, to);
}

/* Compute the other cases: tiles cut by the image's border, channels that do not fill a
 * vector. */
INLINE void output_part(const float *products, size_t point_stride, size_t k, size_t count,
                        const destination *to, winograd_size n, winograd_size out) {
  vec y[WINOGRAD_MAX_OUT][WINOGRAD_MAX_OUT];
  output_tile(products + k, point_stride, n, out, y);
  for (size_t row = 0; row < to->rows; row++)
    for (size_t column = 0; column < to->columns; column++) {
      const size_t at = row * to->row_stride + column * to->column_stride + k;
      vec value = y[row][column] + load(to->bias + k, count);
      if (to->shortcut) value += load(to->shortcut + at, count);
      store(to->out + at, clamp_vec(value, (vec){0} + to->low, (vec){0} + to->high), count);
    }
}

INLINE void transform_output(const float *products, size_t point_stride, size_t o,
                             const destination *to, winograd_size n, winograd_size out) {
  const bool whole = to->rows == out.h && to->columns == out.w;
  size_t k = 0;
  for (; k + WIDTH <= o; k += WIDTH) {
    OPAQUE(point_stride);
    if (whole)
      output_whole(products, point_stride, k, to, n, out);
    else
      output_part(products, point_stride, k, WIDTH, to, n, out);
  }
  if (k < o) output_part(products, point_stride, k, o - k, to, n, out);
}

/* ---- the forms: constant sizes for the functions above ---- */

#define IN(h, w, r)                                                                                \
  (winograd_size) { h + r - 1, w + r - 1 }
#define FORM(h, w, r)                                                                              \
  static void input_##h##_##w##_##r(const float *const *pixels, size_t c, float *out,              \
                                    size_t point_stride) {                                         \
    transform_input(pixels, c, out, point_stride, IN(h, w, r));                                    \
  }                                                                                                \
  static void weights_##h##_##w##_##r(const float *filters, size_t count, size_t c, float *packed, \
                                      size_t point_stride) {                                       \
    transform_weights(filters, count, c, packed, point_stride, IN(h, w, r), r);                    \
  }                                                                                                \
  static void output_##h##_##w##_##r(const float *products, size_t point_stride, size_t o,         \
                                     const float *bias, const float *shortcut, float *out,         \
                                     size_t row_stride, size_t rows, size_t columns, float low,    \
                                     float high) {                                                 \
    const destination to = {bias, shortcut, out, row_stride, o, rows, columns, low, high};         \
    transform_output(products, point_stride, o, &to, IN(h, w, r), (winograd_size){h, w});          \
  }
FORM(2, 2, 3)
FORM(4, 2, 3)
FORM(4, 4, 3)
FORM(5, 5, 4)

#define FUNCTIONS(h, w, r)                                                                         \
  {                                                                                                \
    .out = {h, w}, .in = {h + r - 1, w + r - 1}, .taps = r,                                        \
    .transform_input = input_##h##_##w##_##r, .transform_weights = weights_##h##_##w##_##r,        \
    .transform_output = output_##h##_##w##_##r                                                     \
  }

const simd_winograd SIMD_INSTANCE(winograd) = {
    .f2x2_3x3 = FUNCTIONS(2, 2, 3),
    .f4x2_3x3 = FUNCTIONS(4, 2, 3),
    .f4x4_3x3 = FUNCTIONS(4, 4, 3),
    .f5x5_4x4 = FUNCTIONS(5, 5, 4),
};
