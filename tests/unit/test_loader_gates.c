/* Squeeze-and-excitation and ECA: gates, their products with feature maps, their blocks,
 * every refusal. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "loader_network.h"

/* Add the gate of `map`, (n,4,h,w): mean, two 1x1 convolutions with a ReLU between; the
 * logits are "<map>_e". */
static void add_squeeze(network *n, const char *map) {
  char mean[32], small[32], clamped[32], large[32];
  (void)snprintf(mean, sizeof mean, "%s_m", map);
  (void)snprintf(small, sizeof small, "%s_s", map);
  (void)snprintf(clamped, sizeof clamped, "%s_r", map);
  (void)snprintf(large, sizeof large, "%s_e", map);
  add(n, "GlobalAveragePool", map, mean, "");
  add_conv(n, mean, small, "2,4,1,1", "");
  add(n, "Relu", small, clamped, "");
  add_conv(n, clamped, large, "4,2,1,1", "");
}

static const int64_t map_sizes[4] = {1, 4, 8, 8};

/* ---- products ---------------------------------------------------------------------- */

static void sigmoid_gates_are_one_product(void **state) {
  (void)state;
  for (int swapped = 0; swapped < 2; swapped++) {
    network n = {0};
    graph g;
    begin_network(&n);
    add_squeeze(&n, "c");
    add(&n, "Sigmoid", "c_e", "gate", "");
    add(&n, "Mul", swapped ? "gate,c" : "c,gate", "m", "");
    add(&n, "Relu", "m", "t", "");
    end_network(&n);
    load_good(&n, &g);
    check_invariants(&g);
    const graph_node *scale = find_node(&g, "Mul_m");
    assert_int_equal(scale->op, GRAPH_SCALE);
    assert_true(scale->sigmoid);
    assert_int_equal(scale->input[0], find_index(&g, "Conv_c"));
    assert_int_equal(scale->input[1], find_index(&g, "Conv_c_e"));
    assert_memory_equal(&scale->shape, (&(graph_shape){8, 8, 4}), sizeof(graph_shape));
    assert_float_equal(scale->clamp_min, 0, 0);
    assert_true(isinf(scale->clamp_max));
    assert_string_equal(scale->output, "t");
    assert_int_equal(g.node_count, 7); /* no sigmoid, no clamps of their own */
    unload(&g);
  }
}

/* A sigmoid stays an op if something else reads it, or if it is no gate. */
static void sigmoids_with_other_readers_stay(void **state) {
  (void)state;
  network twice = {0}, last = {0}, output = {.output = "gate"};
  graph g;
  begin_network(&twice);
  add_squeeze(&twice, "c");
  add(&twice, "Sigmoid", "c_e", "gate", "");
  add(&twice, "Mul", "c,gate", "m", "");
  add(&twice, "Add", "m,c", "s", "");
  add(&twice, "Mul", "s,gate", "t", "");
  end_network(&twice);
  load_good(&twice, &g);
  check_invariants(&g);
  assert_int_equal(find_node(&g, "Sigmoid_gate")->op, GRAPH_SIGMOID);
  assert_false(find_node(&g, "Mul_m")->sigmoid);
  assert_false(find_node(&g, "Mul_t")->sigmoid);
  assert_int_equal(find_node(&g, "Mul_t")->input[1], find_index(&g, "Sigmoid_gate"));
  unload(&g);

  begin_network(&last); /* as in multi-label networks */
  add(&last, "GlobalAveragePool", "c", "p", "");
  add(&last, "Flatten", "p", "f", "");
  add(&last, "Sigmoid", "f", "y", "");
  load_good(&last, &g);
  check_invariants(&g);
  assert_int_equal(find_scores(&g)->op, GRAPH_SIGMOID);
  assert_string_equal(find_scores(&g)->output, "y");
  unload(&g);

  /* the scores are the gate itself: nothing reads the product */
  begin_network(&output);
  add_squeeze(&output, "c");
  add(&output, "Sigmoid", "c_e", "gate", "");
  add(&output, "Mul", "c,gate", "m", "");
  load_good(&output, &g);
  assert_int_equal(find_scores(&g)->op, GRAPH_SIGMOID);
  assert_int_equal(g.node_count, 6);
  unload(&g);
}

/* max(0, min(1, alpha x + beta)) is fused with the convolution before it if nothing else
 * reads that. */
static void hard_sigmoids_fuse_with_their_convolution(void **state) {
  (void)state;
  network n = {0}, lone = {0};
  graph g;
  begin_network(&n);
  add_squeeze(&n, "c");
  add(&n, "HardSigmoid", "c_e", "gate", "alpha=0.25 beta=0.75");
  add(&n, "Mul", "c,gate", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  const graph_node *gate = find_node(&g, "Conv_c_e");
  assert_float_equal(gate->clamp_min, 0, 0);
  assert_float_equal(gate->clamp_max, 1, 0);
  assert_float_equal(gate->weights[3], 0.25F * random_float(1, 3), 1e-7);
  assert_float_equal(gate->bias[2], 0.75F, 0);
  assert_string_equal(gate->output, "gate");
  assert_false(find_node(&g, "Mul_t")->sigmoid);
  unload(&g);

  begin_network(&lone); /* defaults: 0.2 and 0.5 */
  add(&lone, "MaxPool", "c", "m", "kernel_shape=2,2");
  add(&lone, "HardSigmoid", "m", "t", "");
  end_network(&lone);
  load_good(&lone, &g);
  check_invariants(&g);
  const graph_node *affine = find_node(&g, "HardSigmoid_t");
  assert_int_equal(affine->op, GRAPH_AFFINE);
  assert_float_equal(affine->weights[3], 0.2F, 0);
  assert_float_equal(affine->bias[0], 0.5F, 0);
  assert_float_equal(affine->clamp_min, 0, 0);
  assert_float_equal(affine->clamp_max, 1, 0);
  unload(&g);
}

/* The op after a hard sigmoid is not folded through its clamp. */
static void clamps_separate_affine_functions(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_floats(&n, "k", "1", (const float[]){-3});
  add(&n, "HardSigmoid", "c", "h", "");
  add(&n, "Mul", "h,k", "t", "");
  end_network(&n);
  load_good(&n, &g);
  assert_float_equal(find_node(&g, "Conv_c")->clamp_max, 1, 0);
  assert_int_equal(find_node(&g, "Mul_t")->op, GRAPH_AFFINE);
  assert_float_equal(find_node(&g, "Mul_t")->weights[1], -3, 0);
  assert_true(isinf(find_node(&g, "Mul_t")->clamp_min));
  unload(&g);
}

static void refuse_hard_sigmoid(const char *attributes, resnet_status status, const char *what) {
  network n = {0};
  begin_network(&n);
  add(&n, "HardSigmoid", "c", "t", attributes);
  end_network(&n);
  refuse_network(&n, status, what);
}

static void impossible_hard_sigmoids_are_refused(void **state) {
  (void)state;
  refuse_hard_sigmoid("alpha=1e39", RESNET_ERROR_FORMAT,
                      "HardSigmoid_t|alpha is inf|finite numbers are accepted");
  refuse_hard_sigmoid("gamma=1.0", RESNET_ERROR_UNSUPPORTED,
                      "'gamma' (1) is not accepted at this opset; accepted: alpha beta");
}

/* ---- Expand ------------------------------------------------------------------------ */

/* Expand the gate to the feature map's size in one way: the graph must be the same as
 * without Expand. */
static void check_expand(const char *input, size_t count, const int64_t *sizes) {
  network n = {.input = input}, plain = {.input = input};
  char dims[8];
  (void)snprintf(dims, sizeof dims, "%zu", count);
  network *both[2] = {&n, &plain};
  for (size_t i = 0; i < 2; i++) {
    begin_network(both[i]);
    add_squeeze(both[i], "c");
    add(both[i], "Sigmoid", "c_e", "gate", "");
  }
  if (sizes)
    add_integers(&n, "sizes", dims, sizes);
  else
    add(&n, "Shape", "c", "sizes", "");
  add(&n, "Expand", "gate,sizes", "wide", "");
  add(&n, "Mul", "c,wide", "t", "");
  add(&plain, "Mul", "c,gate", "t", "");
  end_network(&n);
  end_network(&plain);
  same_graphs(&n, &plain);
}

static void expanded_gates_are_gates(void **state) {
  (void)state;
  check_expand("N,3,8,8", 0, NULL); /* expand_as: the batch is a symbol */
  check_expand("N,3,8,8", 4, map_sizes);
  check_expand("5,3,8,8", 4, (const int64_t[]){5, 4, 8, 8});
  check_expand("N,3,8,8", 3, (const int64_t[]){4, 8, 8});
  check_expand("N,3,8,8", 2, (const int64_t[]){8, 8});
  check_expand("N,3,8,8", 1, (const int64_t[]){1}); /* unchanged */
  check_expand("N,3,4,4", 4, (const int64_t[]){1, 4, 4, 4});
}

/* expand(-1, -1, h, w): PyTorch's exporter writes 1 for -1. The batch is a symbol, not
 * -1. */
static void sizes_are_chosen(void **state) {
  (void)state;
  static const char *const given[] = {"minus", "shape"};
  for (size_t i = 0; i < 2; i++) {
    network n = {0}, plain = {0};
    network *both[2] = {&n, &plain};
    for (size_t k = 0; k < 2; k++) {
      begin_network(both[k]);
      add_squeeze(both[k], "c");
      add(both[k], "Sigmoid", "c_e", "gate", "");
    }
    char compared[32], chosen[32];
    (void)snprintf(compared, sizeof compared, "%s,one_less", given[i]);
    (void)snprintf(chosen, sizeof chosen, "is_minus,ones,%s", given[i]);
    add(&n, "Shape", "c", "shape", "");
    add_integers(&n, "minus", "4", (const int64_t[]){-1, -1, 8, 8});
    add_integers(&n, "one_less", "1", (const int64_t[]){-1});
    add_integers(&n, "ones", "4", (const int64_t[]){1, 1, 1, 1});
    add(&n, "Equal", compared, "is_minus", "");
    add(&n, "Where", chosen, "sizes", "");
    add(&n, "Expand", "gate,sizes", "wide", "");
    add(&n, "Mul", "c,wide", "t", "");
    add(&plain, "Mul", "c,gate", "t", "");
    end_network(&n);
    end_network(&plain);
    same_graphs(&n, &plain);
  }
  network batch = {0};
  begin_network(&batch);
  add(&batch, "Shape", "c", "shape", "");
  add_integers(&batch, "two", "1", (const int64_t[]){2});
  add(&batch, "Equal", "shape,two", "t", "");
  end_network(&batch);
  refuse_network(&batch, RESNET_ERROR_UNSUPPORTED, "Equal_t|compares the batch size with a number");
}

static void refuse_expand(const char *input, size_t count, const int64_t *sizes,
                          resnet_status status, const char *what) {
  network n = {0};
  char dims[8], inputs[32];
  (void)snprintf(dims, sizeof dims, "%zu", count);
  (void)snprintf(inputs, sizeof inputs, "%s,sizes", input);
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "gate", "");
  add_integers(&n, "sizes", dims, sizes);
  add(&n, "Expand", inputs, "wide", "");
  add(&n, "Mul", "c,wide", "t", "");
  end_network(&n);
  refuse_network(&n, status, what);
}

static void other_expansions_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_expand("gate", 4, (const int64_t[]){1, 4, 7, 8}, form,
                "Mul_t|multiplies 7 and 8 along axis 2");
  refuse_expand("gate", 4, (const int64_t[]){1, 3, 8, 8}, form, "Expand_wide|cannot expand 4 to 3");
  refuse_expand("gate", 4, (const int64_t[]){1, 4, 0, 8}, form, "cannot expand 1 to 0");
  refuse_expand("gate", 4, (const int64_t[]){1, 4, 8, 1 << 20}, form, "cannot expand 1 to 1048576");
  refuse_expand("gate", 4, (const int64_t[]){3, 4, 8, 8}, not_yet, "makes 3 of a batch");
  refuse_expand("gate", 5, (const int64_t[]){1, 1, 4, 8, 8}, not_yet, "up to 4 integers");
  network half = {0};
  begin_network(&half); /* one row is no gate */
  add_integers(&half, "sizes", "4", map_sizes);
  add(&half, "MaxPool", "c", "row", "kernel_shape=8,1");
  add(&half, "Expand", "row,sizes", "wide", "");
  add(&half, "Mul", "c,wide", "t", "");
  end_network(&half);
  refuse_network(&half, not_yet,
                 "Expand_wide|expands an image of (h 1, w 8, c 4): a gate (n,c,1,1)");
}

/* An expanded gate is never stored: only a product may read it. */
static void expanded_gates_are_only_multiplied(void **state) {
  (void)state;
  static const char *const readers[] = {"Relu", "GlobalAveragePool", "Flatten", "Shape", "Sigmoid"};
  for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
    network n = {0};
    char what[64];
    begin_network(&n);
    add_integers(&n, "sizes", "4", map_sizes);
    add(&n, "GlobalAveragePool", "c", "gate", "");
    add(&n, "Expand", "gate,sizes", "wide", "");
    add(&n, readers[i], "wide", "t", "");
    add(&n, "Mul", "c,t", "u", "");
    add(&n, "GlobalAveragePool", "u", "y", "");
    (void)snprintf(what, sizeof what, "%s_t|'wide', which Expand made larger", readers[i]);
    refuse_network(&n, RESNET_ERROR_UNSUPPORTED, what);
  }
  network output = {.output = "wide"};
  begin_network(&output);
  add_integers(&output, "sizes", "4", map_sizes);
  add(&output, "GlobalAveragePool", "c", "gate", "");
  add(&output, "Expand", "gate,sizes", "wide", "");
  refuse_network(&output, RESNET_ERROR_UNSUPPORTED,
                 "output 'wide'|choose the tensor before the Expand");
}

static resnet_status load_sized(network *n, uint32_t side, graph *g, resnet_error *error) {
  const load_options options = {
      .max_file_bytes = 1 << 20, .input_height = side, .input_width = side};
  buffer file = finish(n);
  resnet_status status = load_bytes(&file, &options, g, error);
  buffer_release(&file);
  return status;
}

/* Sizes that the exporter froze are those of the file's own input; a gate also fits any
 * other. */
static void frozen_expansions_follow_the_input(void **state) {
  (void)state;
  network n = {0}, both = {0};
  graph g;
  resnet_error error;
  begin_network(&n);
  add_integers(&n, "sizes", "4", map_sizes);
  add_squeeze(&n, "c");
  add(&n, "Expand", "c_e,sizes", "wide", "");
  add(&n, "Mul", "c,wide", "t", "");
  end_network(&n);
  if (load_sized(&n, 12, &g, &error) != RESNET_OK) fail_msg("%s", error.message);
  check_invariants(&g);
  assert_memory_equal(&find_node(&g, "Mul_t")->shape, (&(graph_shape){12, 12, 4}),
                      sizeof(graph_shape));
  unload(&g);

  /* the other factor has one pixel, so nothing gives the size of the product */
  begin_network(&both);
  add_integers(&both, "sizes", "4", map_sizes);
  add_squeeze(&both, "c");
  add(&both, "Expand", "c_e,sizes", "wide", "");
  add(&both, "Mul", "c_m,wide", "t", "");
  end_network(&both);
  assert_int_equal(load_sized(&both, 12, &g, &error), RESNET_ERROR_FORMAT);
  if (!strstr(error.message, "Mul_t")) fail_msg("%s", error.message);
}

/* ---- channels last ----------------------------------------------------------------- */

static void add_gate_nhwc(network *n, bool expand) {
  add(n, "Transpose", "c", "last", "perm=0,2,3,1");
  add(n, "ReduceMean", "last", "mean", "axes=1,2 keepdims=1"); /* (n,1,1,4) */
  add(n, "Sigmoid", "mean", "gate", "");
  add_integers(n, "sizes", "4", (const int64_t[]){1, 8, 8, 4});
  if (expand) add(n, "Expand", "gate,sizes", "wide", "");
  add(n, "Mul", expand ? "wide,last" : "gate,last", "product", "");
  add(n, "Transpose", "product", "t", "perm=0,3,1,2");
  end_network(n);
}

static void gates_channels_last(void **state) {
  (void)state;
  for (int expand = 0; expand < 2; expand++) {
    network n = {0}, plain = {0};
    begin_network(&n);
    add_gate_nhwc(&n, expand == 1);
    begin_network(&plain);
    add(&plain, "GlobalAveragePool", "c", "mean", "");
    add(&plain, "Sigmoid", "mean", "gate", "");
    add(&plain, "Mul", "c,gate", "t", "");
    end_network(&plain);
    same_graphs(&n, &plain);
  }
}

/* Gates on another axis than the channels. In the last ones the sizes would fit. */
static void gates_on_other_axes_are_refused(void **state) {
  (void)state;
  network first = {.input = "N,3,4,4"}, last = {.input = "N,3,4,4"}, middle = {.input = "N,3,4,4"};
  begin_network(&first);
  add(&first, "GlobalAveragePool", "c", "gate", "");
  add(&first, "Transpose", "c", "last", "perm=0,2,3,1");
  add(&first, "Mul", "last,gate", "product", "");
  add(&first, "Transpose", "product", "t", "perm=0,3,1,2");
  end_network(&first);
  refuse_network(&first, RESNET_ERROR_UNSUPPORTED,
                 "Mul_product|one factor for each of its channels");
  begin_network(&last);
  add(&last, "GlobalAveragePool", "c", "mean", "");
  add(&last, "Transpose", "mean", "gate", "perm=0,2,3,1");
  add(&last, "Mul", "c,gate", "t", "");
  end_network(&last);
  refuse_network(&last, RESNET_ERROR_UNSUPPORTED, "Mul_t|one factor for each of its channels");
  begin_network(&middle); /* (n,1,4,1): its channels meet the columns */
  add_integers(&middle, "sizes", "4", (const int64_t[]){1, 4, 4, 4});
  add_integers(&middle, "shape", "4", (const int64_t[]){-1, 1, 4, 1});
  add(&middle, "GlobalAveragePool", "c", "mean", "");
  add(&middle, "Reshape", "mean,shape", "gate", "");
  add(&middle, "Expand", "gate,sizes", "wide", "");
  add(&middle, "Transpose", "c", "last", "perm=0,2,3,1");
  add(&middle, "Mul", "last,wide", "product", "");
  add(&middle, "Transpose", "product", "t", "perm=0,3,1,2");
  end_network(&middle);
  refuse_network(&middle, RESNET_ERROR_UNSUPPORTED, "Expand_wide");
}

/* One pixel times one pixel: SiLU within a squeeze. */
static void pixels_multiply_pixels(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_squeeze(&n, "c");
  add(&n, "Sigmoid", "c_s", "sigmoid", "");
  add(&n, "Mul", "c_s,sigmoid", "silu", "");
  add_conv(&n, "silu", "wide", "4,2,1,1", "");
  add(&n, "Mul", "c,wide", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  const graph_node *silu = find_node(&g, "Mul_silu");
  assert_true(silu->sigmoid);
  assert_int_equal(silu->input[0], find_index(&g, "Conv_c_s"));
  assert_int_equal(silu->input[1], find_index(&g, "Conv_c_s"));
  unload(&g);
}

/* ---- ECA --------------------------------------------------------------------------- */

static void add_eca(network *n, const char *weights, const char *attributes,
                    const char *conv_inputs) {
  begin_network(n);
  add_random(n, "v", weights, 9);
  add_random(n, "b", "1", 10);
  add_integers(n, "line", "3", (const int64_t[]){-1, 1, 4});
  add_integers(n, "pixel", "4", (const int64_t[]){-1, 4, 1, 1});
  add(n, "GlobalAveragePool", "c", "mean", "");
  add(n, "Reshape", "mean,line", "row", "");
  add(n, "Conv", conv_inputs, "k", attributes);
  add(n, "Sigmoid", "k", "sigmoid", "");
  add(n, "Reshape", "sigmoid,pixel", "gate", "");
  add(n, "Mul", "c,gate", "t", "");
  end_network(n);
}

static void check_eca(const char *weights, const char *attributes, uint32_t kernel,
                      uint32_t before) {
  for (int bias = 0; bias < 2; bias++) {
    network n = {0};
    graph g;
    add_eca(&n, weights, attributes, bias ? "row,v,b" : "row,v");
    load_good(&n, &g);
    check_invariants(&g);
    const graph_node *conv = find_node(&g, "Conv_k");
    assert_int_equal(conv->op, GRAPH_CHANNEL_CONV);
    assert_memory_equal(&conv->shape, (&(graph_shape){1, 1, 4}), sizeof(graph_shape));
    assert_int_equal(conv->window.kernel_w, kernel);
    assert_int_equal(conv->window.pad_left, before);
    assert_int_equal(conv->window.pad_right, kernel - 1 - before);
    assert_int_equal(conv->weight_count, kernel);
    assert_int_equal(conv->bias_count, 1);
    for (size_t i = 0; i < kernel; i++) assert_float_equal(conv->weights[i], random_float(9, i), 0);
    const float added = bias ? random_float(10, 0) : 0;
    assert_float_equal(conv->bias[0], added, 0);
    const graph_node *scale = find_node(&g, "Mul_t");
    assert_true(scale->sigmoid);
    assert_int_equal(scale->input[1], find_index(&g, "Conv_k"));
    unload(&g);
  }
}

static void channel_convolutions(void **state) {
  (void)state;
  check_eca("1,1,3", "pads=1,1", 3, 1);
  check_eca("1,1,3", "pads=1,1 kernel_shape=3, strides=1, dilations=1, group=1", 3, 1);
  check_eca("1,1,5", "pads=2,2", 5, 2);
  check_eca("1,1,9", "pads=4,4", 9, 4); /* wider than there are channels */
  check_eca("1,1,3", "pads=2,0", 3, 2);
  check_eca("1,1,1", "", 1, 0);
  check_eca("1,1,3", "auto_pad=SAME_UPPER", 3, 1);
  check_eca("1,1,4", "auto_pad=SAME_UPPER", 4, 1);
  check_eca("1,1,4", "auto_pad=SAME_LOWER", 4, 2);
}

static void refuse_eca(const char *weights, const char *attributes, resnet_status status,
                       const char *what) {
  network n = {0};
  add_eca(&n, weights, attributes, "row,v");
  refuse_network(&n, status, what);
}

static void other_channel_convolutions_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_eca("1,1,3", "", not_yet,
             "Conv_k|changes the number of channels (kernel 3, pads 0 and 0)");
  refuse_eca("1,1,3", "pads=2,2", not_yet, "kernel 3, pads 2 and 2");
  refuse_eca("1,1,3", "pads=-1,3", not_yet, "pads -1 and 3");
  refuse_eca("1,1,3", "pads=9223372036854775807,9223372036854775807", not_yet,
             "changes the number of channels");
  refuse_eca("1,1,3", "auto_pad=VALID", not_yet, "changes the number of channels");
  refuse_eca("1,1,3", "auto_pad=VALID pads=1,1", form,
             "Conv_k|auto_pad VALID contradicts its pads");
  refuse_eca("1,1,3", "pads=1,1,1,1", form, "Conv_k|pads has 4 numbers: 2 are accepted");
  refuse_eca("1,1,3", "pads=1,1 strides=2,", not_yet, "strides 2: 1 is accepted");
  refuse_eca("1,1,3", "pads=1,1 strides=1,1", not_yet, "strides");
  refuse_eca("1,1,3", "pads=1,1 dilations=2,", not_yet, "dilations 2: 1 is accepted");
  refuse_eca("1,1,3", "pads=1,1 kernel_shape=5,", not_yet, "kernel_shape 5: 3 is accepted");
  refuse_eca("1,1,3", "pads=1,1 group=2", form, "group is 2");
  refuse_eca("4,1,3", "pads=1,1", not_yet, "only that of ECA is accepted");
  refuse_eca("1,4,3", "pads=1,1", not_yet, "only that of ECA is accepted");
  refuse_eca("1,1,1025", "pads=512,512", not_yet, "have 1025 taps: 1 to 1024");
  network image = {0};
  begin_network(&image);
  add_random(&image, "v", "1,1,3", 9);
  add(&image, "Conv", "c,v", "t", "pads=1,1");
  end_network(&image);
  refuse_network(&image, not_yet, "Conv_t|a 1-D convolution: only that of ECA");
  network integers = {0};
  begin_network(&integers);
  add_integers(&integers, "v", "1,1,1", (const int64_t[]){1});
  add_integers(&integers, "line", "3", (const int64_t[]){-1, 1, 4});
  add(&integers, "GlobalAveragePool", "c", "mean", "");
  add(&integers, "Reshape", "mean,line", "row", "");
  add(&integers, "Conv", "row,v", "y", "");
  refuse_network(&integers, not_yet, "Conv_y|1 to 1024 floats");
}

/* ---- blocks ------------------------------------------------------------------------ */

/* The gate's nodes belong to the block and come before their product. */
static void gated_blocks(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_conv(&n, "c", "a", "4,4,3,3", "pads=1,1,1,1");
  add_squeeze(&n, "a");
  add(&n, "Sigmoid", "a_e", "gate", "");
  add(&n, "Mul", "a,gate", "m", "");
  add(&n, "Add", "c,m", "s", "");
  add(&n, "Relu", "s", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  assert_int_equal(g.block_count, 1);
  check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_IDENTITY, "Conv_c", "Add_s");
  static const char *const order[] = {
      "Conv_c", "Conv_a", "GlobalAveragePool_a_m", "Conv_a_s", "Conv_a_e", "Mul_m", "Add_s"};
  for (uint32_t i = 0; i < 7; i++) {
    assert_string_equal(g.nodes[i + 1].name, order[i]);
    assert_int_equal(g.nodes[i + 1].block, i == 0 ? RESNET_NO_INDEX : 0);
  }
  assert_int_equal(find_node(&g, "Add_s")->input[0], find_index(&g, "Mul_m"));
  assert_int_equal(find_node(&g, "Add_s")->input[1], find_index(&g, "Conv_c"));
  unload(&g);
}

/* A gate on either branch, with a projection of fewer convolutions: a gate's own
 * convolutions do not count. */
static void gates_on_both_branches(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_conv(&n, "c", "q", "4,4,1,1", "");
  add_squeeze(&n, "q");
  add(&n, "Mul", "q,q_e", "shortcut", "");
  add_conv(&n, "c", "a", "4,4,3,3", "pads=1,1,1,1");
  add_conv(&n, "a", "b", "4,4,3,3", "pads=1,1,1,1");
  add(&n, "GlobalAveragePool", "b", "mean", "");
  add(&n, "Sigmoid", "mean", "gate", "");
  add(&n, "Mul", "gate,b", "residual", "");
  add(&n, "Add", "shortcut,residual", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  assert_int_equal(g.block_count, 1);
  check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_PROJECTION, "Conv_c", "Add_t");
  assert_int_equal(find_node(&g, "Add_t")->input[0], find_index(&g, "Mul_residual"));
  for (uint32_t i = find_index(&g, "Conv_q"); i <= find_index(&g, "Add_t"); i++)
    assert_int_equal(g.nodes[i].block, 0);
  unload(&g);
}

/* Two products in two branches of one addition read one gate, whose nodes can only have
 * one place. */
static void shared_gates_make_no_block(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_squeeze(&n, "c");
  add(&n, "Mul", "c,c_e", "m1", "");
  add(&n, "Mul", "c,c_e", "m2", "");
  add_conv(&n, "m1", "a", "4,4,3,3", "pads=1,1,1,1");
  add_conv(&n, "a", "b", "4,4,3,3", "pads=1,1,1,1");
  add_conv(&n, "m2", "q", "4,4,1,1", "");
  add(&n, "Add", "b,q", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  assert_int_equal(g.node_count, 12);
  assert_int_equal(g.block_count, 0);
  unload(&g);
}

/* A block within a gate is a block of its own. */
static void blocks_within_gates_are_separate(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_conv(&n, "c", "a", "4,4,3,3", "pads=1,1,1,1");
  add_squeeze(&n, "a");
  add(&n, "Add", "a_e,a_m", "inner", "");
  add(&n, "Sigmoid", "a_e", "gate", "");
  add(&n, "Mul", "a,gate", "m", "");
  add(&n, "Add", "c,m", "s", "");
  add(&n, "GlobalAveragePool", "s", "p", "");
  add(&n, "Add", "p,inner", "y", "");
  load_good(&n, &g);
  check_invariants(&g);
  assert_int_equal(g.node_count, 11);
  check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_IDENTITY, "GlobalAveragePool_a_m",
              "Add_inner");
  unload(&g);
}

/* A gate that is computed from something else than its feature map does not hide where
 * the branches part. */
static void foreign_gates_make_no_block(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_squeeze(&n, "c");
  add_conv(&n, "c", "a", "4,4,3,3", "pads=1,1,1,1");
  add(&n, "Mul", "a,c_e", "m", "");
  add(&n, "Add", "m,c", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  assert_int_equal(g.block_count, 0);
  unload(&g);
}

static void shortcuts_by_pools(void **state) {
  (void)state;
  static const char *const pools[] = {"AveragePool", "MaxPool"};
  for (size_t i = 0; i < 2; i++) {
    network n = {0};
    graph g;
    begin_network(&n);
    add_conv(&n, "c", "a", "4,4,3,3", "pads=1,1,1,1 strides=2,2");
    add(&n, pools[i], "c", "q", "kernel_shape=2,2 strides=2,2");
    add(&n, "Add", "q,a", "t", "");
    end_network(&n);
    load_good(&n, &g);
    check_invariants(&g);
    assert_int_equal(g.block_count, 1);
    check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_POOL, "Conv_c", "Add_t");
    assert_int_equal(find_node(&g, "Add_t")->input[0], find_index(&g, "Conv_a"));
    unload(&g);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sigmoid_gates_are_one_product),
      cmocka_unit_test(sigmoids_with_other_readers_stay),
      cmocka_unit_test(hard_sigmoids_fuse_with_their_convolution),
      cmocka_unit_test(clamps_separate_affine_functions),
      cmocka_unit_test(impossible_hard_sigmoids_are_refused),
      cmocka_unit_test(expanded_gates_are_gates),
      cmocka_unit_test(sizes_are_chosen),
      cmocka_unit_test(other_expansions_are_refused),
      cmocka_unit_test(expanded_gates_are_only_multiplied),
      cmocka_unit_test(frozen_expansions_follow_the_input),
      cmocka_unit_test(gates_channels_last),
      cmocka_unit_test(gates_on_other_axes_are_refused),
      cmocka_unit_test(pixels_multiply_pixels),
      cmocka_unit_test(channel_convolutions),
      cmocka_unit_test(other_channel_convolutions_are_refused),
      cmocka_unit_test(gated_blocks),
      cmocka_unit_test(gates_on_both_branches),
      cmocka_unit_test(shared_gates_make_no_block),
      cmocka_unit_test(blocks_within_gates_are_separate),
      cmocka_unit_test(foreign_gates_make_no_block),
      cmocka_unit_test(shortcuts_by_pools),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
