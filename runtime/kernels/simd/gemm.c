#include "runtime/kernels/simd/gemm.h"

#include "runtime/kernels/simd/simd.h"

/* vector registers */
#if defined(__AVX512F__) || defined(__aarch64__)
#define REGISTERS 32
#else
#define REGISTERS 16
#endif

enum {
  /* of a tile: its sums, ROWS x 2 vectors, leave enough registers for the factors */
  ROWS = REGISTERS >= 32 ? 8 : 6,
  LINE = 16, /* floats of a cache line */
  PANEL_LINES = PANEL / LINE
};

/* One panel's product. `epilogue` is NULL or points to the panel's own columns; its bias
 * always has PANEL floats. `last` is the number of floats in the last vector. */
typedef struct panel {
  simd_product p;
  const simd_epilogue *epilogue;
  size_t last;
} panel;

typedef struct limits {
  vec low, high;
} limits;

INLINE limits read_limits(const simd_epilogue *e) {
  return (limits){(vec){0} + e->low, (vec){0} + e->high};
}

INLINE void store_vector(const panel *t, size_t at, vec sum, limits range, size_t count) {
  const float *shortcut = t->epilogue->shortcut;
  if (shortcut) sum += load(shortcut + at, count);
  store(t->p.out + at, clamp_vec(sum, range.low, range.high), count);
}

/* Apply the epilogue to a tile whose last vector is not whole, from its sums in memory.
 * Copying part of a vector calls memcpy, and GCC keeps sums that outlive a call on the
 * stack, even in the loop over k. In a separate function, no sum is in a register when
 * memcpy is called. */
static __attribute__((noinline)) void store_partial_tile(const panel *t, size_t row, size_t rows,
                                                         size_t vectors, const float *sums) {
  const limits range = read_limits(t->epilogue);
  for (size_t r = 0; r < rows; r++, sums += vectors * WIDTH) {
    const size_t at = (row + r) * t->p.out_stride, last = (vectors - 1) * WIDTH;
    if (vectors == 2) store_vector(t, at, load(sums, WIDTH), range, WIDTH);
    store_vector(t, at + last, load(sums + last, WIDTH), range, t->last);
  }
}

INLINE void store_tile(float *out, size_t stride, size_t rows, size_t vectors, vec sum[ROWS][2]) {
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++) store(out + r * stride + v * WIDTH, sum[r][v], WIDTH);
}

INLINE void store_finished_tile(const panel *t, size_t row, size_t rows, size_t vectors,
                                vec sum[ROWS][2]) {
  if (t->last < WIDTH) {
    float sums[ROWS * PANEL];
    store_tile(sums, vectors * WIDTH, rows, vectors, sum);
    store_partial_tile(t, row, rows, vectors, sums);
    return;
  }
  const limits range = read_limits(t->epilogue);
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++)
      store_vector(t, (row + r) * t->p.out_stride + v * WIDTH, sum[r][v], range, WIDTH);
}

/* Prefetch what store_finished_tile will read and write, before the sums are computed. */
INLINE void fetch_epilogue(const panel *t, size_t row, size_t rows, size_t vectors) {
  for (size_t r = 0; r < rows; r++)
    for (size_t k = 0; k < vectors * WIDTH; k += LINE) {
      const size_t at = (row + r) * t->p.out_stride + k;
      if (t->epilogue->shortcut) __builtin_prefetch(t->epilogue->shortcut + at);
      __builtin_prefetch(t->p.out + at, 1);
    }
}

/* Compute rows x (vectors * WIDTH) of a product in registers; rows and vectors are
 * constants after inlining. Meanwhile prefetch `lines` cache lines into L2, from `next`
 * on, for each of the c input channels.
 *
 * Rows are the outer loop: one broadcast is alive at a time, so it, the sums and the
 * columns fit the registers. With vectors as the outer loop, GCC keeps all broadcasts of
 * both passes and moves 3 of AVX2's 12 sums to the stack: a factor of two to three.
 * tests/kernels checks that no sum is on the stack. */
INLINE void multiply_tile(const panel *t, size_t row, size_t rows, size_t vectors,
                          const float *next, size_t lines) {
  const float *a = t->p.a + row * t->p.a_stride, *b = t->p.packed;
  const size_t c = t->p.c, stride = t->p.a_stride;
  vec sum[ROWS][2];
  if (t->epilogue) fetch_epilogue(t, row, rows, vectors);
  for (size_t v = 0; v < vectors; v++) {
    const vec start = t->epilogue ? load(t->epilogue->bias + v * WIDTH, WIDTH) : (vec){0};
    for (size_t r = 0; r < rows; r++) sum[r][v] = start;
  }
  for (size_t k = 0; k < c; k++, b += PANEL) {
    for (size_t line = 0; line < lines; line++)
      __builtin_prefetch(next + (k * lines + line) * LINE, 0, 2);
    vec column[2];
    for (size_t v = 0; v < vectors; v++) column[v] = load(b + v * WIDTH, WIDTH);
    for (size_t r = 0; r < rows; r++)
      for (size_t v = 0; v < vectors; v++) sum[r][v] += a[r * stride + k] * column[v];
  }
  if (t->epilogue)
    store_finished_tile(t, row, rows, vectors, sum);
  else
    store_tile(t->p.out + row * t->p.out_stride, t->p.out_stride, rows, vectors, sum);
}

/* Compute the first tiles, which prefetch the next panel early; return their rows. Two
 * tiles fetch half each where a panel has two lines for each input channel. */
INLINE size_t fetching_tiles(const panel *t, size_t rows, size_t vectors) {
  enum { FIRST = (PANEL_LINES + 1) / 2, SECOND = PANEL_LINES - FIRST };
  const float *next = t->p.packed + t->p.c * PANEL;
  if (!t->p.fetch || rows < ROWS) return 0;
  if (rows < 2 * ROWS) {
    multiply_tile(t, 0, ROWS, vectors, next, PANEL_LINES);
    return ROWS;
  }
  multiply_tile(t, 0, ROWS, vectors, next, FIRST);
  multiply_tile(t, ROWS, ROWS, vectors, next + t->p.c * FIRST * LINE, SECOND);
  return 2 * ROWS;
}

INLINE void multiply_panel(const panel *t, size_t rows, size_t vectors) {
  size_t r = fetching_tiles(t, rows, vectors);
  for (; r + ROWS <= rows; r += ROWS) multiply_tile(t, r, ROWS, vectors, NULL, 0);
  if (r + 4 <= rows) {
    multiply_tile(t, r, 4, vectors, NULL, 0);
    r += 4;
  }
  if (r + 2 <= rows) {
    multiply_tile(t, r, 2, vectors, NULL, 0);
    r += 2;
  }
  if (r < rows) multiply_tile(t, r, 1, vectors, NULL, 0);
}

static void multiply_products(const simd_product *p, size_t rows) {
  panel t = {*p, NULL, WIDTH};
  for (size_t i = 0; i < p->count; i++) {
    t.p.a = p->a + i * p->a_next;
    t.p.packed = p->packed + i * p->packed_next;
    t.p.out = p->out + i * p->out_next;
    for (size_t k = 0; k < p->o; k += PANEL) {
      if (p->o - k > WIDTH)
        multiply_panel(&t, rows, 2);
      else
        multiply_panel(&t, rows, 1);
      t.p.packed += p->c * PANEL;
      t.p.out += PANEL;
    }
  }
}

static void multiply_epilogue(const simd_product *p, const simd_epilogue *epilogue, size_t rows) {
  simd_epilogue here = *epilogue;
  panel t = {*p, &here, WIDTH};
  float bias[PANEL] = {0};
  for (size_t k = 0; k < p->o; k += PANEL) {
    const size_t count = p->o - k;
    if (count < PANEL) {
      memcpy(bias, here.bias, count * sizeof *bias);
      here.bias = bias;
      t.last = count > WIDTH ? count - WIDTH : count;
    }
    if (count > WIDTH)
      multiply_panel(&t, rows, 2);
    else
      multiply_panel(&t, rows, 1);
    t.p.packed += p->c * PANEL;
    t.p.out += PANEL;
    here.bias += PANEL;
    if (here.shortcut) here.shortcut += PANEL;
  }
}

const simd_gemm SIMD_INSTANCE(gemm) = {
    .multiply = multiply_products,
    .multiply_epilogue = multiply_epilogue,
};
