/* Pad: borders that become a window's padding, borders that are materialized, their other
 * readers, every refusal. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "loader_network.h"

/* Begin a network with "z": c, (n,4,8,8), padded by attributes as before opset 11. */
static void begin_padded(network *n, const char *attributes) {
  n->opset = 9;
  begin_network(n);
  add(n, "Relu", "c", "r", "");
  add(n, "Pad", "r", "z", attributes);
}

static void add_reader(network *n, const char *reader, const char *input, const char *attributes) {
  char inputs[64];
  bool conv = strcmp(reader, "Conv") == 0;
  if (conv) add_random(n, "v", "4,4,3,3", 2);
  (void)snprintf(inputs, sizeof inputs, conv ? "%s,v" : "%s", input);
  add(n, reader, inputs, "t", attributes);
  end_network(n);
}

static const graph_node *check_node(const graph *g, const char *name, graph_op op) {
  const graph_node *n = find_node(g, name);
  assert_int_equal(n->op, op);
  return n;
}

/* Check the padding, top, left, bottom and right, and that the window is otherwise
 * unchanged. */
static void check_borders(const graph_node *n, uint32_t top, uint32_t left, uint32_t bottom,
                          uint32_t right) {
  const graph_window expected = {
      .pad_top = top, .pad_left = left, .pad_bottom = bottom, .pad_right = right};
  assert_int_equal(n->op, GRAPH_PAD);
  assert_memory_equal(&n->window, &expected, sizeof expected);
}

/* ---- borders of zeros -------------------------------------------------------------- */

/* Check that a Pad before `reader` gives the same graph as `reader` with these
 * attributes, without the Pad. */
static void check_taken(const char *pad, const char *reader, const char *attributes,
                        const char *taken) {
  network n = {0}, plain = {.opset = 9};
  begin_padded(&n, pad);
  add_reader(&n, reader, "z", attributes);
  begin_network(&plain);
  add(&plain, "Relu", "c", "r", "");
  add_reader(&plain, reader, "r", taken);
  same_graphs(&n, &plain);
}

static void zeros_become_window_padding(void **state) {
  (void)state;
  check_taken("pads=0,0,1,2,0,0,2,1", "Conv", "", "pads=1,2,2,1");
  check_taken("pads=0,0,1,1,0,0,1,1", "Conv", "pads=1,0,0,1 strides=2,2",
              "pads=2,1,1,2 strides=2,2");
  check_taken("pads=0,0,1,1,0,0,1,1 mode=constant value=0.0", "Conv", "auto_pad=VALID",
              "pads=1,1,1,1");
  check_taken("pads=0,0,1,1,0,0,1,1 value=-0.0", "Conv", "auto_pad=SAME_UPPER", "pads=2,2,2,2");
  check_taken("pads=0,0,1,1,0,0,1,1", "MaxPool", "kernel_shape=3,3 strides=2,2",
              "kernel_shape=3,3 strides=2,2 pads=1,1,1,1");
  check_taken("pads=0,0,0,0,0,0,0,0", "AveragePool", "kernel_shape=3,3", "kernel_shape=3,3");
  check_taken("pads=0,0,0,0,0,0,0,0 mode=reflect", "MaxPool", "kernel_shape=3,3",
              "kernel_shape=3,3");
  check_taken("pads=0,0,0,0,0,0,0,0 value=7.0", "Conv", "pads=3,3,3,3", "pads=3,3,3,3");
  check_taken("pads=0,0,0,0,0,0,0,0 value=-1e39", "Conv", "pads=3,3,3,3", "pads=3,3,3,3");
}

/* Windows of a ResNet's stem: Keras pads by 3, then convolves 7x7 with stride 2. */
static void stem_of_keras(void **state) {
  (void)state;
  network n = {.opset = 9, .input = "N,3,32,32"}, plain = {.opset = 9, .input = "N,3,32,32"};
  network *both[2] = {&n, &plain};
  add(&n, "Pad", "x", "z", "pads=0,0,3,3,0,0,3,3");
  for (size_t i = 0; i < 2; i++) add_random(both[i], "w", "4,3,7,7", 1);
  add(&n, "Conv", "z,w", "t", "strides=2,2");
  add(&plain, "Conv", "x,w", "t", "strides=2,2 pads=3,3,3,3");
  end_network(&n);
  end_network(&plain);
  same_graphs(&n, &plain);
}

/* Borders are materialized if a Conv cannot skip them, or if something else reads
 * them. */
static void zeros_are_materialized(void **state) {
  (void)state;
  static const struct {
    const char *reader, *attributes;
  } readers[] = {{"Relu", ""},
                 {"Sigmoid", ""},
                 {"AveragePool", "kernel_shape=3,3"},
                 {"GlobalAveragePool", ""},
                 {"GlobalMaxPool", ""},
                 {"MaxPool", "kernel_shape=3,3 strides=2,2 ceil_mode=1"}};
  for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
    network n = {0};
    graph g;
    begin_padded(&n, "pads=0,0,1,2,0,0,3,4");
    n.opset = 10;
    add_reader(&n, readers[i].reader, "z", readers[i].attributes);
    load_good(&n, &g);
    check_invariants(&g);
    const graph_node *pad = find_node(&g, "Pad_z");
    check_borders(pad, 1, 2, 3, 4);
    assert_int_equal(pad->pad_mode, GRAPH_PAD_CONSTANT);
    assert_float_equal(pad->scalar, 0, 0);
    assert_memory_equal(&pad->shape, (&(graph_shape){12, 14, 4}), sizeof(graph_shape));
    assert_string_equal(pad->output, "z");
    assert_int_equal(pad->input[0], find_index(&g, "Conv_c"));
    unload(&g);
  }
}

/* Padding of a Conv that is wider than its kernel reaches is materialized as a whole,
 * together with the Pad before it. If both are too wide only together, the Pad is
 * materialized. */
static void padding_wider_than_the_kernel(void **state) {
  (void)state;
  static const struct {
    const char *before, *attributes, *output;
    graph_window borders, window;
  } cases[] = {
      {"pads=0,0,0,0,0,0,0,0",
       "pads=3,0,1,2",
       "",
       {.pad_top = 3, .pad_bottom = 1, .pad_right = 2},
       {3, 3, 1, 1, 1, 1, 0, 0, 0, 0}},
      {"pads=0,0,0,0,0,0,1,0",
       "pads=3,0,0,2",
       "",
       {.pad_top = 3, .pad_bottom = 1, .pad_right = 2},
       {3, 3, 1, 1, 1, 1, 0, 0, 0, 0}},
      {"pads=0,0,1,0,0,0,0,0",
       "pads=2,0,1,2 auto_pad=NOTSET",
       "z",
       {.pad_top = 1},
       {3, 3, 1, 1, 1, 1, 2, 0, 1, 2}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network n = {0};
    graph g;
    begin_padded(&n, cases[i].before);
    add_reader(&n, "Conv", "z", cases[i].attributes);
    load_good(&n, &g);
    check_invariants(&g);
    assert_int_equal(g.node_count, 5);
    assert_int_equal(g.nodes[2].op, GRAPH_PAD);
    assert_memory_equal(&g.nodes[2].window, &cases[i].borders, sizeof(graph_window));
    /* the whole is no tensor of the file */
    assert_string_equal(g.nodes[2].output, cases[i].output);
    const graph_node *conv = &g.nodes[3];
    assert_memory_equal(&conv->window, &cases[i].window, sizeof(graph_window));
    assert_memory_equal(&conv->shape, (&(graph_shape){10, 8, 4}), sizeof(graph_shape));
    unload(&g);
  }
  network same = {0};
  graph g;
  /* SAME is computed from the materialized size: 14 rows */
  begin_padded(&same, "pads=0,0,3,3,0,0,3,3");
  add_reader(&same, "Conv", "z", "auto_pad=SAME_UPPER strides=2,2");
  load_good(&same, &g);
  check_borders(&g.nodes[2], 3, 3, 3, 3);
  assert_memory_equal(&g.nodes[3].window, (&(graph_window){3, 3, 2, 2, 1, 1, 0, 0, 1, 1}),
                      sizeof(graph_window));
  unload(&g);
}

/* Zeros may be the maximum of a window of negative numbers. */
static void pools_of_negative_numbers_see_zeros(void **state) {
  (void)state;
  static const struct {
    const char *operator_type, *attributes;
    bool negative;
  } cases[] = {{"Relu", "", false},        {"Sigmoid", "", false},
               {"HardSigmoid", "", false}, {"Clip", "min=0.0 max=6.0", false},
               {"Clip", "min=0.5", false}, {"Clip", "min=-0.5", true},
               {"Clip", "max=6.0", true},  {"Identity", "", true}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int pooled = 0; pooled < 2; pooled++) {
      network n = {.opset = 9};
      graph g;
      begin_network(&n);
      add(&n, cases[i].operator_type, "c", "r", cases[i].attributes);
      if (pooled) add(&n, "AveragePool", "r", "a", "kernel_shape=2,2 pads=1,0,0,1");
      add(&n, "Pad", pooled ? "a" : "r", "z", "pads=0,0,1,1,0,0,1,1");
      add(&n, "MaxPool", "z", "t", "kernel_shape=3,3");
      end_network(&n);
      load_good(&n, &g);
      check_invariants(&g);
      const graph_node *pool = check_node(&g, "MaxPool_t", GRAPH_MAX_POOL);
      assert_int_equal(g.nodes[pool->input[0]].op == GRAPH_PAD, cases[i].negative);
      assert_int_equal(pool->window.pad_top, cases[i].negative ? 0 : 1);
      assert_int_equal(pool->shape.h, 8);
      unload(&g);
    }
}

/* Pad of Pad adds up, also through views that change nothing. */
static void borders_add_up(void **state) {
  (void)state;
  network n = {.opset = 9}, plain = {.opset = 9};
  begin_network(&n);
  add(&n, "Pad", "c", "z1", "pads=0,0,1,0,0,0,0,0");
  add(&n, "Identity", "z1", "i", "");
  add(&n, "Pad", "i", "z2", "pads=0,0,0,1,0,0,1,1");
  add(&n, "Dropout", "z2", "d", "ratio=0.5");
  add_reader(&n, "Conv", "d", "");
  begin_network(&plain);
  add_reader(&plain, "Conv", "c", "pads=1,1,1,1");
  same_graphs(&n, &plain);
}

/* Two readers: the Conv pads by itself, the other reads materialized borders. */
static void readers_of_borders_do_not_disturb_each_other(void **state) {
  (void)state;
  for (int conv_first = 0; conv_first < 2; conv_first++) {
    network n = {.opset = 9};
    graph g;
    begin_network(&n);
    add(&n, "Pad", "c", "z", "pads=0,0,1,1,0,0,1,1");
    add_random(&n, "v", "4,4,3,3", 2);
    if (conv_first) add(&n, "Conv", "z,v", "a", "");
    add(&n, "AveragePool", "z", "b", "kernel_shape=3,3");
    if (!conv_first) add(&n, "Conv", "z,v", "a", "");
    add(&n, "Add", "a,b", "t", "");
    end_network(&n);
    load_good(&n, &g);
    check_invariants(&g);
    assert_int_equal(find_node(&g, "Conv_a")->window.pad_top, conv_first ? 1 : 0);
    assert_int_equal(find_node(&g, "Conv_a")->shape.h, 8);
    assert_int_equal(find_node(&g, "AveragePool_b")->shape.h, 8);
    check_borders(find_node(&g, "Pad_z"), 1, 1, 1, 1);
    unload(&g);
  }
}

/* Shape includes the borders, and so does what is computed from it. */
static void shape_of_a_padded_feature_map(void **state) {
  (void)state;
  network n = {.opset = 9};
  graph g;
  begin_network(&n);
  add(&n, "Pad", "c", "z", "pads=0,0,1,2,0,0,3,4");
  add(&n, "Shape", "z", "shape", "");
  add_integers(&n, "rows", "1", (const int64_t[]){2});
  add(&n, "Gather", "shape,rows", "h", "axis=0");
  add(&n, "Cast", "h", "factor", "to=1");
  add_random(&n, "v", "4,4,3,3", 2);
  add(&n, "Conv", "z,v", "a", "");
  add(&n, "Mul", "a,factor", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  assert_float_equal(find_node(&g, "Conv_a")->weights[0], 12 * random_float(2, 0), 1e-6);
  assert_memory_equal(&find_node(&g, "Conv_a")->shape, (&(graph_shape){10, 12, 4}),
                      sizeof(graph_shape));
  unload(&g);
}

/* Deferred padding is materialised before the output is flattened. */
static void padded_outputs_are_flattened(void **state) {
  (void)state;
  network n = {.opset = 9};
  graph g;
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "z", "");
  add(&n, "Pad", "z", "y", "pads=0,0,1,1,0,0,1,1");
  load_good(&n, &g);
  assert_int_equal(find_scores(&g)->op, GRAPH_FLATTEN);
  assert_int_equal(find_scores(&g)->shape.c, 4 * 3 * 3);
  assert_int_equal(g.nodes[find_scores(&g)->input[0]].op, GRAPH_PAD);
  unload(&g);
}

/* ---- the lowest number ------------------------------------------------------------- */

static void lowest_numbers_fuse_with_max_pools(void **state) {
  (void)state;
  /* -FLT_MAX and -infinity */
  static const char *const lowest[] = {"-3.4028235e38", "-1e39"};
  for (size_t i = 0; i < 2; i++) {
    network n = {.opset = 9}, plain = {.opset = 9};
    char pad[64];
    (void)snprintf(pad, sizeof pad, "pads=0,0,1,1,0,0,1,1 value=%s", lowest[i]);
    begin_network(&n);
    add(&n, "Pad", "c", "z", pad);
    add_reader(&n, "MaxPool", "z", "kernel_shape=3,3 strides=2,2");
    begin_network(&plain);
    add_reader(&plain, "MaxPool", "c", "kernel_shape=3,3 strides=2,2 pads=1,1,1,1");
    same_graphs(&n, &plain);
  }
  network near = {.opset = 9}; /* a constant like any other */
  graph g;
  begin_network(&near);
  add(&near, "Pad", "c", "z", "pads=0,0,1,1,0,0,1,1 value=-3.402e38");
  add_reader(&near, "MaxPool", "z", "kernel_shape=3,3");
  load_good(&near, &g);
  check_borders(find_node(&g, "Pad_z"), 1, 1, 1, 1);
  assert_float_equal(find_node(&g, "Pad_z")->scalar, -3.402e38F, 0);
  unload(&g);
}

static void refuse_lowest(const char *reader, const char *attributes, const char *what) {
  network n = {.opset = 10};
  begin_network(&n);
  add(&n, "Pad", "c", "z", "pads=0,0,1,1,0,0,1,1 value=-1e39");
  add_reader(&n, reader, "z", attributes);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, what);
}

static void lowest_numbers_fuse_with_nothing_else(void **state) {
  (void)state;
  refuse_lowest("Conv", "",
                "Conv_t|padding of node 'Pad_z' with the lowest number: only a MaxPool may");
  refuse_lowest("AveragePool", "kernel_shape=3,3", "AveragePool_t|only a MaxPool may");
  refuse_lowest("Relu", "", "Relu_t|only a MaxPool may");
  refuse_lowest("MaxPool", "kernel_shape=1,1", "MaxPool_t|node 'Pad_z'|not less than the kernel");
  network both = {.opset = 9};
  begin_network(&both);
  add(&both, "Pad", "c", "z", "pads=0,0,1,1,0,0,1,1 value=-1e39");
  add(&both, "Pad", "z", "q", "pads=0,0,1,1,0,0,1,1");
  add_reader(&both, "MaxPool", "q", "kernel_shape=5,5");
  refuse_network(&both, RESNET_ERROR_UNSUPPORTED, "Pad_q|padding of node 'Pad_z'");
}

/* ---- other borders ----------------------------------------------------------------- */

static void check_materialized(const char *attributes, graph_pad_mode mode, float number) {
  static const char *const readers[] = {"Conv", "MaxPool"};
  for (size_t i = 0; i < 2; i++) {
    network n = {0};
    graph g;
    begin_padded(&n, attributes);
    add_reader(&n, readers[i], "z", i == 0 ? "" : "kernel_shape=3,3");
    load_good(&n, &g);
    check_invariants(&g);
    const graph_node *pad = find_node(&g, "Pad_z");
    check_borders(pad, 1, 2, 3, 4);
    assert_int_equal(pad->pad_mode, mode);
    assert_float_equal(pad->scalar, number, 0);
    assert_memory_equal(&pad->shape, (&(graph_shape){12, 14, 4}), sizeof(graph_shape));
    assert_int_equal(g.nodes[3].window.pad_top, 0);
    assert_memory_equal(&g.nodes[3].shape, (&(graph_shape){10, 12, 4}), sizeof(graph_shape));
    unload(&g);
  }
}

static void borders_of_other_kinds_are_materialized(void **state) {
  (void)state;
  check_materialized("pads=0,0,1,2,0,0,3,4 value=1.5", GRAPH_PAD_CONSTANT, 1.5F);
  check_materialized("pads=0,0,1,2,0,0,3,4 value=-1.5", GRAPH_PAD_CONSTANT, -1.5F);
  check_materialized("pads=0,0,1,2,0,0,3,4 mode=reflect", GRAPH_PAD_REFLECT, 0);
  /* ignored in this mode */
  check_materialized("pads=0,0,1,2,0,0,3,4 mode=reflect value=3.5", GRAPH_PAD_REFLECT, 0);
  check_materialized("pads=0,0,1,2,0,0,3,4 mode=edge", GRAPH_PAD_EDGE, 0);
}

/* Deferred padding is materialized before other borders are added around it. */
static void borders_around_borders(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_padded(&n, "pads=0,0,1,1,0,0,1,1");
  add(&n, "Pad", "z", "q", "pads=0,0,9,9,0,0,9,9 mode=reflect");
  add_reader(&n, "Conv", "q", "");
  load_good(&n, &g);
  check_invariants(&g);
  check_borders(find_node(&g, "Pad_z"), 1, 1, 1, 1);
  /* less than 10, the padded height */
  check_borders(find_node(&g, "Pad_q"), 9, 9, 9, 9);
  assert_int_equal(find_node(&g, "Pad_q")->shape.h, 28);
  unload(&g);
}

static void refuse_pad(const char *attributes, resnet_status status, const char *what) {
  network n = {0};
  begin_padded(&n, attributes);
  add_reader(&n, "Conv", "z", "");
  refuse_network(&n, status, what);
}

static void impossible_borders_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_pad("pads=0,0,8,0,0,0,0,0 mode=reflect", form,
             "Pad_z|reflects a padding of 8,0,0,0 in an image of 8x8: less");
  refuse_pad("pads=0,0,0,0,0,0,0,8 mode=reflect", form, "reflects a padding of 0,0,0,8");
  refuse_pad("pads=0,0,65535,0,0,0,0,0 mode=edge", not_yet, "Pad_z|larger than 65535");
  refuse_pad("pads=0,0,65535,0,0,0,0,0", not_yet, "Conv_t|larger than 65535");
  refuse_pad("pads=0,0,65536,0,0,0,0,0", not_yet, "pads by 65536: 0 to 65535 is accepted");
  refuse_pad("pads=0,0,1,1", form, "has 4 pads for 4 axes");
  refuse_pad("", form, "has 0 pads for 4 axes");
  refuse_pad("pads=0,1,1,1,0,0,1,1 mode=edge", not_yet, "pads channels|only zeros");
  refuse_pad("pads=0,1,1,1,0,0,1,1 value=2.0", not_yet, "pads channels|only zeros");
  refuse_pad("pads=0,0,1,1,0,0,1,1 mode=mirror", form,
             "mode is 'mirror': accepted values: constant, reflect, ...");
  refuse_pad("paddings=0,0,1,1,0,0,1,1", not_yet,
             "'paddings' (8 numbers) is not accepted at this opset; accepted: mode pads value");
  network flat = {.opset = 9};
  begin_network(&flat);
  add(&flat, "Flatten", "c", "f", "");
  add(&flat, "Pad", "f", "y", "pads=0,1,0,1");
  refuse_network(&flat, not_yet, "Pad_y|input 'f' has rank 2 or was reshaped");
}

/* ---- channels ---------------------------------------------------------------------- */

static void channels_and_borders_at_once(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_padded(&n, "pads=0,1,1,1,0,3,1,1");
  add_random(&n, "v", "4,8,3,3", 2);
  add(&n, "Conv", "z,v", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  const graph_node *channels = check_node(&g, "Pad_z", GRAPH_SUBSAMPLE);
  assert_int_equal(channels->channels_before, 1);
  assert_memory_equal(&channels->shape, (&(graph_shape){8, 8, 8}), sizeof(graph_shape));
  assert_int_equal(find_node(&g, "Conv_t")->window.pad_right, 1);
  unload(&g);
}

/* ---- channels last ----------------------------------------------------------------- */

/* Deferred padding passes a Transpose: tf2onnx writes ZeroPadding2D before a convolution
 * this way. */
static void deferred_padding_passes_a_transpose(void **state) {
  (void)state;
  network n = {.opset = 9, .input = "N,8,9,3"}, plain = {.opset = 9, .input = "N,3,8,9"};
  network *both[2] = {&n, &plain};
  for (size_t i = 0; i < 2; i++) add_random(both[i], "w", "4,3,3,3", 1);
  add(&n, "Pad", "x", "z", "pads=0,1,2,0,0,2,1,0");
  add(&n, "Transpose", "z", "first", "perm=0,3,1,2");
  add(&n, "Transpose", "first", "last", "perm=0,2,3,1");
  add(&n, "Pad", "last", "q", "pads=0,1,0,0,0,0,0,0");
  add(&n, "Transpose", "q", "again", "perm=0,3,1,2");
  add(&n, "Conv", "again,w", "t", "");
  add(&plain, "Conv", "x,w", "t", "pads=2,2,2,1");
  end_network(&n);
  end_network(&plain);
  same_graphs(&n, &plain);
}

static void borders_channels_last(void **state) {
  (void)state;
  static const char *const pads[] = {"pads=0,1,2,0,0,3,4,0 mode=edge",
                                     "pads=0,1,2,0,0,3,4,0 mode=reflect",
                                     "pads=0,1,2,0,0,3,4,0 value=1.0"};
  static const graph_pad_mode modes[] = {GRAPH_PAD_EDGE, GRAPH_PAD_REFLECT, GRAPH_PAD_CONSTANT};
  for (size_t i = 0; i < 3; i++) {
    network n = {.opset = 9, .input = "N,8,9,3"};
    graph g;
    add_random(&n, "w", "4,3,3,3", 1);
    add(&n, "Pad", "x", "z", pads[i]);
    add(&n, "Transpose", "z", "first", "perm=0,3,1,2");
    add(&n, "Conv", "first,w", "t", "");
    end_network(&n);
    load_good(&n, &g);
    check_invariants(&g);
    check_borders(find_node(&g, "Pad_z"), 1, 2, 3, 4);
    assert_int_equal(find_node(&g, "Pad_z")->pad_mode, modes[i]);
    assert_memory_equal(&find_node(&g, "Pad_z")->shape, (&(graph_shape){12, 15, 3}),
                        sizeof(graph_shape));
    unload(&g);
  }
  network channels = {.opset = 9, .input = "N,8,9,3"};
  graph g;
  add_random(&channels, "w", "4,8,3,3", 1);
  add(&channels, "Pad", "x", "z", "pads=0,1,1,2,0,1,1,3");
  add(&channels, "Transpose", "z", "first", "perm=0,3,1,2");
  add(&channels, "Conv", "first,w", "t", "");
  end_network(&channels);
  load_good(&channels, &g);
  assert_int_equal(find_node(&g, "Pad_z")->channels_before, 2);
  assert_int_equal(find_node(&g, "Pad_z")->shape.c, 8);
  assert_int_equal(find_node(&g, "Conv_t")->window.pad_left, 1);
  unload(&g);
}

/* A padded row or pixel has height and width, so their order matters. */
static void transposing_a_padded_pixel(void **state) {
  (void)state;
  static const char *const permutations[] = {"perm=0,1,3,2", "perm=0,3,2,1"};
  for (size_t i = 0; i < 2; i++) {
    network swapped = {.opset = 9};
    begin_network(&swapped);
    add(&swapped, "GlobalAveragePool", "c", "m", "");
    add(&swapped, "Pad", "m", "z", "pads=0,0,1,0,0,0,2,3");
    add(&swapped, "Transpose", "z", "s", permutations[i]);
    add(&swapped, "GlobalAveragePool", "s", "y", "");
    refuse_network(&swapped, RESNET_ERROR_UNSUPPORTED, "Transpose_s|changes the order of the axes");
  }
  /* viewed as (n,1,1,c), then as (n,c,1,1): its order still does not matter */
  network n = {.opset = 9};
  graph g;
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "m", "");
  add(&n, "Transpose", "m", "last", "perm=0,2,3,1");
  add_integers(&n, "planar", "4", (const int64_t[]){-1, 4, 1, 1});
  add(&n, "Reshape", "last,planar", "first", "");
  add(&n, "Pad", "first", "z", "pads=0,0,1,1,0,0,2,2"); /* (n,4,4,4) */
  add(&n, "Relu", "z", "r", "");
  add(&n, "Flatten", "r", "f", "");
  add_random(&n, "v", "64,2", 5);
  add(&n, "MatMul", "f,v", "y", "");
  load_good(&n, &g);
  check_invariants(&g);
  for (size_t o = 0; o < 2; o++)
    for (size_t k = 0; k < 16; k++)
      for (size_t c = 0; c < 4; c++)
        assert_float_equal(find_scores(&g)->weights[(o * 16 + k) * 4 + c],
                           random_float(5, (c * 16 + k) * 2 + o), 0);
  unload(&g);
}

/* One channel of one pixel: all axes but the batch have one element, and Pad shows which
 * are height and width. */
static void padding_a_single_number(void **state) {
  (void)state;
  network n = {.opset = 9, .input = "N,1,8,8"};
  graph g;
  add(&n, "GlobalAveragePool", "x", "m", "");
  add(&n, "Pad", "m", "z", "pads=0,0,1,1,0,0,1,2"); /* (n,1,3,4) */
  add(&n, "Transpose", "z", "last", "perm=0,2,3,1");
  add_random(&n, "v", "12,2", 5);
  add(&n, "Flatten", "last", "f", "");
  add(&n, "MatMul", "f,v", "y", "");
  load_good(&n, &g);
  check_invariants(&g);
  check_borders(find_node(&g, "Pad_z"), 1, 1, 1, 2);
  for (size_t k = 0; k < 12; k++)
    assert_float_equal(find_scores(&g)->weights[k], random_float(5, k * 2), 0);
  unload(&g);
}

/* ---- by opset ---------------------------------------------------------------------- */

static void finish_padded(network *n) {
  add_random(n, "v", "4,4,3,3", 2);
  add(n, "Conv", "z,v", "t", "");
  end_network(n);
}

static void pads_by_opset(void **state) {
  (void)state;
  static const int64_t pads[8] = {0, 0, 1, 2, 0, 0, 2, 1}, some[4] = {1, 2, 2, 1},
                       axes[2] = {2, -1}, number = 0;
  static const float zero = 0;
  network networks[] = {{.opset = 1, .ir = 3}, {.opset = 2, .ir = 3}, {.opset = 11},
                        {.opset = 18},         {.opset = 13},         {.opset = 24}};
  for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
    network *n = &networks[i], plain = {.opset = n->opset, .ir = n->ir};
    begin_network(n);
    add_integers(n, "pads", i == 3 || i == 5 ? "4" : "8", i == 3 || i == 5 ? some : pads);
    add_integers(n, "axes", "2", axes);
    add_integers(n, "number", "", &number);
    add_floats(n, "zero", "1", &zero);
    if (i == 0) add(n, "Pad", "c", "z", "paddings=0,0,1,2,0,0,2,1 mode=constant value=0.0");
    if (i == 1) add(n, "Pad", "c", "z", "pads=0,0,1,2,0,0,2,1");
    if (i == 2) add(n, "Pad", "c,pads", "z", "mode=constant");
    if (i == 3) add(n, "Pad", "c,pads,zero,axes", "z", "");
    if (i == 4) add(n, "Pad", "c,pads,number", "z", "");
    if (i == 5) add(n, "Pad", "c,pads,,axes", "z", "");
    finish_padded(n);
    begin_network(&plain);
    add_random(&plain, "v", "4,4,3,3", 2);
    add(&plain, "Conv", "c,v", "t", "pads=1,2,2,1");
    end_network(&plain);
    same_graphs(n, &plain);
  }
}

static void refuse_inputs(const char *inputs, resnet_status status, const char *what) {
  network n = {.opset = 18};
  begin_network(&n);
  add_integers(&n, "pads", "8", (const int64_t[]){0, 0, 1, 1, 0, 0, 1, 1});
  add_integers(&n, "four", "4", (const int64_t[]){1, 1, 1, 1});
  add_integers(&n, "axes", "2", (const int64_t[]){2, 4});
  add_integers(&n, "twice", "2", (const int64_t[]){2, -2});
  add_floats(&n, "two", "2", (const float[]){1, 2});
  add_floats(&n, "nan", "", (const float[]){NAN});
  add(&n, "Pad", inputs, "z", "");
  finish_padded(&n);
  refuse_network(&n, status, what);
}

static void impossible_inputs_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_inputs("c,pads,two", form, "constant_value has 2 numbers");
  refuse_inputs("c,pads,nan", not_yet, "pads with nan");
  refuse_inputs("c,two", form, "Pad_z|pads must be a list of integers");
  refuse_inputs("c,four", form, "has 4 pads for 4 axes");
  refuse_inputs("c,four,,axes", form, "axis 4 is out of range");
  refuse_inputs("c,four,,twice", form, "axis 2 is named twice");
  refuse_inputs("c,pads,,axes", form, "has 8 pads for 2 axes");
  refuse_inputs("c,c", not_yet, "its pads ('c') are computed from the image");
  refuse_inputs("c", form, "has 1 input: 2 to 4 are accepted");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zeros_become_window_padding),
      cmocka_unit_test(stem_of_keras),
      cmocka_unit_test(zeros_are_materialized),
      cmocka_unit_test(padding_wider_than_the_kernel),
      cmocka_unit_test(pools_of_negative_numbers_see_zeros),
      cmocka_unit_test(borders_add_up),
      cmocka_unit_test(readers_of_borders_do_not_disturb_each_other),
      cmocka_unit_test(shape_of_a_padded_feature_map),
      cmocka_unit_test(padded_outputs_are_flattened),
      cmocka_unit_test(lowest_numbers_fuse_with_max_pools),
      cmocka_unit_test(lowest_numbers_fuse_with_nothing_else),
      cmocka_unit_test(borders_of_other_kinds_are_materialized),
      cmocka_unit_test(borders_around_borders),
      cmocka_unit_test(impossible_borders_are_refused),
      cmocka_unit_test(channels_and_borders_at_once),
      cmocka_unit_test(deferred_padding_passes_a_transpose),
      cmocka_unit_test(borders_channels_last),
      cmocka_unit_test(transposing_a_padded_pixel),
      cmocka_unit_test(padding_a_single_number),
      cmocka_unit_test(pads_by_opset),
      cmocka_unit_test(impossible_inputs_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
