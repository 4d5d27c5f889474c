/* Convolutions and pools: windows, padding, groups, the order of weights, and every
 * refusal's message. */
#include <math.h>
#include <string.h>

#include "loader_network.h"

static const graph_node *scores(const graph *g) { return &g->nodes[g->output]; }

/* ---- windows ----------------------------------------------------------------------- */

static void check_window(const char *operator_type, const char *attributes, graph_window expected,
                         uint32_t h, uint32_t w) {
  network n = {0};
  graph g;
  begin_network(&n);
  add_random(&n, "v", "4,4,3,3", 2);
  add(&n, operator_type, strcmp(operator_type, "Conv") == 0 ? "c,v" : "c", "t", attributes);
  end_network(&n);
  load_good(&n, &g);
  const graph_node *node = &g.nodes[2];
  assert_memory_equal(&node->window, &expected, sizeof expected);
  assert_int_equal(node->shape.h, h);
  assert_int_equal(node->shape.w, w);
  assert_int_equal(node->shape.c, 4);
  unload(&g);
}

/* The list has kernel, stride, dilation, then pads: top, left, bottom, right. */
static void windows_are_resolved(void **state) {
  (void)state;
  check_window("Conv", "", (graph_window){3, 3, 1, 1, 1, 1, 0, 0, 0, 0}, 6, 6);
  check_window("Conv", "pads=0,1,2,1 strides=2,1", (graph_window){3, 3, 2, 1, 1, 1, 0, 1, 2, 1}, 4,
               8);
  check_window("Conv", "dilations=2,3 kernel_shape=3,3",
               (graph_window){3, 3, 1, 1, 2, 3, 0, 0, 0, 0}, 4, 2);
  check_window("Conv", "auto_pad=SAME_UPPER strides=2,2",
               (graph_window){3, 3, 2, 2, 1, 1, 0, 0, 1, 1}, 4, 4);
  check_window("Conv", "auto_pad=SAME_LOWER strides=2,2",
               (graph_window){3, 3, 2, 2, 1, 1, 1, 1, 0, 0}, 4, 4);
  check_window("Conv", "auto_pad=SAME_UPPER dilations=2,2",
               (graph_window){3, 3, 1, 1, 2, 2, 2, 2, 2, 2}, 8, 8);
  check_window("Conv", "auto_pad=VALID", (graph_window){3, 3, 1, 1, 1, 1, 0, 0, 0, 0}, 6, 6);
  check_window("MaxPool", "kernel_shape=3,3 strides=2,2 pads=1,1,1,1",
               (graph_window){3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 4, 4);
  check_window("MaxPool", "kernel_shape=2,2 dilations=2,1",
               (graph_window){2, 2, 1, 1, 2, 1, 0, 0, 0, 0}, 6, 7);
}

/* A tap of each window is inside: one between pixels of padding that are 9 apart, too. */
static void windows_of_pools_have_taps(void **state) {
  (void)state;
  check_window("MaxPool", "kernel_shape=2,1 dilations=8,1 pads=7,0,7,0",
               (graph_window){2, 1, 1, 1, 8, 1, 7, 0, 7, 0}, 14, 8);
  check_window("MaxPool", "kernel_shape=3,1 dilations=9,1 strides=9,1 pads=9,0,9,0",
               (graph_window){3, 1, 9, 1, 9, 1, 9, 0, 9, 0}, 1, 8);
  check_window("AveragePool", "kernel_shape=2,2 dilations=2,3",
               (graph_window){2, 2, 1, 1, 2, 3, 0, 0, 0, 0}, 6, 5);
}

/* ceil_mode becomes the padding at the end that it needs. */
static void ceil_mode_becomes_padding(void **state) {
  (void)state;
  check_window("MaxPool", "kernel_shape=3,3 strides=2,2",
               (graph_window){3, 3, 2, 2, 1, 1, 0, 0, 0, 0}, 3, 3);
  check_window("MaxPool", "kernel_shape=3,3 strides=2,2 ceil_mode=1",
               (graph_window){3, 3, 2, 2, 1, 1, 0, 0, 1, 1}, 4, 4);
  /* no last window if it would begin in the padding at the end */
  check_window("MaxPool", "kernel_shape=2,2 strides=2,2 pads=1,1,1,1 ceil_mode=1",
               (graph_window){2, 2, 2, 2, 1, 1, 1, 1, 1, 1}, 5, 5);
  check_window("AveragePool", "kernel_shape=3,3 strides=2,2 ceil_mode=1",
               (graph_window){3, 3, 2, 2, 1, 1, 0, 0, 1, 1}, 4, 4);
  /* kernels larger than the padded input, which ONNX's formula counts as one window */
  check_window("MaxPool", "kernel_shape=10,9 strides=3,2 ceil_mode=1",
               (graph_window){10, 9, 3, 2, 1, 1, 0, 0, 2, 1}, 1, 1);
}

static void refuse_window(const char *operator_type, const char *attributes, resnet_status status,
                          const char *what) {
  network n = {0};
  begin_network(&n);
  add_random(&n, "v", "4,4,3,3", 2);
  add(&n, operator_type, strcmp(operator_type, "Conv") == 0 ? "c,v" : "c", "t", attributes);
  end_network(&n);
  refuse_network(&n, status, what);
}

static void impossible_windows_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_window("Conv", "strides=0,1", form, "Conv_t|opset 13|strides is 0|1 to 1024");
  refuse_window("Conv", "strides=2000,1", not_yet, "strides is 2000|1 to 1024");
  refuse_window("Conv", "strides=1,1,1", form, "strides has 3 numbers|2 are accepted");
  refuse_window("Conv", "dilations=0,1", form, "dilations is 0");
  refuse_window("Conv", "dilations=4,4", form,
                "kernel (9, with dilation) is larger than its padded input (8)");
  refuse_window("Conv", "kernel_shape=5,5", form, "kernel_shape (5) contradicts its weights (3)");
  refuse_window("Conv", "pads=-1,0,0,0", not_yet, "pads is -1|0 to 65535");
  refuse_window("MaxPool", "kernel_shape=3,3 pads=3,0,0,0", not_yet, "less than the kernel (3");
  refuse_window("Conv", "pads=1,1", form, "pads has 2 numbers|4 are accepted");
  refuse_window("Conv", "auto_pad=SOMEHOW", form, "auto_pad is 'SOMEHOW'|NOTSET");
  refuse_window("Conv", "auto_pad=VALID pads=1,1,1,1", form, "auto_pad VALID contradicts its pads");
  refuse_window("Conv", "strides=1.5", form, "'strides' has type 1");
  refuse_window("Conv", "speed=2", not_yet, "'speed' (|is not accepted|kernel_shape");
  refuse_window("Conv", "group=3", form, "group is 3|divide the 4 input and 4 output");
  refuse_window("Conv", "group=0", form, "group is 0");
  refuse_window("Conv", "group=2", form,
                "its weights take 4 channels in each of 2 groups, but its input has 4");
  refuse_window("MaxPool", "strides=2,2", form, "kernel_shape is missing");
  refuse_window("MaxPool", "kernel_shape=9,9", form, "kernel (9");
  refuse_window("MaxPool", "kernel_shape=1025,1", not_yet, "kernel_shape is 1025");
  refuse_window("MaxPool", "kernel_shape=2,1 dilations=9,1 pads=9,0,9,0", not_yet,
                "one of its windows covers only padding");
  refuse_window("MaxPool", "kernel_shape=9,1 ceil_mode=1", form,
                "kernel (9, with dilation) is larger than its padded input (8)");
}

/* Padding counts, what ceil_mode adds to it does not: with both, the padding is
 * materialized. */
static void counted_padding_and_ceil_mode(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add(&n, "AveragePool", "c", "t",
      "kernel_shape=3,3 strides=2,2 pads=1,1,0,0 ceil_mode=1 count_include_pad=1");
  end_network(&n);
  load_good(&n, &g);
  const graph_node *pool = find_node(&g, "AveragePool_t");
  assert_int_equal(g.nodes[2].op, GRAPH_AVERAGE_POOL); /* no overhang */
  assert_true(pool->count_padding);
  unload(&g);
  begin_network(&n);
  add(&n, "AveragePool", "c", "t",
      "kernel_shape=3,3 strides=3,3 pads=1,1,0,0 ceil_mode=1 count_include_pad=1");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(g.nodes[2].op, GRAPH_AVERAGE_POOL);
  unload(&g);
  begin_network(&n);
  add(&n, "AveragePool", "c", "t",
      "kernel_shape=4,4 strides=3,3 pads=1,1,0,0 ceil_mode=1 count_include_pad=1");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(g.nodes[2].op, GRAPH_PAD);
  assert_memory_equal(&g.nodes[2].window, (&(graph_window){.pad_top = 1, .pad_left = 1}),
                      sizeof(graph_window));
  assert_string_equal(g.nodes[2].output, "");
  assert_false(g.nodes[3].count_padding);
  assert_memory_equal(&g.nodes[3].window, (&(graph_window){4, 4, 3, 3, 1, 1, 0, 0, 1, 1}),
                      sizeof(graph_window));
  unload(&g);
}

static void groups_are_kept(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_random(&n, "v", "6,2,1,1", 2);
  add(&n, "Conv", "c,v", "t", "group=2");
  end_network(&n);
  load_good(&n, &g);
  const graph_node *node = find_node(&g, "Conv_t");
  assert_int_equal(node->groups, 2);
  assert_int_equal(node->weight_count, 12);
  unload(&g);
}

/* (o,i,h,w) becomes (o,h,w,i); the bias comes through Identity (pytorch issue 95867). */
static void convolution_weights_are_reordered(void **state) {
  (void)state;
  network n = {0};
  graph g;
  add_random(&n, "w", "2,3,2,2", 7);
  add_random(&n, "b", "2", 8);
  add(&n, "Identity", "b", "bias", "");
  add(&n, "Conv", "x,w,bias", "t", "");
  end_network(&n);
  load_good(&n, &g);
  const graph_node *conv = find_node(&g, "Conv_t");
  for (size_t o = 0; o < 2; o++)
    for (size_t k = 0; k < 4; k++)
      for (size_t i = 0; i < 3; i++)
        assert_float_equal(conv->weights[(o * 4 + k) * 3 + i], random_float(7, (o * 3 + i) * 4 + k),
                           0);
  assert_float_equal(conv->bias[0], random_float(8, 0), 0);
  assert_float_equal(conv->bias[1], random_float(8, 1), 0);
  unload(&g);
}

/* ---- pools ------------------------------------------------------------------------- */

static void check_second_node(network *n, graph_op op) {
  graph g;
  end_network(n);
  load_good(n, &g);
  assert_int_equal(g.nodes[2].op, op);
  unload(&g);
}

static void pools_over_everything_are_global(void **state) {
  (void)state;
  static const int64_t axes[] = {2, 3};
  network average = {0}, mean = {.opset = 17}, mean_18 = {.opset = 18};
  begin_network(&average);
  add(&average, "AveragePool", "c", "t", "kernel_shape=8,8");
  check_second_node(&average, GRAPH_GLOBAL_AVERAGE_POOL);
  begin_network(&mean);
  add(&mean, "ReduceMean", "c", "t", "axes=-1,-2");
  check_second_node(&mean, GRAPH_GLOBAL_AVERAGE_POOL);
  begin_network(&mean_18);
  add_integers(&mean_18, "axes", "2", axes);
  add(&mean_18, "ReduceMean", "c,axes", "t", "keepdims=1");
  check_second_node(&mean_18, GRAPH_GLOBAL_AVERAGE_POOL);
}

static void mean_without_kept_axes_is_flat(void **state) {
  (void)state;
  network n = {.opset = 11};
  graph g;
  begin_network(&n);
  add(&n, "ReduceMean", "c", "m", "axes=2,3 keepdims=0");
  add_random(&n, "v", "4,5", 3);
  add(&n, "MatMul", "m,v", "y", "");
  load_good(&n, &g);
  assert_int_equal(scores(&g)->op, GRAPH_LINEAR);
  assert_int_equal(scores(&g)->shape.c, 5);
  unload(&g);
}

static void mean_over_channels_is_refused(void **state) {
  (void)state;
  network n = {.opset = 11};
  begin_network(&n);
  add(&n, "ReduceMean", "c", "t", "axes=1,3");
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED,
                 "ReduceMean_t|opset 11|are not height and width|[2,3]");
}

/* adaptive_max_pool2d(x, 1) and GlobalMaxPooling2D; from opset 18 on the axes are an
 * input. */
static void maxima_over_everything_are_pools(void **state) {
  (void)state;
  static const int64_t axes[] = {-1, -2};
  for (int64_t opset = 17; opset <= 18; opset++) {
    network n = {.opset = opset};
    graph g;
    begin_network(&n);
    add_integers(&n, "axes", "2", axes);
    add(&n, "ReduceMax", opset < 18 ? "c" : "c,axes", "t", opset < 18 ? "axes=2,3" : "");
    end_network(&n);
    load_good(&n, &g);
    assert_int_equal(g.nodes[2].op, GRAPH_MAX_POOL);
    assert_int_equal(g.nodes[2].window.kernel_h, 8);
    assert_int_equal(g.nodes[2].window.kernel_w, 8);
    assert_memory_equal(&g.nodes[2].shape, (&(graph_shape){1, 1, 4}), sizeof(graph_shape));
    unload(&g);
  }
}

/* x.mean(3).mean(2), also of a feature map (n,h,w,c). */
static void means_over_one_axis_after_the_other(void **state) {
  (void)state;
  for (int last = 0; last < 2; last++) {
    network n = {.opset = 11, .input = "N,3,8,6"};
    graph g;
    begin_network(&n);
    add(&n, "Transpose", "c", "i", last ? "perm=0,2,3,1" : "perm=0,1,2,3");
    add(&n, "ReduceMean", "i", "rows", last ? "axes=2, keepdims=0" : "axes=-1, keepdims=0");
    add(&n, "ReduceMean", "rows", "m", last ? "axes=1, keepdims=0" : "axes=2, keepdims=0");
    add_random(&n, "v", "4,5", 3);
    add(&n, "MatMul", "m,v", "y", "");
    load_good(&n, &g);
    assert_int_equal(g.nodes[2].op, GRAPH_AVERAGE_POOL);
    assert_int_equal(g.nodes[2].window.kernel_h, 1);
    assert_int_equal(g.nodes[2].window.kernel_w, 6);
    assert_memory_equal(&g.nodes[2].shape, (&(graph_shape){8, 1, 4}), sizeof(graph_shape));
    assert_int_equal(g.nodes[3].op, GRAPH_GLOBAL_AVERAGE_POOL);
    assert_int_equal(scores(&g)->op, GRAPH_LINEAR);
    unload(&g);
  }
}

/* A sum over 8x8 pixels is 64 times their mean; from opset 13 on the axes are an
 * input. */
static void sums_are_multiples_of_means(void **state) {
  (void)state;
  static const int64_t axes[] = {2, 3};
  for (int64_t opset = 12; opset <= 13; opset++) {
    network n = {.opset = opset};
    graph g;
    begin_network(&n);
    add_integers(&n, "axes", "2", axes);
    add(&n, "ReduceSum", opset < 13 ? "c" : "c,axes", "t", opset < 13 ? "axes=2,3" : "");
    end_network(&n);
    load_good(&n, &g);
    assert_int_equal(g.nodes[2].op, GRAPH_GLOBAL_AVERAGE_POOL);
    assert_string_equal(g.nodes[2].output, "");
    assert_int_equal(g.nodes[3].op, GRAPH_AFFINE);
    assert_string_equal(g.nodes[3].output, "t");
    for (size_t c = 0; c < 4; c++) assert_float_equal(g.nodes[3].weights[c], 64, 0);
    unload(&g);
  }
}

/* Keras writes the shortcut of a strided ResNetV2 block as a 1x1 MaxPool. */
static void single_pixel_pools_subsample(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add(&n, "MaxPool", "c", "t", "kernel_shape=1,1 strides=2,4");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(g.nodes[2].op, GRAPH_SUBSAMPLE);
  assert_int_equal(g.nodes[2].stride_h, 2);
  assert_int_equal(g.nodes[2].stride_w, 4);
  assert_int_equal(g.nodes[2].shape.h, 4);
  assert_int_equal(g.nodes[2].shape.w, 2);
  unload(&g);
}

static void average_pool_counts_padding_or_not(void **state) {
  (void)state;
  for (int count = 0; count < 2; count++) {
    network n = {0};
    graph g;
    begin_network(&n);
    add(&n, "AveragePool", "c", "t",
        count ? "kernel_shape=3,3 pads=1,1,1,1 count_include_pad=1"
              : "kernel_shape=3,3 pads=1,1,1,1");
    end_network(&n);
    load_good(&n, &g);
    assert_int_equal(g.nodes[2].count_padding, count);
    unload(&g);
  }
}

/* The formula against a walk over all windows and taps. */
static void taps_are_counted_in_closed_form(void **state) {
  (void)state;
  uint32_t seed = 1;
  for (int k = 0; k < 20000; k++) {
    uint32_t r[6];
    for (int i = 0; i < 6; i++) r[i] = (seed = seed * 1664525 + 1013904223) >> 8;
    const uint32_t kernel = 1 + r[0] % 5, stride = 1 + r[1] % 9, dilation = 1 + r[2] % 30,
                   in = 1 + r[3] % 20, dilated = (kernel - 1) * dilation + 1;
    const uint32_t before = r[4] % dilated, after = r[5] % dilated, padded = in + before + after;
    if (padded < dilated) continue;
    const uint32_t out = (padded - dilated) / stride + 1;
    bool all = true;
    for (uint32_t o = 0; o < out; o++) {
      bool inside = false;
      for (uint32_t t = 0; t < kernel; t++) {
        const int64_t at = (int64_t)o * stride + (int64_t)t * dilation - before;
        inside = inside || (at >= 0 && at < in);
      }
      all = all && inside;
    }
    const graph_window w = {kernel, 1, stride, 1, dilation, 1, before, 0, after, 0};
    assert_int_equal(graph_pool_has_taps(&w, (graph_shape){in, 1, 1}, (graph_shape){out, 1, 1}),
                     all);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(windows_are_resolved),
      cmocka_unit_test(windows_of_pools_have_taps),
      cmocka_unit_test(taps_are_counted_in_closed_form),
      cmocka_unit_test(ceil_mode_becomes_padding),
      cmocka_unit_test(impossible_windows_are_refused),
      cmocka_unit_test(counted_padding_and_ceil_mode),
      cmocka_unit_test(groups_are_kept),
      cmocka_unit_test(convolution_weights_are_reordered),
      cmocka_unit_test(pools_over_everything_are_global),
      cmocka_unit_test(mean_without_kept_axes_is_flat),
      cmocka_unit_test(mean_over_channels_is_refused),
      cmocka_unit_test(maxima_over_everything_are_pools),
      cmocka_unit_test(means_over_one_axis_after_the_other),
      cmocka_unit_test(sums_are_multiples_of_means),
      cmocka_unit_test(single_pixel_pools_subsample),
      cmocka_unit_test(average_pool_counts_padding_or_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
