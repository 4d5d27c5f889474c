/* Products of two feature maps (swish), and a feature map concatenated with zeros (option
 * A). */
#include <math.h>
#include <string.h>

#include "loader_network.h"

/* ---- products ---------------------------------------------------------------------- */

static void swish_is_one_product(void **state) {
  (void)state;
  for (int swapped = 0; swapped < 2; swapped++) {
    network n = {0};
    graph g;
    begin_network(&n);
    add(&n, "Sigmoid", "c", "s", "");
    add(&n, "Mul", swapped ? "s,c" : "c,s", "t", "");
    end_network(&n);
    load_good(&n, &g);
    check_invariants(&g);
    const graph_node *product = find_node(&g, "Mul_t");
    assert_int_equal(product->op, GRAPH_SCALE);
    assert_true(product->sigmoid);
    assert_int_equal(product->input[0], find_index(&g, "Conv_c"));
    assert_int_equal(product->input[1], find_index(&g, "Conv_c"));
    unload(&g);
  }
}

static void hard_swish_is_a_product(void **state) {
  (void)state;
  network n = {.opset = 14};
  graph g;
  begin_network(&n);
  add(&n, "HardSwish", "c", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  const graph_node *product = NULL, *gate;
  uint32_t last = find_index(&g, "Conv_c");
  for (uint32_t i = 0; i < g.node_count; i++)
    if (g.nodes[i].op == GRAPH_SCALE) product = &g.nodes[i];
  assert_non_null(product);
  assert_string_equal(product->output, "t");
  assert_int_equal(product->input[0], last);
  gate = &g.nodes[product->input[1]];
  assert_int_equal(gate->op, GRAPH_AFFINE);
  assert_int_equal(gate->input[0], last);
  /* it is no tensor of the file */
  assert_string_equal(gate->output, "");
  assert_float_equal(gate->weights[0], 1.0F / 6, 1e-7);
  assert_float_equal(gate->bias[0], 0.5F, 0);
  assert_float_equal(gate->clamp_min, 0, 0);
  assert_float_equal(gate->clamp_max, 1, 0);
  unload(&g);
}

static void products_of_mixed_orders_are_refused(void **state) {
  (void)state;
  network n = {0};
  begin_network(&n);
  add_conv(&n, "c", "d", "8,4,1,1", ""); /* (n,8,8,8): both orders have the same shape */
  add(&n, "Transpose", "d", "u", "perm=0,2,3,1");
  add(&n, "Mul", "d,u", "e", "");
  add_conv(&n, "e", "t", "4,8,1,1", "");
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, "Mul_e|two activations");
}

/* ---- concatenated zeros ------------------------------------------------------------ */

static const float zeros[2 * 8 * 8];

/* Check a network in which c, (n,4,8,8), is concatenated with two channels of zeros
 * before and two after it, or with all four on one side. */
static void check_concatenated(network *n, const char *inputs, uint32_t before, uint32_t channels) {
  graph g;
  add(n, "Concat", inputs, "j", "axis=1");
  add_conv(n, "j", "t", channels == 6 ? "4,6,1,1" : "4,8,1,1", "");
  end_network(n);
  load_good(n, &g);
  check_invariants(&g);
  const graph_node *joined = find_node(&g, "Concat_j");
  assert_int_equal(joined->op, GRAPH_SUBSAMPLE);
  assert_int_equal(joined->stride_h, 1);
  assert_int_equal(joined->channels_before, before);
  assert_memory_equal(&joined->shape, (&(graph_shape){8, 8, channels}), sizeof(graph_shape));
  unload(&g);
}

static void zeros_are_concatenated(void **state) {
  (void)state;
  static const struct {
    const char *inputs;
    uint32_t before, channels;
  } cases[] = {{"z,c", 2, 6}, {"c,z", 0, 6}, {"z,c,z", 2, 8}, {"c,z,z", 0, 8}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network n = {0};
    begin_network(&n);
    add_floats(&n, "z", "1,2,8,8", zeros);
    check_concatenated(&n, cases[i].inputs, cases[i].before, cases[i].channels);
  }
}

static void a_feature_map_times_zero_is_zeros(void **state) {
  (void)state;
  network n = {0};
  begin_network(&n);
  add_floats(&n, "zero", "1", zeros);
  add(&n, "Mul", "c,zero", "nothing", "");
  check_concatenated(&n, "c,nothing", 0, 8);
}

/* tf.zeros_like of a feature map (n,h,w,c), transposed to (n,c,h,w) beside it; the batch
 * stays in front. */
static void transposed_zeros_are_concatenated(void **state) {
  (void)state;
  network n = {0}, moved = {0};
  network *both[2] = {&n, &moved};
  for (size_t i = 0; i < 2; i++) {
    begin_network(both[i]);
    add(both[i], "Shape", "c", "shape", "");
    add_integers(both[i], "order", "4", (const int64_t[]){0, 2, 3, 1});
    add(both[i], "Gather", "shape,order", "sizes", "axis=0");
    add(both[i], "ConstantOfShape", "sizes", "last", "");
    add(both[i], "Transpose", "last", "z", i ? "perm=3,0,1,2" : "perm=0,3,1,2");
  }
  check_concatenated(&n, "c,z", 0, 8);
  add(&moved, "Concat", "c,z", "t", "axis=1");
  end_network(&moved);
  refuse_network(&moved, RESNET_ERROR_UNSUPPORTED, "Transpose_z|batch for a dimension");
}

/* torch.zeros(x.shape[0], 2, *x.shape[2:]), by ConstantOfShape and by Expand. */
static void zeros_of_any_batch_are_concatenated(void **state) {
  (void)state;
  for (int expand = 0; expand < 2; expand++) {
    network n = {0};
    begin_network(&n);
    add(&n, "Shape", "c", "shape", "");
    add_integers(&n, "first", "1", (const int64_t[]){0});
    add_integers(&n, "two", "1", (const int64_t[]){2});
    add_integers(&n, "sides", "2", (const int64_t[]){2, 3});
    add_floats(&n, "zero", "1,1,1,1", zeros);
    add(&n, "Gather", "shape,first", "batch", "axis=0");
    add(&n, "Gather", "shape,sides", "rest", "axis=0");
    add(&n, "Concat", "batch,two,rest", "sizes", "axis=0");
    if (expand)
      add(&n, "Expand", "zero,sizes", "z", "");
    else
      add(&n, "ConstantOfShape", "sizes", "z", "");
    check_concatenated(&n, "c,z", 0, 6);
  }
}

static void refuse_joined(network *n, const char *inputs, const char *attributes,
                          resnet_status status, const char *what) {
  add(n, "Concat", inputs, "j", attributes);
  add_conv(n, "j", "t", "4,6,1,1", "");
  end_network(n);
  refuse_network(n, status, what);
}

static void other_concatenations_are_refused(void **state) {
  (void)state;
  static const float ones[2 * 8 * 8] = {1};
  network two = {0}, numbers = {0}, sides = {0}, axis = {0}, batch = {0}, alone = {0}, read = {0},
          again = {0};
  begin_network(&two);
  refuse_joined(&two, "c,c", "axis=1", RESNET_ERROR_UNSUPPORTED,
                "Concat_j|joins 'c' and 'c'|DenseNets");
  begin_network(&numbers);
  add_floats(&numbers, "k", "1,2,8,8", ones);
  refuse_joined(&numbers, "c,k", "axis=1", RESNET_ERROR_UNSUPPORTED, "Concat_j|joins 'c' and 'k'");
  begin_network(&sides);
  add_floats(&sides, "z", "1,2,8,4", zeros);
  refuse_joined(&sides, "c,z", "axis=1", RESNET_ERROR_FORMAT,
                "Concat_j|differ in height, width or batch");
  begin_network(&axis);
  add_floats(&axis, "z", "1,4,2,8", zeros);
  refuse_joined(&axis, "c,z", "axis=2", RESNET_ERROR_UNSUPPORTED,
                "Concat_j|axis 2|channels are accepted");
  begin_network(&batch);
  add_floats(&batch, "z", "2,1,8,8", zeros);
  refuse_joined(&batch, "c,z", "axis=1", RESNET_ERROR_FORMAT,
                "Concat_j|differ in height, width or batch");
  begin_network(&alone);
  add_floats(&alone, "zero", "1", zeros);
  add(&alone, "Mul", "c,zero", "nothing", "");
  refuse_joined(&alone, "nothing,nothing", "axis=1", RESNET_ERROR_UNSUPPORTED,
                "Concat_j|only zeros");
  begin_network(&read);
  add(&read, "Shape", "c", "shape", "");
  add(&read, "ConstantOfShape", "shape", "z", "");
  add(&read, "Add", "c,z", "t", "");
  end_network(&read);
  refuse_network(&read, RESNET_ERROR_UNSUPPORTED, "Add_t|'z'|batch for a dimension|only a Concat");
  begin_network(&again);
  add(&again, "Shape", "c", "shape", "");
  add(&again, "ConstantOfShape", "shape", "z", "");
  add(&again, "Shape", "z", "s", "");
  add(&again, "Reshape", "c,s", "t", "");
  end_network(&again);
  refuse_network(&again, RESNET_ERROR_UNSUPPORTED, "Shape_s|'z'|batch for a dimension");
}

/* fastai's head has the maximum beside the average, as one pixel or flat. */
static void two_pools_are_concatenated(void **state) {
  (void)state;
  for (int flat = 0; flat < 2; flat++) {
    network n = {0};
    graph g;
    begin_network(&n);
    add(&n, "GlobalMaxPool", "c", "a", "");
    add(&n, "GlobalAveragePool", "c", "b", "");
    add(&n, "Flatten", "a", "flat_a", "");
    add(&n, "Flatten", "b", "flat_b", "");
    add(&n, "Concat", flat ? "flat_a,flat_b" : "a,b", "j", "axis=1");
    add(&n, "Flatten", "j", "f", "");
    add_random(&n, "v", "8,5", 3);
    add(&n, "MatMul", "f,v", "y", "");
    load_good(&n, &g);
    check_invariants(&g);
    assert_int_equal(g.block_count, 0);
    const graph_node *sum = &g.nodes[find_scores(&g)->input[0]];
    assert_int_equal(sum->op, GRAPH_ADD);
    assert_string_equal(sum->output, "j");
    assert_int_equal(sum->shape.c, 8);
    for (uint32_t i = 0; i < 2; i++) {
      const graph_node *part = &g.nodes[sum->input[i]];
      assert_int_equal(part->op, GRAPH_SUBSAMPLE);
      assert_string_equal(part->output, "");
      assert_int_equal(part->channels_before, 4 * i);
      assert_int_equal(part->shape.c, 8);
      assert_int_equal(g.nodes[part->input[0]].op, i ? GRAPH_GLOBAL_AVERAGE_POOL : GRAPH_MAX_POOL);
    }
    unload(&g);
  }
  network rows = {0};
  begin_network(&rows);
  add(&rows, "GlobalMaxPool", "c", "a", "");
  add(&rows, "GlobalAveragePool", "c", "b", "");
  add(&rows, "Concat", "a,b", "j", "axis=2");
  add(&rows, "Flatten", "j", "y", "");
  refuse_network(&rows, RESNET_ERROR_UNSUPPORTED, "Concat_j|axis 2|channels are accepted");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(swish_is_one_product),
      cmocka_unit_test(hard_swish_is_a_product),
      cmocka_unit_test(products_of_mixed_orders_are_refused),
      cmocka_unit_test(zeros_are_concatenated),
      cmocka_unit_test(a_feature_map_times_zero_is_zeros),
      cmocka_unit_test(zeros_of_any_batch_are_concatenated),
      cmocka_unit_test(transposed_zeros_are_concatenated),
      cmocka_unit_test(other_concatenations_are_refused),
      cmocka_unit_test(two_pools_are_concatenated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
