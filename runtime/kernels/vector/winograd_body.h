/* Source of one variant. Included by the files winograd_*.c, which define VARIANT and VECTOR_BYTES. The vector layer is
 * the compilers' own: arithmetic on a vector type becomes the instruction set's. */
#include <string.h>

#include "runtime/kernels/vector/winograd.h"

typedef float vec __attribute__((vector_size(VECTOR_BYTES)));
typedef int mask __attribute__((vector_size(VECTOR_BYTES))); /* what comparing two vec gives: 0 or -1 */

enum { WIDTH = VECTOR_BYTES / sizeof(float) };

#define INLINE static inline __attribute__((always_inline))

/* `count` floats, the rest zero; callers pass a constant WIDTH wherever there are that many. */
INLINE vec load(const float *x, size_t count) {
  vec v = {0};
  memcpy(&v, x, count * sizeof *x);
  return v;
}

INLINE void store(float *x, vec v, size_t count) { memcpy(x, &v, count * sizeof *x); }

/* B^T d for one row or column, in place. */
INLINE void transform_input(vec *d) {
  const vec even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
  const vec even2 = d[4] - d[2], odd2 = 2.0f * (d[3] - d[1]);
  d[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  d[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
  d[1] = even + odd;
  d[2] = even - odd;
  d[3] = even2 + odd2;
  d[4] = even2 - odd2;
}

/* A^T m for one row or column: the first four hold the result. */
INLINE void transform_output(vec *m) {
  const vec sum1 = m[1] + m[2], difference1 = m[1] - m[2];
  const vec sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  m[0] = m[0] + sum1 + sum2;
  m[1] = difference1 + 2.0f * difference2;
  m[2] = sum1 + 4.0f * sum2;
  m[3] = difference1 + 8.0f * difference2 + m[5];
}

/* Columns first, from memory into t; then rows, from t to memory: half of it fits no register file. */
INLINE void input_channels(const float *const *pixels, size_t k, size_t count, float *spread, size_t point_stride) {
  vec t[WINOGRAD_POINTS];
  for (size_t column = 0; column < WINOGRAD_IN; column++) {
    vec d[WINOGRAD_IN];
    for (size_t row = 0; row < WINOGRAD_IN; row++) d[row] = load(pixels[row * WINOGRAD_IN + column] + k, count);
    transform_input(d);
    for (size_t row = 0; row < WINOGRAD_IN; row++) t[row * WINOGRAD_IN + column] = d[row];
  }
  for (size_t row = 0; row < WINOGRAD_IN; row++) {
    transform_input(t + row * WINOGRAD_IN);
    for (size_t column = 0; column < WINOGRAD_IN; column++)
      store(spread + (row * WINOGRAD_IN + column) * point_stride + k, t[row * WINOGRAD_IN + column], count);
  }
}

static void input(const float *const *pixels, size_t c, float *spread, size_t point_stride) {
  size_t k = 0;
  for (; k + WIDTH <= c; k += WIDTH) input_channels(pixels, k, WIDTH, spread, point_stride);
  if (k < c) input_channels(pixels, k, c - k, spread, point_stride);
}

/* Lane by lane `a` where the mask is set, else `b`. Loops over lanes would be compiled to scalar code. */
INLINE vec select(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }

INLINE vec clamp(vec x, vec low, vec high) {
  x = select(x < low, low, x);
  return select(x > high, high, x);
}

INLINE void output_channels(const float *products, size_t point_stride, size_t k, size_t count, const float *bias,
                            const float *shortcut, float *out, size_t row_stride, size_t o, size_t rows, size_t columns,
                            float low, float high) {
  vec t[WINOGRAD_OUT * WINOGRAD_IN];
  for (size_t column = 0; column < WINOGRAD_IN; column++) {
    vec m[WINOGRAD_IN];
    for (size_t row = 0; row < WINOGRAD_IN; row++)
      m[row] = load(products + (row * WINOGRAD_IN + column) * point_stride + k, count);
    transform_output(m);
    for (size_t row = 0; row < WINOGRAD_OUT; row++) t[row * WINOGRAD_IN + column] = m[row];
  }
  const vec shift = load(bias + k, count), lowest = (vec){0} + low, highest = (vec){0} + high;
  for (size_t row = 0; row < rows; row++) {
    vec *y = t + row * WINOGRAD_IN;
    transform_output(y);
    for (size_t column = 0; column < columns; column++) {
      const size_t at = row * row_stride + column * o + k;
      vec value = y[column] + shift;
      if (shortcut) value += load(shortcut + at, count);
      store(out + at, clamp(value, lowest, highest), count);
    }
  }
}

static void output(const float *products, size_t point_stride, size_t o, const float *bias, const float *shortcut,
                   float *out, size_t row_stride, size_t rows, size_t columns, float low, float high) {
  size_t k = 0;
  for (; k + WIDTH <= o; k += WIDTH)
    output_channels(products, point_stride, k, WIDTH, bias, shortcut, out, row_stride, o, rows, columns, low, high);
  if (k < o)
    output_channels(products, point_stride, k, o - k, bias, shortcut, out, row_stride, o, rows, columns, low, high);
}

/* rows x (vectors * WIDTH) of a product, kept in registers; rows and vectors are constants after inlining. */
INLINE void multiply_tile(const float *a, const float *b, float *out, size_t c, size_t o, size_t rows, size_t vectors,
                          size_t last) {
  vec sum[WINOGRAD_ROWS][2];
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++) sum[r][v] = (vec){0};
  for (size_t k = 0; k < c; k++, b += 2 * WIDTH)
    for (size_t v = 0; v < vectors; v++) {
      const vec column = load(b + v * WIDTH, WIDTH);
      for (size_t r = 0; r < rows; r++) sum[r][v] += a[r * c + k] * column;
    }
  for (size_t r = 0; r < rows; r++) {
    if (vectors == 2) store(out + r * o, sum[r][0], WIDTH);
    store(out + r * o + (vectors - 1) * WIDTH, sum[r][vectors - 1], last);
  }
}

/* All rows of one panel, which holds `count` output channels. */
INLINE void multiply_panel(const float *a, const float *b, float *out, size_t rows, size_t c, size_t o, size_t vectors,
                           size_t last) {
  size_t r = 0;
  for (; r + 8 <= rows; r += 8) multiply_tile(a + r * c, b, out + r * o, c, o, 8, vectors, last);
  if (r + 4 <= rows) {
    multiply_tile(a + r * c, b, out + r * o, c, o, 4, vectors, last);
    r += 4;
  }
  if (r + 2 <= rows) {
    multiply_tile(a + r * c, b, out + r * o, c, o, 2, vectors, last);
    r += 2;
  }
  if (r < rows) multiply_tile(a + r * c, b, out + r * o, c, o, 1, vectors, last);
}

static void multiply(const float *spread, const float *weights, float *products, size_t rows, size_t c, size_t o) {
  for (size_t k = 0; k < o; k += 2 * WIDTH, weights += c * 2 * WIDTH) {
    const size_t count = o - k;
    if (count >= 2 * WIDTH)
      multiply_panel(spread, weights, products + k, rows, c, o, 2, WIDTH);
    else if (count > WIDTH)
      multiply_panel(spread, weights, products + k, rows, c, o, 2, count - WIDTH);
    else if (count == WIDTH)
      multiply_panel(spread, weights, products + k, rows, c, o, 1, WIDTH);
    else
      multiply_panel(spread, weights, products + k, rows, c, o, 1, count);
  }
}

#define STRINGIFY(text) #text
#define NAME_OF(variant) STRINGIFY(variant)
#define OBJECT(variant) OBJECT_(variant)
#define OBJECT_(variant) winograd_##variant
const winograd_functions OBJECT(VARIANT) = {
    .name = NAME_OF(VARIANT),
    .panel = 2 * WIDTH,
    .input = input,
    .multiply = multiply,
    .output = output,
};
