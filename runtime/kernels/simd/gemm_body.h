/* Source of one variant. Included by the files matrix_*.c, which define VARIANT,
 * VECTOR_BYTES and REGISTERS, of which the sums of a tile of ROWS x 2 vectors leave
 * enough for what is multiplied. */
#include "runtime/kernels/simd/simd.h"
#include "runtime/kernels/simd/gemm.h"

enum {
  ROWS = REGISTERS >= 32 ? 8 : 6,
  LINE = 16, /* floats of a cache line */
  PANEL_LINES = 2 * WIDTH / LINE
};

/* One panel's product. `finish` is NULL or points to the panel's own columns; its bias
 * always has 2 * WIDTH of them. `last` is the number of floats in the last vector. */
typedef struct panel {
  matrix_product p;
  const matrix_finish *finish;
  size_t last;
} panel;

typedef struct limits {
  vec low, high;
} limits;

INLINE limits read_limits(const matrix_finish *f) {
  return (limits){(vec){0} + f->low, (vec){0} + f->high};
}

INLINE void finish_vector(const panel *t, size_t at, vec sum, limits range, size_t count) {
  const float *shortcut = t->finish->shortcut;
  if (shortcut) sum += load(shortcut + at, count);
  store(t->p.out + at, clamp(sum, range.low, range.high), count);
}

/* Finish a tile whose last vector is not whole, from its sums in memory. Copying part of
 * a vector calls memcpy, and GCC keeps sums that outlive a call on the stack, in the loop
 * over k too. Hence this is a function of its own: no sum is in a register when memcpy is
 * called. */
static __attribute__((noinline)) void finish_part(const panel *t, size_t row, size_t rows,
                                                  size_t vectors, const float *sums) {
  const limits range = read_limits(t->finish);
  for (size_t r = 0; r < rows; r++, sums += vectors * WIDTH) {
    const size_t at = (row + r) * t->p.out_stride, last = (vectors - 1) * WIDTH;
    if (vectors == 2) finish_vector(t, at, load(sums, WIDTH), range, WIDTH);
    finish_vector(t, at + last, load(sums + last, WIDTH), range, t->last);
  }
}

INLINE void store_tile(float *out, size_t stride, size_t rows, size_t vectors, vec sum[ROWS][2]) {
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++) store(out + r * stride + v * WIDTH, sum[r][v], WIDTH);
}

INLINE void finish_tile(const panel *t, size_t row, size_t rows, size_t vectors, vec sum[ROWS][2]) {
  if (t->last < WIDTH) {
    float sums[ROWS * 2 * WIDTH];
    store_tile(sums, vectors * WIDTH, rows, vectors, sum);
    finish_part(t, row, rows, vectors, sums);
    return;
  }
  const limits range = read_limits(t->finish);
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++)
      finish_vector(t, (row + r) * t->p.out_stride + v * WIDTH, sum[r][v], range, WIDTH);
}

/* Bring near what finish_tile will read and write while the sums are still being made. */
INLINE void fetch_finish(const panel *t, size_t row, size_t rows, size_t vectors) {
  for (size_t r = 0; r < rows; r++)
    for (size_t k = 0; k < vectors * WIDTH; k += LINE) {
      const size_t at = (row + r) * t->p.out_stride + k;
      if (t->finish->shortcut) __builtin_prefetch(t->finish->shortcut + at);
      __builtin_prefetch(t->p.out + at, 1);
    }
}

/* Compute rows x (vectors * WIDTH) of a product in registers; rows and vectors are
 * constants after inlining. Meanwhile prefetch `lines` cache lines into L2, from `next`
 * on, for each of the c input channels. Rows are the outer loop: one broadcast is alive
 * at a time, so that it, the sums and the columns fit the registers. With vectors
 * outside, GCC keeps all broadcasts of both passes, and 3 of AVX2's 12 sums move to the
 * stack: a factor of two to three. tests/kernels checks that none does. */
INLINE void multiply_tile(const panel *t, size_t row, size_t rows, size_t vectors,
                          const float *next, size_t lines) {
  const float *a = t->p.a + row * t->p.a_stride, *b = t->p.packed;
  const size_t c = t->p.c, stride = t->p.a_stride;
  vec sum[ROWS][2];
  if (t->finish) fetch_finish(t, row, rows, vectors);
  for (size_t v = 0; v < vectors; v++) {
    const vec start = t->finish ? load(t->finish->bias + v * WIDTH, WIDTH) : (vec){0};
    for (size_t r = 0; r < rows; r++) sum[r][v] = start;
  }
  for (size_t k = 0; k < c; k++, b += 2 * WIDTH) {
    for (size_t line = 0; line < lines; line++)
      __builtin_prefetch(next + (k * lines + line) * LINE, 0, 2);
    vec column[2];
    for (size_t v = 0; v < vectors; v++) column[v] = load(b + v * WIDTH, WIDTH);
    for (size_t r = 0; r < rows; r++)
      for (size_t v = 0; v < vectors; v++) sum[r][v] += a[r * stride + k] * column[v];
  }
  if (t->finish)
    finish_tile(t, row, rows, vectors, sum);
  else
    store_tile(t->p.out + row * t->p.out_stride, t->p.out_stride, rows, vectors, sum);
}

/* The next panel is fetched by the first two tiles, half each where it is of two lines
 * for each input channel, so that memory has the most time to bring it. */
INLINE size_t fetching_tiles(const panel *t, size_t rows, size_t vectors) {
  enum { FIRST = (PANEL_LINES + 1) / 2, SECOND = PANEL_LINES - FIRST };
  const float *next = t->p.packed + t->p.c * 2 * WIDTH;
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

static void multiply(const matrix_product *p, size_t rows) {
  panel t = {*p, NULL, WIDTH};
  for (size_t i = 0; i < p->count; i++) {
    t.p.a = p->a + i * p->a_next;
    t.p.packed = p->packed + i * p->packed_next;
    t.p.out = p->out + i * p->out_next;
    for (size_t k = 0; k < p->o; k += 2 * WIDTH) {
      if (p->o - k > WIDTH)
        multiply_panel(&t, rows, 2);
      else
        multiply_panel(&t, rows, 1);
      t.p.packed += p->c * 2 * WIDTH;
      t.p.out += 2 * WIDTH;
    }
  }
}

static void multiply_finish(const matrix_product *p, const matrix_finish *finish, size_t rows) {
  matrix_finish here = *finish;
  panel t = {*p, &here, WIDTH};
  float bias[2 * WIDTH] = {0};
  for (size_t k = 0; k < p->o; k += 2 * WIDTH) {
    const size_t count = p->o - k;
    if (count < 2 * WIDTH) {
      memcpy(bias, here.bias, count * sizeof *bias);
      here.bias = bias;
      t.last = count > WIDTH ? count - WIDTH : count;
    }
    if (count > WIDTH)
      multiply_panel(&t, rows, 2);
    else
      multiply_panel(&t, rows, 1);
    t.p.packed += p->c * 2 * WIDTH;
    t.p.out += 2 * WIDTH;
    here.bias += 2 * WIDTH;
    if (here.shortcut) here.shortcut += 2 * WIDTH;
  }
}

const matrix_functions JOIN(matrix, VARIANT) = {
    .name = NAME_OF(VARIANT),
    .panel = 2 * WIDTH,
    .multiply = multiply,
    .multiply_finish = multiply_finish,
};
