/* Convolutions as matrix products (runtime/kernels/gemm.c): any window, groups and
 * channels, compared with plain sums; and the same bits however the work is split. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/api/session.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/simd/dispatch.h"
#include "tests/unit/kernel_network.h"
#include "tests/unit/rounds.h"

enum {
  MAX_C = 37,
  MAX_TAPS = 9,
  LONG_C = 1111, /* with two taps or more, the sums are computed in blocks */
  MAX_O = 70,
  MAX_ROWS = 40,
  STRIDE = MAX_O + 26,
  PIXELS = 4096 /* floats */
};

static void fill(float *x, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] = random_unit();
}

/* One product whose rows are found by pointers. */
typedef struct window_product {
  size_t c, taps, o, rows, columns; /* columns: of a packed panel */
  const float *x[MAX_TAPS * MAX_ROWS];
  float weights[MAX_O * MAX_TAPS * LONG_C]; /* (o,taps,c) */
  float packed[(MAX_O + 32) * MAX_TAPS * LONG_C];
  float bias[MAX_O], shortcut[MAX_ROWS * STRIDE];
  bool adds;
} window_product;

static void pack(window_product *p) {
  const size_t k = p->taps * p->c;
  memset(p->packed, 0, sizeof p->packed);
  for (size_t o = 0; o < p->o; o++)
    for (size_t i = 0; i < k; i++)
      p->packed[(o / p->columns * k + i) * p->columns + o % p->columns] = p->weights[o * k + i];
}

static void run(const window_product *p, const simd_set *set, size_t offset, bool fetch,
                bool blocks, size_t first, size_t rows, float *out) {
  static float sums[MAX_ROWS * 32];
  const simd_product product = {.packed = p->packed,
                                .c = p->c,
                                .o = p->o,
                                .out = out + first * STRIDE,
                                .out_stride = STRIDE,
                                .fetch = fetch,
                                .rows = p->x + first,
                                .taps = p->taps,
                                .rows_stride = p->rows,
                                .rows_offset = offset,
                                .half_panel = p->columns < set->panel,
                                .sums = blocks ? sums : NULL};
  const simd_epilogue epilogue = {p->bias, p->adds ? p->shortcut + first * STRIDE : NULL, -0.5f,
                                  1.5f};
  set->gemm->multiply_epilogue(&product, &epilogue, rows);
}

static void check(const window_product *p, size_t offset, const float *out) {
  for (size_t r = 0; r < p->rows; r++)
    for (size_t o = 0; o < p->o; o++) {
      double sum = (double)p->bias[o] + (p->adds ? (double)p->shortcut[r * STRIDE + o] : 0.0);
      for (size_t t = 0; t < p->taps; t++)
        for (size_t k = 0; k < p->c; k++)
          sum += (double)p->x[t * p->rows + r][offset + k] *
                 (double)p->weights[(o * p->taps + t) * p->c + k];
      const double want = fmin(fmax(sum, -0.5), 1.5);
      if (fabs((double)out[r * STRIDE + o] - want) > 2e-7 * (double)(100 + p->taps * p->c))
        fail_msg("row %zu, column %zu: %g, not %g", r, o, (double)out[r * STRIDE + o], want);
    }
}

static void make_random(window_product *p, const simd_set *set, const float *pixels,
                        uint32_t max_c) {
  p->c = 1 + random_below(max_c);
  p->taps = 1 + random_below(MAX_TAPS);
  p->o = 1 + random_below(MAX_O);
  p->rows = 1 + random_below(MAX_ROWS);
  p->columns = p->o <= set->panel / 2 && random_below(2) ? set->panel / 2 : set->panel;
  p->adds = random_below(2);
  for (size_t i = 0; i < p->taps * p->rows; i++)
    p->x[i] = pixels + random_below(PIXELS - max_c - MAX_C);
  fill(p->weights, p->o * p->taps * p->c);
  fill(p->bias, p->o);
  fill(p->shortcut, MAX_ROWS * STRIDE);
  pack(p);
}

/* Compare with plain sums. Nothing is written behind the columns; a part of the rows,
 * computed in one block or in several, gets the same bits. */
static void check_random(const simd_set *set, uint32_t max_c) {
  static window_product p;
  static float pixels[PIXELS], out[MAX_ROWS * STRIDE], part[MAX_ROWS * STRIDE];
  const size_t offset = random_below(MAX_C);
  fill(pixels, PIXELS);
  make_random(&p, set, pixels, max_c);
  for (size_t i = 0; i < MAX_ROWS * STRIDE; i++) out[i] = part[i] = 123.0f;
  run(&p, set, offset, random_below(2), false, 0, p.rows, out);
  check(&p, offset, out);
  for (size_t r = 0; r < p.rows; r++)
    for (size_t o = p.o; o < STRIDE; o++) assert_true(out[r * STRIDE + o] == 123.0f);
  const size_t first = random_below((uint32_t)p.rows);
  run(&p, set, offset, random_below(2), true, first, p.rows - first, part);
  assert_memory_equal(out + first * STRIDE, part + first * STRIDE,
                      (p.rows - first) * STRIDE * sizeof *out);
}

/* Every instruction set, with rows that fill tiles and rows that do not. */
static void rows_anywhere_give_plain_sums(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(300); round++)
    for (size_t set = 0; simd_supported(set); set++)
      check_random(simd_supported(set), round % 20 ? MAX_C : LONG_C);
}

/* ---- networks ---------------------------------------------------------------------- */

static unsigned check_window(graph_shape in, graph_window w, uint32_t groups, uint32_t channels) {
  network n = network_new(in);
  (void)network_add_conv(&n, 0, &w, groups, channels);
  return network_measure(&n, 1 + random_below(3), 1 + random_below(3), RESNET_CONV_DIRECT, 1.0f,
                         2e-5)
      .kinds;
}

/* Kernels as large as the padded image, dilations that reach across it, strides beyond
 * it, as many taps as a table holds, and one more. */
static void extreme_windows_are_computed(void **unused) {
  (void)unused;
  static const struct {
    graph_shape in;
    graph_window w;
  } cases[] = {
      {{1, 1, 3}, {9, 7, 1, 1, 1, 1, 8, 6, 8, 6}},
      {{2, 3, 17}, {5, 5, 3, 2, 1, 1, 4, 4, 4, 4}},
      {{9, 5, 4}, {3, 3, 1, 1, 60000, 60000, 60000, 60000, 59999, 59999}},
      {{5, 5, 8}, {2, 2, 1024, 1024, 3, 4, 1, 0, 2, 3}},
      {{33, 34, 2}, {32, 32, 1, 1, 1, 1, 0, 3, 1, 0}},
      {{33, 34, 2}, {32, 33, 1, 1, 1, 1, 0, 3, 1, 0}},
      {{1, 40, 5}, {1, 31, 1, 2, 1, 1, 0, 30, 0, 1}},
      {{6, 6, 1}, {1, 1, 6, 7, 1, 1, 0, 0, 0, 0}},
      {{1, 1, 70}, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}},
      {{3, 2, 2500}, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}},
      {{7, 5, 700}, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const bool fits = cases[i].w.kernel_h * cases[i].w.kernel_w <= 1024;
    const unsigned kinds = check_window(cases[i].in, cases[i].w, 1, 1 + random_below(40));
    assert_int_equal(kinds & NETWORK_GEMM, fits ? NETWORK_GEMM : 0);
  }
}

static void groups_are_computed(void **unused) {
  (void)unused;
  /* channels of a group */
  const uint32_t sizes[] = {1, 2, 3, 4, 5, 8, 16, 17, 24, 32, 33, 40};
  for (size_t round = 0; round < rounds_of(150); round++) {
    const uint32_t groups = 1 + random_below(5);
    const graph_shape in = {1 + random_below(9), 1 + random_below(9), groups * pick(sizes, 12)};
    (void)check_window(in, random_window(in), groups, groups * pick(sizes, 12));
  }
}

static void narrow_groups_are_refused(void **unused) {
  (void)unused;
  plan_op op = {.kernel = KERNEL_CONV,
                .in = {9, 9, 12},
                .shape = {9, 9, 12},
                .window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                .groups = 3};
  assert_true(kernel_gemm_applies(&op));
  op.groups = 4;
  assert_false(kernel_gemm_applies(&op));
  op.groups = 1;
  op.window.kernel_h = op.window.kernel_w = 1024;
  assert_false(kernel_gemm_applies(&op));
}

/* ---- bits -------------------------------------------------------------------------- */

enum { SAMPLES = 5, MAX_FLOATS = SAMPLES * MAX_O };

static size_t run_model(const resnet_model *model, const float *input, uint32_t threads,
                        uint32_t batch, float *scores) {
  resnet_session *session;
  resnet_session_options settings = {
      .struct_size = sizeof settings, .threads = threads, .batch = batch};
  assert_int_equal(resnet_session_open(model, &settings, &session, NULL), RESNET_OK);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NHWC, SAMPLES, scores, NULL),
                   RESNET_OK);
  resnet_session_close(&session);
  return SAMPLES * plan_shape_floats(model->plan.ops[model->plan.output].shape);
}

static network window_network(graph_shape in, const graph_window *w, uint32_t groups,
                              uint32_t channels) {
  network n = network_new(in);
  const uint32_t first = network_add_conv(&n, 0, w, groups, channels);
  const graph_window same = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
  const uint32_t last = network_add_conv(&n, first, &same, groups, channels);
  n.graph.nodes[last].clamp_min = -INFINITY;
  n.graph.nodes[last].clamp_max = INFINITY;
  graph_node *sum = network_add_node(&n, GRAPH_ADD, last, n.graph.nodes[last].shape);
  sum->input[1] = first;
  sum->input_count = 2;
  (void)network_add_pooled(&n, n.graph.output);
  return n;
}

/* The sum in place included. */
static void bits_do_not_depend_on_threads_or_batches(void **unused) {
  (void)unused;
  static const graph_window windows[] = {{1, 1, 2, 2, 1, 1, 0, 0, 0, 0},
                                         {3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
                                         {5, 4, 1, 2, 2, 1, 3, 0, 4, 2},
                                         {7, 7, 3, 3, 1, 1, 3, 3, 3, 3}};
  static const struct {
    uint32_t side, c, groups, channels;
  } sizes[] = {{1, 17, 1, 3}, {9, 3, 1, 64}, {28, 32, 1, 48}, {15, 600, 2, 66}};
  static float want[MAX_FLOATS], got[MAX_FLOATS];
  for (size_t i = 0; i < 16; i++) {
    const graph_shape in = {sizes[i % 4].side + 6, sizes[i % 4].side + 4, sizes[i % 4].c};
    network n = window_network(in, &windows[i / 4], sizes[i % 4].groups, sizes[i % 4].channels);
    resnet_model *model = network_model(&n, RESNET_CONV_DIRECT);
    if (sizes[i % 4].groups == 1) assert_true(network_kinds(&model->plan) & NETWORK_GEMM_ADDS);
    float *input = random_floats(model->memory, SAMPLES * plan_shape_floats(in));
    const size_t floats = run_model(model, input, 1, 1, want);
    assert_true(floats <= MAX_FLOATS);
    for (uint32_t threads = 1; threads <= 3; threads++)
      for (uint32_t batch = 1; batch <= SAMPLES; batch += 2) {
        (void)run_model(model, input, threads, batch, got);
        assert_memory_equal(want, got, floats * sizeof *got);
      }
    mem_release(model->memory, input);
    graph_release(&n.graph);
    resnet_model_close(&model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_anywhere_give_plain_sums),
      cmocka_unit_test(extreme_windows_are_computed),
      cmocka_unit_test(groups_are_computed),
      cmocka_unit_test(narrow_groups_are_refused),
      cmocka_unit_test(bits_do_not_depend_on_threads_or_batches),
  };
  network_force(KERNEL_GEMM);
  return cmocka_run_group_tests_name("gemm windows", tests, NULL, NULL);
}
