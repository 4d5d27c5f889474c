/* Compares every kernel with the plain reference, on random networks of one to a few ops:
 * odd sizes, one pixel, 1, 3 and 17 channels, groups, asymmetric pads, batches,
 * threads.
 * Also tests the SIMD functions themselves, with each instruction set of the CPU. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/api/session.h"
#include "runtime/kernels/table.h"
#include "runtime/kernels/winograd.h"
#include "runtime/plan/cost_model.h"
#include "runtime/plan/lower.h"
#include "tests/unit/kernel_network.h"
#include "tests/unit/rounds.h"

enum { ROUNDS = 150 };

static void random_run(network *n) {
  network_check(n, 1 + random_below(3), 1 + random_below(2), random_below(4));
}

static void test_conv(void **unused) {
  (void)unused;
  const uint32_t out_channels[] = {1, 3, 16, 17, 31, 32, 33, 64};
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new(random_shape());
    const graph_window w = random_window(n.graph.nodes[0].shape);
    (void)network_add_conv(&n, 0, &w, 1, pick(out_channels, 8));
    random_run(&n);
  }
}

/* Sizes that fill tiles and sizes that do not, more than a block of tiles, numbers of
 * channels that fill vectors and that do not. */
static void test_winograd(void **unused) {
  (void)unused;
  const uint32_t channels[] = {1, 3, 16, 17, 31, 32, 33, 64},
                 sizes[] = {1, 2, 3, 4, 5, 8, 13, 21, 40};
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new((graph_shape){pick(sizes, 9), pick(sizes, 9), pick(channels, 8)});
    graph_window w = {3,
                      3,
                      1,
                      1,
                      1,
                      1,
                      1 + random_below(2),
                      1 + random_below(2),
                      1 + random_below(2),
                      1 + random_below(2)};
    if (n.graph.nodes[0].shape.h > 3 && n.graph.nodes[0].shape.w > 3)
      w.pad_top = w.pad_left = random_below(2);
    (void)network_add_conv(&n, 0, &w, 1, pick(channels, 8));
    network_check(&n, 1 + random_below(5), 1 + random_below(3), RESNET_CONV_WINOGRAD);
  }
}

/* The same with stride 2: even, odd and unequal pads. */
static void test_winograd_stride2(void **unused) {
  (void)unused;
  const uint32_t channels[] = {1, 3, 16, 17, 31, 32, 33, 64}, sizes[] = {3, 4, 5, 8, 13, 21, 40};
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new((graph_shape){pick(sizes, 7), pick(sizes, 7), pick(channels, 8)});
    const graph_window w = {
        3, 3, 2, 2, 1, 1, random_below(3), random_below(3), random_below(3), random_below(3)};
    (void)network_add_conv(&n, 0, &w, 1, pick(channels, 8));
    network_check(&n, 1 + random_below(5), 1 + random_below(3), RESNET_CONV_WINOGRAD);
  }
}

static void test_grouped_conv(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    graph_shape in = random_shape();
    const uint32_t groups = 1 + random_below(in.c), per_group = 1 + random_below(3);
    in.c = in.c / groups * groups;
    network n = network_new(in);
    const graph_window w = random_window(in);
    (void)network_add_conv(&n, 0, &w, groups, groups * per_group);
    random_run(&n);
  }
}

static void test_linear(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new(random_shape());
    graph_node *node =
        network_add_node(&n, GRAPH_LINEAR, 0, (graph_shape){1, 1, 1 + random_below(70)});
    network_set_parameters(&n, node, node->shape.c * plan_shape_floats(n.graph.nodes[0].shape),
                           node->shape.c);
    if (random_below(2))
      (void)network_add_node(&n, random_below(2) ? GRAPH_SOFTMAX : GRAPH_LOG_SOFTMAX, 1,
                             node->shape);
    random_run(&n);
  }
}

static void test_pools(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new(random_shape());
    const graph_shape in = n.graph.nodes[0].shape;
    const uint32_t kind = random_below(3);
    graph_window w = random_window(in);
    while (!graph_pool_has_taps(&w, in, network_windowed(in, &w, in.c))) w = random_window(in);
    const graph_shape out = kind == 2 ? (graph_shape){1, 1, in.c} : network_windowed(in, &w, in.c);
    graph_node *node = network_add_node(
        &n, (graph_op[]){GRAPH_MAX_POOL, GRAPH_AVERAGE_POOL, GRAPH_GLOBAL_AVERAGE_POOL}[kind], 0,
        out);
    node->window = w;
    node->count_padding = random_below(2);
    random_run(&n);
  }
}

/* Count the taps of a pool's window inside the input, one by one. */
static bool has_taps(const graph_window *w, graph_shape in, graph_shape out) {
  for (int64_t i = 0; i < out.h; i++) {
    uint32_t taps = 0;
    for (int64_t k = 0; k < w->kernel_h; k++) {
      const int64_t at = i * w->stride_h + k * w->dilation_h - w->pad_top;
      taps += at >= 0 && at < in.h;
    }
    if (taps == 0) return false;
  }
  return true;
}

/* Compare the closed form with counting. */
static void test_pool_windows_on_padding_are_found(void **unused) {
  (void)unused;
  size_t found = 0;
  for (size_t round = 0; round < rounds_of(20000); round++) {
    const graph_shape in = {1 + random_below(9), 1, 1};
    graph_window w = {
        1 + random_below(4), 1, 1 + random_below(5), 1, 1 + random_below(12), 1, 0, 0, 0, 0};
    const uint32_t reach = (w.kernel_h - 1) * w.dilation_h + 1;
    w.pad_top = random_below(reach + 2);
    w.pad_bottom = random_below(reach + 2);
    if (in.h + w.pad_top + w.pad_bottom < reach) continue;
    const graph_shape out = network_windowed(in, &w, 1);
    assert_int_equal(graph_pool_has_taps(&w, in, out), has_taps(&w, in, out));
    found += !graph_pool_has_taps(&w, in, out);
  }
  assert_true(found > rounds_of(20000) / 50);
}

static void test_conv_tables_beyond_the_budget_are_refused(void **unused) {
  (void)unused;
  network n = network_new((graph_shape){1500, 1500, 1});
  const graph_window w = {700, 700, 1, 1, 1, 1, 0, 0, 0, 0};
  (void)network_add_conv(&n, 0, &w, 1, 1);
  /* the table of pointers would take 2.5 TB */
  n.memory->budget = UINT64_C(1) << 30;
  resnet_model_options options;
  resnet_model_options_init(&options);
  resnet_model *model;
  resnet_error error;
  assert_int_equal(model_from_graph(n.memory, &n.graph, &options, &model, &error),
                   RESNET_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "max_memory_bytes"));
  graph_release(&n.graph);
  assert_int_equal(n.memory->used, 0);
  mem_destroy(n.memory);
}

static const graph_window same3x3 = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1};

/* input -> conv -> conv -> (+ input) -> clamp or affine, with and without another reader
 * of the input. */
static void test_identity_block(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new(random_shape());
    const graph_shape s = n.graph.nodes[0].shape;
    uint32_t last = network_add_conv(&n, 0, &same3x3, 1, s.c);
    const uint32_t source = random_below(2) ? 0 : last;
    last = network_add_conv(&n, last, &same3x3, 1, s.c);
    graph_node *sum = network_add_node(&n, GRAPH_ADD, last, s);
    sum->input[1] = source;
    sum->input_count = 2;
    if (random_below(2)) (void)network_add_node(&n, GRAPH_CLAMP, n.graph.output, s);
    if (random_below(2)) {
      graph_node *affine =
          network_add_node(&n, GRAPH_AFFINE, random_below(2) ? n.graph.output : 1, s);
      network_set_parameters(&n, affine, s.c, s.c);
    }
    random_run(&n);
  }
}

/* y = conv(x) + x sub-sampled with zero channels; sometimes the sub-sampled tensor is
 * also the network's output. */
static void test_option_a(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new(random_shape());
    const graph_shape in = n.graph.nodes[0].shape;
    graph_window w = same3x3;
    w.stride_h = 1 + random_below(2);
    w.stride_w = 1 + random_below(2);
    const uint32_t before = random_below(20), after = random_below(20);
    const uint32_t residual = network_add_conv(&n, 0, &w, 1, in.c + before + after);
    const graph_shape s = n.graph.nodes[residual].shape;
    graph_node *shortcut = network_add_node(&n, GRAPH_SUBSAMPLE, 0, s);
    shortcut->stride_h = w.stride_h;
    shortcut->stride_w = w.stride_w;
    shortcut->channels_before = before;
    if (random_below(4)) {
      graph_node *sum = network_add_node(&n, GRAPH_ADD, residual, s);
      sum->input[1] = 2;
      sum->input_count = 2;
    }
    random_run(&n);
  }
}

/* Additions, clamps and convolutions that read any earlier node; some nodes have no
 * reader. A buffer that is reused too early would change the result of a later node. */
static void test_buffers_in_random_graphs(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(40); round++) {
    const graph_shape s = {1 + random_below(6), 1 + random_below(6), 1 + random_below(20)};
    network n = network_new(s);
    const uint32_t count = 5 + random_below(MAX_NODES - 6);
    for (uint32_t i = 1; i < count; i++) {
      const uint32_t recent = i > 4 && random_below(3) ? i - 1 - random_below(4) : random_below(i);
      const uint32_t kind = random_below(4);
      if (kind == 0) {
        (void)network_add_conv(&n, recent, &same3x3, 1, s.c);
      } else if (kind == 1) {
        (void)network_add_node(&n, GRAPH_CLAMP, recent, s);
      } else {
        graph_node *sum = network_add_node(&n, GRAPH_ADD, recent, s);
        sum->input[1] = random_below(i);
        sum->input_count = 2;
        /* sums of sums stay small, so that the tolerance means rounding */
        sum->clamp_min = -1.0f;
        sum->clamp_max = 1.0f;
      }
    }
    random_run(&n);
  }
}

static void fill(float *x, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] = random_unit();
}

/* Run all functions on one random size; write the results to out, return their number. */
static size_t run_elementwise(const simd_elementwise *v, const float *a, const float *b, size_t n,
                              size_t c, float *out) {
  v->add(a, b, out, n, -0.5f, 0.75f);
  v->clamp(a, out + n, n, -0.25f, INFINITY);
  v->affine(a, b, b + c, out + 2 * n, n / c, c, 0.0f, 1.0f);
  v->window_max(a, n / c, c, 1, c, c, out + 3 * n);
  v->window_sum(a, n / c, c, 1, c, c, 0.3f, out + 3 * n + c);
  v->interleave(a, n / c, c, out + 3 * n + 2 * c);
  memcpy(out + 5 * n, a, n * sizeof *a);
  v->add(out + 5 * n, b, out + 5 * n, n, 0.0f, INFINITY); /* in place */
  v->scale(a, b, out + 6 * n, n / c, c, -0.25f, 0.5f);
  /* arguments of all relevant sizes */
  for (size_t i = 0; i < n; i++) out[7 * n + i] = a[i] * expf(6.0f * b[i]);
  v->sigmoid(out + 7 * n, out + 7 * n, n);
  v->prelu(a, b, out + 8 * n, n / c, c);
  memcpy(out + 9 * n, a, n * sizeof *a);
  v->prelu(out + 9 * n, b, out + 9 * n, n / c, c); /* in place */
  return 10 * n;
}

static void test_instruction_sets_agree_to_the_bit(void **unused) {
  (void)unused;
  static float a[4096], b[4096], want[10 * 4096], got[10 * 4096];
  size_t count = 0;
  while (simd_supported(count)) count++;
  const simd_set *portable = simd_supported(count - 1);
  assert_string_equal(portable->name, "portable");
  for (size_t round = 0; round < rounds_of(2000); round++) {
    const size_t c = 1 + random_below(70), n = c * (2 + random_below(50));
    fill(a, n);
    fill(b, n);
    memset(want, 0, sizeof want);
    const size_t size = run_elementwise(portable->elementwise, a, b, n, c, want);
    for (size_t i = 0; i + 1 < count; i++) {
      memset(got, 0, sizeof got);
      (void)run_elementwise(simd_supported(i)->elementwise, a, b, n, c, got);
      assert_memory_equal(got, want, size * sizeof *got);
    }
  }
  printf("instruction sets here: %zu, the fastest is %s\n", count, simd_fastest()->name);
}

static const simd_set *random_set(void) {
  uint32_t count = 0;
  while (simd_supported(count)) count++;
  return simd_supported(random_below(count));
}

static void assert_close(const float *got, const float *want, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (fabsf(got[i] - want[i]) > 2e-5f * (1.0f + fabsf(want[i])))
      fail_msg("%zu: %g, not %g", i, (double)got[i], (double)want[i]);
}

/* Pack (c,o) as panels of `panel` columns, padded with zeros. */
static void pack_panels(const float *weights, size_t c, size_t o, size_t panel, float *packed) {
  memset(packed, 0, (o + panel - 1) / panel * panel * c * sizeof *packed);
  for (size_t k = 0; k < c; k++)
    for (size_t j = 0; j < o; j++)
      packed[(j / panel * c + k) * panel + j % panel] = weights[k * o + j];
}

/* Compare products with plain sums: every instruction set, with and without an epilogue,
 * rows that fill tiles and rows that do not. */
static void test_matrix_products(void **unused) {
  (void)unused;
  static float a[40 * 80], weights[80 * 80], bias[80], shortcut[40 * 96], packed[80 * 96],
      out[40 * 96], want[40 * 96];
  for (size_t round = 0; round < rounds_of(2000); round++) {
    const size_t c = 1 + random_below(70), o = 1 + random_below(70), rows = 1 + random_below(40);
    const simd_set *set = random_set();
    const bool epilogue = random_below(2), adds = epilogue && random_below(2);
    const size_t stride = epilogue ? o + random_below(3) : (o + 15) / 16 * 16;
    fill(a, rows * c);
    fill(weights, c * o);
    fill(bias, o);
    fill(shortcut, sizeof shortcut / sizeof *shortcut);
    pack_panels(weights, c, o, set->panel, packed);
    const simd_product p = {.a = a,
                            .a_stride = c,
                            .packed = packed,
                            .c = c,
                            .o = o,
                            .out = out,
                            .out_stride = stride,
                            .count = 1,
                            .fetch = random_below(2)};
    const simd_epilogue f = {bias, adds ? shortcut : NULL, -0.75f,
                             random_below(2) ? INFINITY : 1.5f};
    if (epilogue)
      set->gemm->multiply_epilogue(&p, &f, rows);
    else
      set->gemm->multiply(&p, rows);
    for (size_t r = 0; r < rows; r++)
      for (size_t j = 0; j < o; j++) {
        double sum =
            epilogue ? (double)bias[j] + (adds ? (double)shortcut[r * stride + j] : 0.0) : 0.0;
        for (size_t k = 0; k < c; k++) sum += (double)a[r * c + k] * (double)weights[k * o + j];
        if (epilogue) sum = fmin(fmax(sum, (double)f.low), (double)f.high);
        want[r * stride + j] = (float)sum;
      }
    for (size_t r = 0; r < rows; r++) assert_close(out + r * stride, want + r * stride, o);
  }
}

/* A product with an epilogue writes o floats of each row and not one more. */
static void test_matrix_products_stay_inside(void **unused) {
  (void)unused;
  static float a[20 * 40], packed[40 * 96], bias[96], out[20 * 100];
  for (size_t set = 0; simd_supported(set); set++)
    for (size_t o = 1; o <= 70; o++) {
      const size_t rows = 1 + random_below(19), c = 1 + random_below(40);
      for (size_t i = 0; i < sizeof out / sizeof *out; i++) out[i] = 123.0f;
      const simd_product p = {
          .a = a, .a_stride = c, .packed = packed, .c = c, .o = o, .out = out, .out_stride = o + 1};
      const simd_epilogue f = {bias, NULL, -1.0f, 1.0f};
      simd_supported(set)->gemm->multiply_epilogue(&p, &f, rows);
      for (size_t r = 0; r < rows; r++) assert_true(out[r * (o + 1) + o] == 123.0f);
    }
}

/* Compare one tile of one pair of channels, transformed by a form, with the direct
 * sum. */
static void check_form(const simd_set *set, const simd_winograd_form *form) {
  enum { MAX_PANEL = 32 };
  static float packed[WINOGRAD_MAX_POINTS * MAX_PANEL],
      transformed[WINOGRAD_MAX_POINTS * MAX_PANEL];
  static float products[WINOGRAD_MAX_POINTS * MAX_PANEL], d[WINOGRAD_MAX_POINTS * MAX_PANEL];
  float filters[MAX_PANEL * 16], bias[MAX_PANEL],
      out[WINOGRAD_MAX_OUT * WINOGRAD_MAX_OUT * MAX_PANEL];
  const float *pixels[WINOGRAD_MAX_POINTS];
  const winograd_size n = form->in, m = form->out;
  const size_t r = form->taps, points = n.h * n.w, count = 1 + random_below((uint32_t)set->panel);
  fill(filters, count * r * r);
  fill(bias, count);
  fill(d, points * MAX_PANEL);
  for (size_t i = 0; i < points; i++) pixels[i] = d + i * MAX_PANEL;
  form->transform_weights(filters, count, 1, packed, MAX_PANEL);
  form->transform_input(pixels, 1, transformed, MAX_PANEL);
  for (size_t i = 0; i < points; i++)
    for (size_t f = 0; f < MAX_PANEL; f++)
      products[i * MAX_PANEL + f] =
          f < set->panel ? transformed[i * MAX_PANEL] * packed[i * MAX_PANEL + f] : 0.0f;
  form->transform_output(products, MAX_PANEL, count, bias, NULL, out, m.w * count, m.h, m.w,
                         -INFINITY, INFINITY);
  for (size_t f = 0; f < count; f++)
    for (size_t y = 0; y < m.h * m.w; y++) {
      /* rounding is relative to the terms, not to their sum */
      double sum = (double)bias[f], size = 1.0;
      for (size_t t = 0; t < r * r; t++) {
        const float x = d[((y / m.w + t / r) * n.w + y % m.w + t % r) * MAX_PANEL];
        sum += (double)filters[f * r * r + t] * (double)x;
        size += fabs((double)filters[f * r * r + t] * (double)x);
      }
      if (fabs((double)out[y * count + f] - sum) > 1e-5 * size)
        fail_msg("%s F(%zux%zu,%zu): %g, not %g", set->name, m.h, m.w, r,
                 (double)out[y * count + f], sum);
    }
}

static void test_winograd_forms(void **unused) {
  (void)unused;
  size_t sets = 0;
  for (; simd_supported(sets); sets++)
    for (size_t round = 0; round < rounds_of(300); round++)
      for (size_t form = 0; form < WINOGRAD_FORMS; form++)
        check_form(simd_supported(sets),
                   winograd_find_form(simd_supported(sets), (winograd_form)form));
  assert_string_equal(simd_supported(sets - 1)->name, "portable");
}

/* The stem's geometries: even, odd and unequal pads, 1 to 4 channels, tiles cut at every
 * border. */
static void test_stem(void **unused) {
  (void)unused;
  const uint32_t channels[] = {1, 3, 16, 17, 64}, sizes[] = {7, 8, 11, 16, 29, 42};
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new((graph_shape){pick(sizes, 6), pick(sizes, 6), 1 + random_below(4)});
    const graph_window w = {
        7, 7, 2, 2, 1, 1, random_below(7), random_below(7), random_below(7), random_below(7)};
    (void)network_add_conv(&n, 0, &w, 1, pick(channels, 5));
    network_check(&n, 1 + random_below(5), 1 + random_below(3), RESNET_CONV_WINOGRAD);
  }
}

/* The end of a bottleneck: a 1x1 convolution that adds a shortcut computed before it. */
static void test_pointwise_adds_shortcut(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new(random_shape());
    const graph_shape in = n.graph.nodes[0].shape;
    const graph_window w = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
    const uint32_t wide = 1 + random_below(100), shortcut = network_add_conv(&n, 0, &w, 1, wide);
    const uint32_t residual = network_add_conv(&n, 0, &w, 1, wide);
    graph_node *sum = network_add_node(&n, GRAPH_ADD, residual, (graph_shape){in.h, in.w, wide});
    sum->input[1] = shortcut;
    sum->input_count = 2;
    n.graph.nodes[residual].clamp_min = -INFINITY;
    n.graph.nodes[residual].clamp_max = INFINITY;
    network_check(&n, 1 + random_below(5), 1 + random_below(3), random_below(4));
  }
}

/* On a 32-bit processor the loader accepts such numbers of channels. */
static void test_packed_weights_beyond_the_address_space_are_refused(void **unused) {
  (void)unused;
  static char name[] = "big";
  const plan_op conv = {.name = name,
                        .in = {9, 9, UINT32_MAX},
                        .shape = {9, 9, UINT32_MAX},
                        .window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        .groups = 1};
  const plan_kernel own[] = {KERNEL_WINOGRAD, KERNEL_WINOGRAD_STRIDE2, KERNEL_STEM, KERNEL_GEMM};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    resnet_error error;
    assert_int_equal(kernel_table[own[i]]->check(&conv, &error), RESNET_ERROR_LIMIT);
    assert_non_null(strstr(error.message, "node 'big' (Conv)"));
  }
}

/* Make a network of one convolution whose filters all have the given taps; return the
 * selected kernel. */
static plan_kernel kernel_for_taps(const float taps[9], resnet_conv conv, resnet_memory mode) {
  network n = network_new((graph_shape){28, 28, 64});
  (void)network_add_conv(&n, 0, &same3x3, 1, 64);
  graph_node *node = &n.graph.nodes[1];
  for (size_t i = 0; i < node->weight_count; i++) node->weights[i] = taps[i / 64 % 9];
  plan p;
  resnet_error error;
  assert_int_equal(plan_lower(&p, n.memory, &n.graph, &(plan_options){conv, mode, 1, NULL}, &error),
                   RESNET_OK);
  const plan_kernel chosen = p.ops[1].kernel;
  assert_int_equal(strstr(p.ops[1].detail, "dynamic range") != NULL, p.ops[1].winograd_unsafe);
  plan_release(&p);
  graph_release(&n.graph);
  mem_destroy(n.memory);
  return chosen;
}

/* The plan mentions the dynamic range only where Winograd's algorithm would otherwise
 * have been a candidate. */
static void test_dynamic_range_is_mentioned_only_where_it_matters(void **unused) {
  (void)unused;
  for (uint32_t stride = 1; stride <= 2; stride++)
    for (resnet_conv conv = RESNET_CONV_AUTO; conv <= RESNET_CONV_XNNPACK; conv++) {
      network n = network_new((graph_shape){28, 28, 64});
      graph_window w = same3x3;
      w.stride_h = w.stride_w = stride;
      (void)network_add_conv(&n, 0, &w, 1, 64);
      /* a plan file stores it, instead of computing it from the weights */
      n.graph.nodes[1].winograd_safety = GRAPH_WINOGRAD_UNSAFE;
      resnet_model *model = network_model(&n, conv);
      assert_int_equal(strstr(model->plan.ops[1].detail, "dynamic range") != NULL,
                       stride == 1 && conv != RESNET_CONV_DIRECT && conv != RESNET_CONV_XNNPACK);
      graph_release(&n.graph);
      resnet_model_close(&model);
    }
}

static bool is_direct(plan_kernel k) { return k == KERNEL_CONV || k == KERNEL_GEMM; }

static void test_winograd_is_avoided_where_weights_forbid_it(void **unused) {
  (void)unused;
  const float narrow[9] = {1, -2, 1, 3, 1, 1, -1, 1, 2}, wide[9] = {1, -2, 1, 3, 1e4f, 1, -1, 1, 2};
  const float sparse[9] = {0, 0, 0, 0, 1, 0, 0, 0, 0}, huge[9] = {0, 1e30f}, tiny[9] = {1e-30f};
  const float *unsafe[] = {wide, huge, tiny};
  assert_int_equal(kernel_for_taps(narrow, RESNET_CONV_AUTO, RESNET_MEMORY_NORMAL),
                   KERNEL_WINOGRAD);
  assert_int_equal(kernel_for_taps(sparse, RESNET_CONV_AUTO, RESNET_MEMORY_NORMAL),
                   KERNEL_WINOGRAD);
  assert_true(is_direct(kernel_for_taps(narrow, RESNET_CONV_WINOGRAD, RESNET_MEMORY_SMALL)));
  assert_true(is_direct(kernel_for_taps(narrow, RESNET_CONV_DIRECT, RESNET_MEMORY_NORMAL)));
  for (size_t i = 0; i < 3; i++) {
    assert_true(is_direct(kernel_for_taps(unsafe[i], RESNET_CONV_AUTO, RESNET_MEMORY_NORMAL)));
    assert_true(is_direct(kernel_for_taps(unsafe[i], RESNET_CONV_WINOGRAD, RESNET_MEMORY_NORMAL)));
  }
}

/* Return the bytes of the weights of a Winograd convolution. */
static double form_bytes(const plan_op *op) {
  plan_op conv = *op;
  conv.kernel = KERNEL_CONV;
  plan_candidate c[PLAN_MAX_CANDIDATES];
  const uint32_t count = plan_list_candidates(&conv, false, &(plan_options){.batch = 1}, c);
  for (uint32_t i = 0; i < count; i++)
    if (c[i].kernel == op->kernel && c[i].form == op->form) return c[i].bytes;
  fail_msg("form %d is no candidate", (int)op->form);
  return 0.0;
}

/* Return the form that the cost model selects for a 3x3 convolution of `side` x `side`
 * pixels, c to c channels, and the bytes of its weights. */
static winograd_form form_for(uint32_t side, uint32_t c, uint32_t batch, double *bytes) {
  network n = network_new((graph_shape){side, side, c});
  (void)network_add_conv(&n, 0, &same3x3, 1, c);
  plan p;
  resnet_error error;
  const plan_options options = {.batch = batch};
  assert_int_equal(plan_lower(&p, n.memory, &n.graph, &options, &error), RESNET_OK);
  assert_int_equal(p.ops[1].kernel, KERNEL_WINOGRAD);
  const winograd_form form = p.ops[1].form;
  *bytes = form_bytes(&p.ops[1]);
  plan_release(&p);
  graph_release(&n.graph);
  mem_destroy(n.memory);
  return form;
}

/* Deep layers have few pixels and many weights. In a batch, whose samples share the
 * weights, they use forms with fewer products and more bytes. */
static void test_batches_share_weights(void **unused) {
  (void)unused;
  double one, many;
  assert_in_range(form_for(7, 512, 1, &one), WINOGRAD_F2X2_3X3, WINOGRAD_F4X2_3X3);
  assert_int_equal(form_for(7, 512, 8, &many), WINOGRAD_F4X4_3X3);
  assert_true(many > one);
  assert_int_equal(form_for(56, 64, 1, &one), WINOGRAD_F4X4_3X3);
  assert_int_equal(form_for(56, 64, 8, &many), WINOGRAD_F4X4_3X3);
}

/* Compare sigmoids with double precision, relative to the result: both tails keep their
 * digits, until they end at 2^-126. */
static void test_sigmoids_keep_their_digits(void **unused) {
  (void)unused;
  double worst = 0.0;
  for (size_t set = 0; simd_supported(set); set++)
    for (int32_t i = -870000; i <= 870000; i += 7) {
      const float x = (float)i * 1e-4f;
      float y;
      simd_supported(set)->elementwise->sigmoid(&x, &y, 1);
      const double want = 1.0 / (1.0 + exp(-(double)x));
      worst = fmax(worst, fabs((double)y - want) / want);
    }
  printf("sigmoid: off by %.2f * 2^-24 at most\n", worst * 0x1p24);
  assert_true(worst <= 3 * 0x1p-24);
  const float ends[] = {-INFINITY, -1e30f, -88.0f, 88.0f, 1e30f, INFINITY, NAN};
  for (size_t set = 0; simd_supported(set); set++)
    for (size_t i = 0; i < 7; i++) {
      float y;
      simd_supported(set)->elementwise->sigmoid(&ends[i], &y, 1);
      if (i < 3) assert_true(y >= 0.0f && y <= 1.2e-38f);
      if (i >= 3 && i < 6) assert_true(y == 1.0f);
      if (i == 6) assert_true(isnan(y));
    }
}

/* Sizes, channels, taps and pads, odd and even. */
static void test_channel_conv(void **unused) {
  (void)unused;
  const uint32_t channels[] = {1, 2, 3, 16, 17, 64, 300};
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new((graph_shape){1, 1, pick(channels, 7)});
    const uint32_t taps = 1 + random_below(9);
    (void)network_add_channel_conv(&n, 0, taps, random_below(taps));
    random_run(&n);
  }
}

static const struct {
  graph_op op;
  uint32_t inputs;
  const char *name, *check;
} operators[] = {
#define GRAPH_OP(NAME, name, inputs, fields, check, kernel) {GRAPH_##NAME, inputs, #name, #check},
#include "loader/graph/ops.def"
};

static void test_elementwise_operator(graph_op op) {
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    const graph_shape in = {1 + random_below(40), 1 + random_below(40), 1 + random_below(40)};
    network n = network_new(in);
    graph_node *node = network_add_node(&n, op, 0, in);
    if (graph_op_uses(op, GRAPH_USES_SCALAR)) node->scalar = random_unit();
    if (op == GRAPH_PRELU) network_set_parameters(&n, node, in.c, in.c);
    (void)network_measure(&n, 1 + random_below(3), 1 + random_below(3), RESNET_CONV_AUTO, 20.0f,
                          1e-6);
  }
}

/* Test operators of one input that keep its shape, without or with numbers of their own;
 * softmax has a test of its own. */
static void test_elementwise_operators(void **unused) {
  (void)unused;
  size_t tested = 0;
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    const bool same_shape =
        strcmp(operators[i].check, "same_shape") == 0 || strcmp(operators[i].check, "prelu") == 0;
    if (operators[i].inputs != 1 || !same_shape || strcmp(operators[i].name, "softmax") == 0)
      continue;
    test_elementwise_operator(operators[i].op);
    tested++;
  }
  assert_true(tested >= 4); /* clamp, sigmoid, leaky ReLU, PReLU */
}

/* Each mode. Reflected borders use up to all but one of the pixels, others may be wider
 * than the image. */
static void test_pads(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(3 * ROUNDS); round++) {
    const graph_pad_mode mode = (graph_pad_mode)(round % 3);
    network n = network_new(random_shape());
    const graph_shape in = n.graph.nodes[0].shape;
    uint32_t pads[4];
    for (size_t i = 0; i < 4; i++) {
      const uint32_t size = i % 2 ? in.w : in.h;
      pads[i] = random_below(mode == GRAPH_PAD_REFLECT ? size : size + 4);
    }
    (void)network_add_pad(&n, 0, mode, pads);
    random_run(&n);
  }
}

/* x times a gate computed from x, by convolutions or along the channels. The sigmoid is
 * part of the product or a separate op; sometimes a sum also reads x. */
static void test_gates(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    const uint32_t sizes[] = {1, 2, 7, 16, 40};
    network n = network_new((graph_shape){pick(sizes, 5), pick(sizes, 5), random_shape().c});
    const graph_shape s = n.graph.nodes[0].shape;
    const graph_window one = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
    const uint32_t scaled = random_below(2) ? 0 : network_add_conv(&n, 0, &same3x3, 1, s.c);
    uint32_t gate = network_add_pooled(&n, scaled);
    if (random_below(2)) {
      gate = network_add_conv(&n, gate, &one, 1, 1 + s.c / 4);
      gate = network_add_conv(&n, gate, &one, 1, s.c);
    } else {
      gate = network_add_channel_conv(&n, gate, 3, 1);
    }
    const bool fused = random_below(2);
    if (!fused && random_below(4)) gate = network_add_sigmoid(&n, gate);
    const uint32_t product = network_add_scale(&n, scaled, gate, fused);
    if (random_below(2)) {
      graph_node *sum = network_add_node(&n, GRAPH_ADD, product, s);
      sum->input[1] = random_below(2) ? scaled : 0;
      sum->input_count = 2;
      sum->clamp_max = 1.5f;
    }
    network_check(&n, 1 + random_below(3), 1 + random_below(2), RESNET_CONV_AUTO);
  }
}

/* x * sigmoid(x) over one pixel: x is its own gate, and must not be overwritten. */
static void test_a_pixel_is_its_own_gate(void **unused) {
  (void)unused;
  for (uint32_t c = 1; c <= 70; c++) {
    network n = network_new((graph_shape){1, 1, c});
    const uint32_t first =
        network_add_conv(&n, 0, &(graph_window){1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 1, c);
    (void)network_add_scale(&n, first, first, c % 2);
    random_run(&n);
  }
}

/* Swish, and products of two feature maps, with and without further readers. */
static void test_products_of_feature_maps(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new(random_shape());
    const graph_shape s = n.graph.nodes[0].shape;
    const uint32_t a = network_add_conv(&n, 0, &same3x3, 1, s.c),
                   b = random_below(2) ? a : network_add_sigmoid(&n, 0);
    const uint32_t product = network_add_scale(&n, a, b, random_below(2));
    if (random_below(2)) {
      n.graph.nodes[product].clamp_min = -0.1f;
      /* large enough to measure rounding by */
      n.graph.nodes[product].clamp_max = 1.5f;
    }
    if (random_below(2)) {
      graph_node *sum = network_add_node(&n, GRAPH_ADD, product, s);
      sum->input[1] = random_below(2) ? a : b;
      sum->input_count = 2;
    }
    network_check(&n, 1 + random_below(3), 1 + random_below(2), RESNET_CONV_AUTO);
  }
}

/* Scores computed by a sigmoid are independent probabilities: resnet_classify returns
 * them unchanged. */
static void test_sigmoid_scores_are_probabilities(void **unused) {
  (void)unused;
  enum { CLASSES = 5 };
  network n = network_new((graph_shape){4, 4, 3});
  (void)network_add_node(&n, GRAPH_GLOBAL_AVERAGE_POOL, 0, (graph_shape){1, 1, 3});
  graph_node *linear = network_add_node(&n, GRAPH_LINEAR, 1, (graph_shape){1, 1, CLASSES});
  network_set_parameters(&n, linear, CLASSES * 3, CLASSES);
  (void)network_add_node(&n, GRAPH_SIGMOID, 2, (graph_shape){1, 1, CLASSES});
  n.graph.scores = RESNET_SCORES_MULTI_LABEL;
  resnet_model *model = network_model(&n, RESNET_CONV_AUTO);
  assert_int_equal(resnet_preprocess_preset("none", &model->preprocess, NULL), RESNET_OK);
  graph_release(&n.graph);
  uint8_t pixels[4 * 4 * 3];
  float input[4 * 4 * 3], scores[CLASSES];
  for (size_t i = 0; i < sizeof pixels; i++) input[i] = pixels[i] = (uint8_t)random_below(2);
  resnet_session *session;
  resnet_prediction best[CLASSES];
  assert_int_equal(resnet_session_open(model, NULL, &session, NULL), RESNET_OK);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NHWC, 1, scores, NULL), RESNET_OK);
  const resnet_image image = {pixels, 4, 4, 12, RESNET_PIXELS_RGB};
  assert_int_equal(resnet_classify(session, &image, 1, CLASSES, best, NULL), RESNET_OK);
  for (size_t i = 0; i < CLASSES; i++) assert_true(best[i].score == scores[best[i].index]);
  resnet_session_close(&session);
  resnet_model_close(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv),
      cmocka_unit_test(test_winograd),
      cmocka_unit_test(test_winograd_stride2),
      cmocka_unit_test(test_grouped_conv),
      cmocka_unit_test(test_linear),
      cmocka_unit_test(test_pools),
      cmocka_unit_test(test_pool_windows_on_padding_are_found),
      cmocka_unit_test(test_conv_tables_beyond_the_budget_are_refused),
      cmocka_unit_test(test_identity_block),
      cmocka_unit_test(test_option_a),
      cmocka_unit_test(test_buffers_in_random_graphs),
      cmocka_unit_test(test_instruction_sets_agree_to_the_bit),
      cmocka_unit_test(test_matrix_products),
      cmocka_unit_test(test_matrix_products_stay_inside),
      cmocka_unit_test(test_winograd_forms),
      cmocka_unit_test(test_stem),
      cmocka_unit_test(test_pointwise_adds_shortcut),
      cmocka_unit_test(test_packed_weights_beyond_the_address_space_are_refused),
      cmocka_unit_test(test_dynamic_range_is_mentioned_only_where_it_matters),
      cmocka_unit_test(test_winograd_is_avoided_where_weights_forbid_it),
      cmocka_unit_test(test_batches_share_weights),
      cmocka_unit_test(test_channel_conv),
      cmocka_unit_test(test_elementwise_operators),
      cmocka_unit_test(test_pads),
      cmocka_unit_test(test_gates),
      cmocka_unit_test(test_a_pixel_is_its_own_gate),
      cmocka_unit_test(test_products_of_feature_maps),
      cmocka_unit_test(test_sigmoid_scores_are_probabilities),
      cmocka_unit_test(test_sigmoids_keep_their_digits),
  };
  return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
