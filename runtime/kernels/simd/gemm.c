#include "runtime/kernels/simd/gemm.h"

#include <stdint.h>

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
  FEW = 4, /* rows of the smallest tile that is not slowed down by its own additions */
  /* products of a sum that are computed at once: a panel of 64 KiB at most; fewer blocks
   * than MIN_BLOCKS gain nothing */
  BLOCK = 512,
  MIN_BLOCKS = 4,
  AHEAD = 8,         /* products between a use of weights and their prefetch into L1 */
  LINE = 16,         /* floats of a cache line */
  FETCHING_TILES = 4 /* at most; a power of two, like PANEL */
};

/* One panel's product. */
typedef struct panel {
  simd_product p;
  size_t columns; /* in the packed panel */
  /* the block of the sums to compute: taps and input channels, each from its first on */
  size_t first_tap, taps, first_c, c;
  bool resumes, pauses; /* before and after the block, the sums are in p.sums */
  /* NULL, or with the panel's own columns; its bias always has PANEL floats */
  const simd_epilogue *epilogue;
  size_t last;       /* floats in the last vector of the output */
  const float *next; /* the panel to prefetch; NULL: none */
} panel;

/* Where a tile prefetches while it is computed: at `next`, which moves on by `step`
 * floats with each input channel. How many cache lines is a constant of the caller. */
typedef struct prefetch {
  const float *next;
  size_t step;
} prefetch;

/* For functions whose code exists once, though some callers pass constants. */
#if defined(__clang__)
#define ONCE __attribute__((noinline))
#else
#define ONCE __attribute__((noinline, noclone))
#endif

/* Load `count` floats, which need not be a constant: WIDTH is one instruction. */
INLINE vec load_some(const float *x, size_t count) {
  return count == WIDTH ? load(x, WIDTH) : load(x, count);
}

INLINE void store_some(float *x, vec v, size_t count) {
  if (count == WIDTH)
    store(x, v, WIDTH);
  else
    store(x, v, count);
}

/* Apply the epilogue to a tile whose last vector is not whole, from its sums in memory.
 * Copying part of a vector calls memcpy, and GCC keeps sums that outlive a call on the
 * stack, even in the loop over k. In a separate function, no sum is in a register when
 * memcpy is called. */
static ONCE void store_partial_tile(const panel *t, size_t row, size_t rows, size_t vectors,
                                    const float *sums) {
  const simd_epilogue *e = t->epilogue;
  const vec low = broadcast(e->low), high = broadcast(e->high);
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++, sums += WIDTH) {
      const size_t at = (row + r) * t->p.out_stride + v * WIDTH;
      const size_t count = v + 1 < vectors ? WIDTH : t->last;
      vec sum = load(sums, WIDTH);
      if (e->shortcut) sum += load_some(e->shortcut + at, count);
      store_some(t->p.out + at, clamp_vec(sum, low, high), count);
    }
}

INLINE void store_tile(float *out, size_t stride, size_t rows, size_t vectors, vec sum[ROWS][2]) {
  for (size_t r = 0; r < rows; r++, out += stride)
    for (size_t v = 0; v < vectors; v++) store(out + v * WIDTH, sum[r][v], WIDTH);
}

INLINE void store_finished_tile(const panel *t, size_t row, size_t rows, size_t vectors,
                                vec sum[ROWS][2]) {
  if (t->last < WIDTH) {
    float sums[ROWS * PANEL];
    store_tile(sums, vectors * WIDTH, rows, vectors, sum);
    store_partial_tile(t, row, rows, vectors, sums);
    return;
  }
  /* a store may change any object, as far as the compiler knows: read them all before */
  const vec low = broadcast(t->epilogue->low), high = broadcast(t->epilogue->high);
  const size_t stride = t->p.out_stride;
  float *out = t->p.out + row * stride;
  if (t->epilogue->shortcut) {
    const float *shortcut = t->epilogue->shortcut + row * stride;
    for (size_t r = 0; r < rows; r++, shortcut += stride)
      for (size_t v = 0; v < vectors; v++) sum[r][v] += load(shortcut + v * WIDTH, WIDTH);
  }
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++) sum[r][v] = clamp_vec(sum[r][v], low, high);
  store_tile(out, stride, rows, vectors, sum);
}

/* Apply the epilogue to rows of whole vectors, from their sums in memory. */
INLINE void store_whole_rows(const panel *t, size_t row, size_t rows, size_t vectors,
                             const float *sums) {
  const vec low = broadcast(t->epilogue->low), high = broadcast(t->epilogue->high);
  const size_t stride = t->p.out_stride;
  const float *shortcut = t->epilogue->shortcut ? t->epilogue->shortcut + row * stride : NULL;
  float *out = t->p.out + row * stride;
  for (size_t r = 0; r < rows; r++, out += stride, sums += vectors * WIDTH) {
    vec sum[2];
    for (size_t v = 0; v < vectors; v++) sum[v] = load(sums + v * WIDTH, WIDTH);
    if (shortcut)
      for (size_t v = 0; v < vectors; v++) sum[v] += load(shortcut + r * stride + v * WIDTH, WIDTH);
    for (size_t v = 0; v < vectors; v++)
      store(out + v * WIDTH, clamp_vec(sum[v], low, high), WIDTH);
  }
}

INLINE void fetch_rows(const float *x, size_t stride, size_t rows, size_t count, int write) {
  for (size_t r = 0; r < rows; r++, x += stride)
    for (size_t k = 0; k < count; k += LINE)
      if (write)
        __builtin_prefetch(x + k, 1);
      else
        __builtin_prefetch(x + k);
}

/* Prefetch what store_finished_tile will read and write, before the sums are computed. */
INLINE void fetch_epilogue(const panel *t, size_t row, size_t rows, size_t vectors) {
  const size_t stride = t->p.out_stride;
  const float *shortcut = t->epilogue->shortcut;
  if (shortcut) fetch_rows(shortcut + row * stride, stride, rows, vectors * WIDTH, 0);
  fetch_rows(t->p.out + row * stride, stride, rows, vectors * WIDTH, 1);
}

/* Find a tile's rows of one tap. `plain` is constant: a product without a table of
 * pointers. */
INLINE void find_rows(const panel *t, size_t tap, size_t row, size_t rows, bool plain,
                      const float *x[ROWS]) {
  if (!plain && t->p.rows) {
    const float *const *pointers = t->p.rows + (t->first_tap + tap) * t->p.rows_stride + row;
    for (size_t r = 0; r < rows; r++) x[r] = pointers[r] + t->p.rows_offset + t->first_c;
  } else {
    const float *a = t->p.a + row * t->p.a_stride + (plain ? 0 : t->first_c);
    for (size_t r = 0; r < rows; r++) x[r] = a + r * t->p.a_stride;
  }
}

/* Start a tile's sums: from what earlier blocks have added up, from the bias, or at 0. */
INLINE void start_sums(const panel *t, size_t row, size_t rows, size_t vectors, bool plain,
                       vec sum[ROWS][2]) {
  if (!plain && t->resumes) {
    const float *sums = t->p.sums + row * PANEL;
    for (size_t r = 0; r < rows; r++)
      for (size_t v = 0; v < vectors; v++) sum[r][v] = load(sums + r * PANEL + v * WIDTH, WIDTH);
    return;
  }
  for (size_t v = 0; v < vectors; v++) {
    const bool biased = !plain && t->epilogue;
    const vec start = biased ? load(t->epilogue->bias + v * WIDTH, WIDTH) : (vec){0};
    for (size_t r = 0; r < rows; r++) sum[r][v] = start;
  }
}

/* Prefetch into L1 the weights of a later product. The address may lie behind their end,
 * where a pointer must not. */
INLINE void fetch_weights(const float *b) {
  const uintptr_t later = (uintptr_t)b + AHEAD * PANEL * sizeof *b;
  for (size_t k = 0; k + LINE <= PANEL; k += LINE)
    __builtin_prefetch((const void *)(later + k * sizeof *b), 0, 3);
}

/* Compute the sums of rows x (vectors * WIDTH) elements in registers. rows, vectors,
 * lines and plain are constants after inlining; a plain product has one tap and no
 * epilogue.
 *
 * Rows are the outer loop: one broadcast is alive at a time, so it, the sums and the
 * columns fit the registers. With vectors as the outer loop, GCC keeps all broadcasts of
 * both passes and moves 3 of AVX2's 12 sums to the stack: a factor of two to three.
 * tests/kernels checks that no sum is on the stack. */
INLINE void multiply_rows(const panel *t, size_t row, size_t rows, size_t vectors, prefetch fetch,
                          size_t lines, bool plain, vec sum[ROWS][2]) {
  const float *b = t->p.packed;
  const size_t c = t->c, columns = vectors == 2 ? PANEL : t->columns;
  start_sums(t, row, rows, vectors, plain, sum);
  for (size_t tap = 0; tap < (plain ? 1 : t->taps); tap++) {
    const float *x[ROWS];
    find_rows(t, tap, row, rows, plain, x);
    for (size_t k = 0; k < c; k++, b += columns) {
      for (size_t line = 0; line < lines; line++)
        __builtin_prefetch(fetch.next + line * LINE, 0, 2);
      if (lines) fetch.next += fetch.step;
      /* too many instructions for smaller tiles, and beside the other prefetch */
      if (!plain && !lines && rows == ROWS && vectors == 2) fetch_weights(b);
      vec column[2];
      for (size_t v = 0; v < vectors; v++) column[v] = load(b + v * WIDTH, WIDTH);
      for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++) sum[r][v] += x[r][k] * column[v];
    }
  }
}

/* Compute a tile of a frequent size: `rows` is the constant ROWS or FEW. */
INLINE void multiply_tile(const panel *t, size_t row, size_t rows, size_t vectors, prefetch fetch,
                          size_t lines, bool plain) {
  vec sum[ROWS][2];
  if (!plain && !t->pauses) fetch_epilogue(t, row, rows, vectors);
  multiply_rows(t, row, rows, vectors, fetch, lines, plain, sum);
  if (plain)
    store_tile(t->p.out + row * t->p.out_stride, t->p.out_stride, rows, vectors, sum);
  else if (t->pauses)
    store_tile(t->p.sums + row * PANEL, PANEL, rows, vectors, sum);
  else
    store_finished_tile(t, row, rows, vectors, sum);
}

INLINE void multiply_some_rows(const panel *t, size_t row, size_t rows, size_t vectors,
                               prefetch fetch, float *out, size_t stride) {
  vec sum[ROWS][2];
  multiply_rows(t, row, rows, vectors, fetch, 1, false, sum);
  store_tile(out, stride, rows, vectors, sum);
}

/* Compute a tile of fewer rows than ROWS, with an epilogue or without. */
INLINE void multiply_small_tile(const panel *t, size_t row, size_t rows, size_t vectors,
                                prefetch fetch) {
  float sums[ROWS * PANEL];
  const bool ends = t->epilogue && !t->pauses;
  const size_t stride = ends ? vectors * WIDTH : t->pauses ? PANEL : t->p.out_stride;
  float *out = ends ? sums : (t->pauses ? t->p.sums : t->p.out) + row * stride;
  if (ends) fetch_epilogue(t, row, rows, vectors);
  switch (rows) {
  case 1:
    multiply_some_rows(t, row, 1, vectors, fetch, out, stride);
    break;
  case 2:
    multiply_some_rows(t, row, 2, vectors, fetch, out, stride);
    break;
  case 3:
    multiply_some_rows(t, row, 3, vectors, fetch, out, stride);
    break;
  case 4:
    multiply_some_rows(t, row, 4, vectors, fetch, out, stride);
    break;
#if REGISTERS >= 32
  case 5:
    multiply_some_rows(t, row, 5, vectors, fetch, out, stride);
    break;
  case 6:
    multiply_some_rows(t, row, 6, vectors, fetch, out, stride);
    break;
  default:
    multiply_some_rows(t, row, 7, vectors, fetch, out, stride);
    break;
#else
  default:
    multiply_some_rows(t, row, 5, vectors, fetch, out, stride);
    break;
#endif
  }
  if (ends && t->last < WIDTH)
    store_partial_tile(t, row, rows, vectors, sums);
  else if (ends)
    store_whole_rows(t, row, rows, vectors, sums);
}

static ONCE void small_tile_2(const panel *t, size_t row, size_t rows, prefetch fetch) {
  multiply_small_tile(t, row, rows, 2, fetch);
}

static ONCE void small_tile_1(const panel *t, size_t row, size_t rows, prefetch fetch) {
  multiply_small_tile(t, row, rows, 1, fetch);
}

INLINE void small_tile(const panel *t, size_t row, size_t rows, size_t vectors, prefetch fetch) {
  if (vectors == 2)
    small_tile_2(t, row, rows, fetch);
  else
    small_tile_1(t, row, rows, fetch);
}

/* Return the rows of the next tile. A tile of fewer than FEW rows takes as long as one of
 * FEW, since it waits for its own additions. So take a whole tile only if at least FEW
 * rows, or none, are left after it. */
INLINE size_t tile_rows(size_t left) {
  if (left >= ROWS + FEW || left == ROWS) return ROWS;
  return left < ROWS ? left : (left + 1) / 2;
}

/* Return the number of tiles among which the next panel's lines are divided evenly, so
 * that memory does not idle. */
INLINE size_t fetching_tiles(const panel *t, size_t rows) {
  const size_t tiles = (rows + ROWS - 1) / ROWS;
  if (!t->next || rows < FEW) return 0; /* few rows leave prefetching to the CPU */
  return tiles >= FETCHING_TILES ? FETCHING_TILES : tiles >= 2 ? 2 : 1;
}

/* Compute the tiles that prefetch the next panel; return their rows. A single tile
 * prefetches up to two lines at once. */
INLINE size_t multiply_fetching(const panel *t, size_t rows, size_t vectors, bool plain) {
  const size_t tiles = fetching_tiles(t, rows);
  size_t row = 0;
  if (tiles == 0) return 0;
  prefetch fetch = {t->next, t->columns / tiles};
  for (size_t tile = 0; tile < tiles; tile++) {
    const size_t n = tile_rows(rows - row);
    if (n < ROWS)
      small_tile(t, row, n, vectors, fetch);
    else if (plain && vectors * WIDTH >= 2 * LINE && tiles == 1)
      multiply_tile(t, row, ROWS, vectors, fetch, 2, plain);
    else
      multiply_tile(t, row, ROWS, vectors, fetch, 1, plain);
    fetch.next += t->taps * t->c * fetch.step;
    row += n;
  }
  return row;
}

INLINE void multiply_panel(const panel *t, size_t rows, size_t vectors, bool plain) {
  const prefetch nothing = {t->p.packed, 0};
  size_t row = multiply_fetching(t, rows, vectors, plain);
  for (; tile_rows(rows - row) == ROWS; row += ROWS)
    multiply_tile(t, row, ROWS, vectors, nothing, 0, plain);
  if (rows - row == FEW) {
    multiply_tile(t, row, FEW, vectors, nothing, 0, plain);
    row += FEW;
  }
  while (row < rows) {
    const size_t n = tile_rows(rows - row);
    small_tile(t, row, n, vectors, nothing);
    row += n;
  }
}

/* Compute a block of the panel's columns, `count` or fewer, and go on to the weights that
 * follow. `left` floats of weights follow the block. */
INLINE void multiply_columns(panel *t, size_t rows, size_t count, size_t left, bool plain) {
  const size_t floats = t->taps * t->c * t->columns;
  const float *following = t->p.packed + floats;
  /* as many floats as the block has are prefetched */
  t->next = t->p.fetch && left >= floats ? following : NULL;
  if (count > WIDTH)
    multiply_panel(t, rows, 2, plain);
  else
    multiply_panel(t, rows, 1, plain);
  t->p.packed = following;
}

static void multiply_products(const simd_product *p, size_t rows) {
  panel t = {.p = *p, .taps = 1, .c = p->c, .columns = PANEL, .last = WIDTH};
  for (size_t i = 0; i < p->count; i++) {
    t.p.a = p->a + i * p->a_next;
    t.p.packed = p->packed + i * p->packed_next;
    t.p.out = p->out + i * p->out_next;
    for (size_t k = 0; k < p->o; k += PANEL, t.p.out += PANEL) {
      const bool more = p->o - k > PANEL || i + 1 < p->count;
      multiply_columns(&t, rows, p->o - k, more ? p->c * PANEL : 0, true);
    }
  }
}

/* Set the size of the blocks of long sums: some taps, or some channels of one tap. */
static void choose_block(panel *t, size_t all_taps) {
  t->taps = all_taps;
  t->c = t->p.c;
  if (!t->p.sums || all_taps * t->p.c < MIN_BLOCKS * BLOCK) return;
  t->taps = t->p.c < BLOCK ? BLOCK / t->p.c : 1;
  const size_t parts = (t->p.c + BLOCK - 1) / BLOCK;
  t->c = (t->p.c + parts - 1) / parts;
}

/* Compute the blocks of one panel. `left` floats of weights follow the panel. */
static ONCE void multiply_blocks(panel *t, size_t rows, size_t count, size_t all_taps,
                                 size_t left) {
  choose_block(t, all_taps);
  const size_t taps = t->taps, c = t->c;
  size_t own = all_taps * t->p.c * t->columns; /* floats of the panel that are left */
  for (t->first_tap = 0; t->first_tap < all_taps; t->first_tap += taps)
    for (t->first_c = 0; t->first_c < t->p.c; t->first_c += c) {
      if (t->taps > all_taps - t->first_tap) t->taps = all_taps - t->first_tap;
      t->c = c < t->p.c - t->first_c ? c : t->p.c - t->first_c;
      own -= t->taps * t->c * t->columns;
      t->resumes = t->first_tap + t->first_c > 0;
      t->pauses = own > 0;
      multiply_columns(t, rows, count, own + left, false);
    }
}

static void multiply_epilogue(const simd_product *p, const simd_epilogue *epilogue, size_t rows) {
  simd_epilogue here = *epilogue;
  panel t = {.p = *p, .columns = p->half_panel ? WIDTH : PANEL, .epilogue = &here, .last = WIDTH};
  const size_t taps = p->rows ? p->taps : 1;
  float bias[PANEL] = {0};
  for (size_t k = 0; k < p->o; k += PANEL, t.p.out += PANEL) {
    const size_t count = p->o - k;
    if (count < PANEL) {
      memcpy(bias, here.bias, count * sizeof *bias);
      here.bias = bias;
      t.last = count > WIDTH ? count - WIDTH : count;
    }
    multiply_blocks(&t, rows, count, taps, count > PANEL ? taps * p->c * PANEL : 0);
    here.bias += PANEL;
    if (here.shortcut) here.shortcut += PANEL;
  }
}

const simd_gemm SIMD_INSTANCE(gemm) = {
    .rows = ROWS,
    .multiply = multiply_products,
    .multiply_epilogue = multiply_epilogue,
};
