#include "runtime/kernels/simd/grouped.h"

#include "runtime/kernels/simd/simd.h"

/* Columns that are computed at once: enough sums to hide the latency of an addition,
 * few enough that registers are left for the weights of a run, an input and a product. */
#if defined(__AVX512F__) || defined(__aarch64__)
enum { WIDE = 14, NARROW = 8 };
#elif defined(__FMA__)
enum { WIDE = 10, NARROW = 8 };
#else
enum { WIDE = 10, NARROW = 7 };
#endif

/* For loops over a tile's columns, inputs and taps: once unrolled, sums stay in
 * registers. clang unrolls by a number too late for that. */
#if defined(__clang__)
#define UNROLL_TILE _Pragma("clang loop unroll(full)")
#else
#define UNROLL_TILE _Pragma("GCC unroll 16")
#endif

/* Return x in a register. GCC would read an input that has several taps from memory again
 * for each, and loads would limit the loop. */
INLINE vec hold(vec x) {
#if defined(__x86_64__)
  __asm__("" : "+v"(x));
#endif
  return x;
}

/* ---- inputs ---- */

#if SIMD_BYTES >= 32
typedef int lanes __attribute__((vector_size(SIMD_BYTES)));

#if SIMD_BYTES == 64
INLINE vec permute(vec x, lanes from) {
  return (vec)_mm512_permutexvar_ps((__m512i)from, (__m512)x);
}
#else
INLINE vec permute(vec x, lanes from) {
  return (vec)_mm256_permutevar8x32_ps((__m256)x, (__m256i)from);
}
#endif

/* Spread `channels` input channels of each group, a constant after inlining, to the lanes
 * of its outputs. */
INLINE void spread_channels(const grouped_pixels *p, lanes from, size_t channels, float *to) {
  for (size_t i = 0; i < p->count; i++) {
    const float *pixel = p->x + i * p->step;
    __builtin_prefetch(pixel + p->ahead);
    const vec x = load(pixel, WIDTH);
    for (size_t k = 0; k < channels; k++)
      store(to + k * p->channel + i * WIDTH, permute(x, from + (int)k), WIDTH);
  }
}

static void spread_groups(const grouped_pixels *p) {
  enum { CHANNELS = 4 };
  lanes from;
  memcpy(&from, p->first, sizeof from);
  float *to = p->to;
  size_t k = 0;
  for (; k + CHANNELS <= p->in; k += CHANNELS, from += CHANNELS, to += CHANNELS * p->channel)
    spread_channels(p, from, CHANNELS, to);
  for (; k < p->in; k++, from += 1, to += p->channel) spread_channels(p, from, 1, to);
}
#else
static void spread_groups(const grouped_pixels *p) { (void)p; }
#endif

static void spread_one_group(const grouped_pixels *p) {
  for (size_t i = 0; i < p->count; i++) {
    const float *pixel = p->x + i * p->step;
    __builtin_prefetch(pixel + p->ahead);
    for (size_t k = 0; k < p->in; k++)
      store(p->to + k * p->channel + i * WIDTH, broadcast(pixel[k]), WIDTH);
  }
}

static void copy_channels(const grouped_pixels *p) {
  for (size_t i = 0; i < p->count; i++) {
    const float *pixel = p->x + i * p->step;
    __builtin_prefetch(pixel + p->ahead);
    store(p->to + i * WIDTH, load(pixel, WIDTH), WIDTH);
  }
}

static void copy_pixels(const grouped_pixels *p) {
  for (size_t i = 0; i < p->count; i++)
    for (size_t k = 0; k < p->in; k += WIDTH) {
      const float *pixel = p->x + i * p->step + k;
      __builtin_prefetch(pixel + p->ahead);
      store(p->to + i * GROUPED_PITCH + k, load(pixel, WIDTH), WIDTH);
    }
}

static void spread_pixels(const grouped_pixels *p, grouped_spread how) {
  switch (how) {
  case GROUPED_COPY:
    copy_channels(p);
    return;
  case GROUPED_PERMUTE:
    spread_groups(p);
    return;
  case GROUPED_BROADCAST:
    spread_one_group(p);
    return;
  case GROUPED_PIXELS:
    copy_pixels(p);
    return;
  }
}

/* ---- products ---- */

/* Some columns of a tile. */
typedef struct part {
  const grouped_tile *t;
  size_t column, columns;
} part;

/* Finish sums of a part that is not whole. In a separate function, no sum is in a
 * register when memcpy is called. */
static __attribute__((noinline)) void store_part(const part *p, const float *sums) {
  const grouped_tile *t = p->t;
  const vec low = broadcast(t->low), high = broadcast(t->high);
  for (size_t i = 0; i < p->columns; i++)
    store(t->out + (p->column + i) * t->step, clamp_vec(load(sums + i * WIDTH, WIDTH), low, high),
          t->channels);
}

INLINE bool is_whole(const part *p, size_t columns) {
  return p->columns == columns && p->t->channels == WIDTH;
}

INLINE void store_sums(const part *p, size_t columns, const vec sum[WIDE]) {
  const grouped_tile *t = p->t;
  if (is_whole(p, columns)) {
    const vec low = broadcast(t->low), high = broadcast(t->high);
    float *out = t->out + p->column * t->step;
    UNROLL_TILE
    for (size_t i = 0; i < columns; i++, out += t->step)
      store(out, clamp_vec(sum[i], low, high), WIDTH);
    return;
  }
  float sums[WIDE * WIDTH];
  UNROLL_TILE
  for (size_t i = 0; i < columns; i++) store(sums + i * WIDTH, sum[i], WIDTH);
  store_part(p, sums);
}

/* Add the products of a run of `taps`, for `columns` outputs; taps, columns and pixels
 * are constants after inlining. Output i reads inputs i to i + taps - 1. */
INLINE void add_run(const grouped_tile *t, const float *x, const float *weights, size_t columns,
                    size_t taps, bool pixels, vec sum[WIDE]) {
  for (size_t k = 0; k < t->in; k++, x += t->channel, weights += taps * WIDTH) {
    vec weight[GROUPED_MAX_RUN];
    UNROLL_TILE
    for (size_t tap = 0; tap < taps; tap++) weight[tap] = load(weights + tap * WIDTH, WIDTH);
    UNROLL_TILE
    for (size_t i = 0; i < columns + taps - 1; i++) {
      vec input = pixels ? broadcast(x[i * GROUPED_PITCH]) : load(x + i * WIDTH, WIDTH);
      if (taps > 1) input = hold(input);
      UNROLL_TILE
      for (size_t tap = 0; tap < taps; tap++)
        if (i >= tap && i - tap < columns) sum[i - tap] += weight[tap] * input;
    }
  }
}

/* Compute `columns` outputs; columns and pixels are constants after inlining. */
INLINE void convolve_columns(const part *p, size_t columns, bool pixels) {
  const grouped_tile *t = p->t;
  const size_t offset = p->column * (pixels ? (size_t)GROUPED_PITCH : (size_t)WIDTH);
  if (is_whole(p, columns)) {
    const float *out = t->out + p->column * t->step;
    UNROLL_TILE
    for (size_t i = 0; i < columns; i++, out += t->step) __builtin_prefetch(out, 1);
  }
  vec sum[WIDE];
  const vec bias = load(t->bias, WIDTH);
  UNROLL_TILE
  for (size_t i = 0; i < columns; i++) sum[i] = bias;
  const float *weights = t->weights;
  for (size_t row = 0; row < t->row_count; row++)
    for (size_t i = 0; i < t->run_count; i++) {
      const grouped_taps run = t->runs[i];
      const float *x = t->rows[row] + run.place + offset;
      if (run.count == 3)
        add_run(t, x, weights, columns, 3, pixels, sum);
      else if (run.count == 2)
        add_run(t, x, weights, columns, 2, pixels, sum);
      else
        add_run(t, x, weights, columns, 1, pixels, sum);
      weights += run.count * t->in * WIDTH;
    }
  store_sums(p, columns, sum);
}

/* Return the sums for `columns` outputs, at most WIDE. */
INLINE size_t padded(size_t columns) { return columns <= NARROW ? NARROW : WIDE; }

static size_t next_columns(size_t left, size_t max_columns) {
  if (left <= NARROW || max_columns < WIDE) return left < NARROW ? left : NARROW;
  if (left <= WIDE) return left;
  const size_t parts = (left + WIDE - 1) / WIDE, even = (left + parts - 1) / parts;
  const size_t rest = left - (parts - 1) * WIDE;
  return parts * padded(even) < (parts - 1) * WIDE + padded(rest) ? even : WIDE;
}

/* Whole tiles of WIDE or NARROW columns, or an even split, whichever computes less. */
static size_t padded_columns(size_t columns) {
  size_t done = 0, next = 0;
  for (; done < columns; done += next) next = next_columns(columns - done, WIDE);
  return columns - next + padded(next);
}

INLINE void convolve_inputs(const grouped_tile *t, bool pixels) {
  part p = {.t = t};
  for (; p.column < t->columns; p.column += p.columns) {
    p.columns = next_columns(t->columns - p.column, WIDE);
    if (p.columns <= NARROW)
      convolve_columns(&p, NARROW, pixels);
    else
      convolve_columns(&p, WIDE, pixels);
  }
}

static void convolve(const grouped_tile *t) {
  if (t->pixels)
    convolve_inputs(t, true);
  else
    convolve_inputs(t, false);
}

const simd_grouped SIMD_INSTANCE(grouped) = {
    .permutes = SIMD_BYTES >= 32,
    .spread = spread_pixels,
    .next_columns = next_columns,
    .padded_columns = padded_columns,
    .convolve = convolve,
};
