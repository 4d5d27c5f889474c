/* The graph after the fusion pass: blocks and their shortcuts, order and names, folding
 * of shapes, errors of the graph itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader_network.h"

static void begin(network *n) { add_conv(n, "x", "c", "4,3,3,3", "pads=1,1,1,1"); }

/* ---- blocks ------------------------------------------------------------------------ */

static void identity_shortcut(void **state) {
  (void)state;
  for (int swapped = 0; swapped < 2; swapped++) {
    network n = {0};
    graph g;
    begin(&n);
    add(&n, "Relu", "c", "r", "");
    add_conv(&n, "r", "a", "4,4,3,3", "pads=1,1,1,1");
    add(&n, "Relu", "a", "ar", "");
    add_conv(&n, "ar", "b", "4,4,3,3", "pads=1,1,1,1");
    add(&n, "Add", swapped ? "r,b" : "b,r", "s", "");
    add(&n, "Relu", "s", "t", "");
    end_network(&n);
    load_good(&n, &g);
    check_invariants(&g);
    assert_int_equal(g.block_count, 1);
    check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_IDENTITY, "Conv_c", "Add_s");
    const graph_node *sum = find_node(&g, "Add_s");
    assert_int_equal(sum->input[0], find_index(&g, "Conv_b"));
    assert_int_equal(sum->input[1], find_index(&g, "Conv_c"));
    assert_float_equal(sum->clamp_min, 0, 0);
    assert_string_equal(sum->output, "t");
    assert_int_equal(g.nodes[g.output].block, RESNET_NO_INDEX);
    unload(&g);
  }
}

/* ResNet-D has an average pool before the projection; both belong to the shortcut, which
 * comes first. */
static void projection_shortcut(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin(&n);
  add_conv(&n, "c", "a", "6,4,3,3", "pads=1,1,1,1 strides=2,2");
  add(&n, "AveragePool", "c", "v", "kernel_shape=2,2 strides=2,2");
  add_conv(&n, "a", "b", "6,6,3,3", "pads=1,1,1,1");
  add_conv(&n, "v", "q", "6,4,1,1", "");
  add(&n, "Add", "q,b", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  assert_int_equal(g.block_count, 1);
  check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_PROJECTION, "Conv_c", "Add_t");
  assert_int_equal(find_index(&g, "AveragePool_v"), 2);
  assert_int_equal(find_index(&g, "Conv_q"), 3);
  assert_int_equal(find_index(&g, "Conv_a"), 4);
  assert_int_equal(find_node(&g, "Add_t")->input[0], find_index(&g, "Conv_b"));
  assert_int_equal(find_node(&g, "Add_t")->input[1], find_index(&g, "Conv_q"));
  unload(&g);
}

/* Slice of rows and columns in one or two nodes, then Pad of the channels, become one
 * SUBSAMPLE. */
static void option_a_shortcut(void **state) {
  (void)state;
  static const int64_t zero[2] = {0, 0}, huge[2] = {INT64_MAX, INT64_MAX}, axes[2] = {2, 3},
                       steps[2] = {2, 2};
  static const int64_t pads[8] = {0, 1, 0, 0, 0, 3, 0, 0};
  for (int slices = 1; slices <= 2; slices++) {
    network n = {0};
    graph g;
    begin(&n);
    add_integers(&n, "zero", slices == 1 ? "2" : "1", zero);
    add_integers(&n, "huge", slices == 1 ? "2" : "1", huge);
    add_integers(&n, "axes", slices == 1 ? "2" : "1", axes);
    add_integers(&n, "last", "1", &axes[1]);
    add_integers(&n, "steps", slices == 1 ? "2" : "1", steps);
    add_integers(&n, "pads", "8", pads);
    add_conv(&n, "c", "b", "8,4,3,3", "pads=1,1,1,1 strides=2,2");
    add(&n, "Slice", "c,zero,huge,axes,steps", "s", "");
    if (slices == 2) add(&n, "Slice", "s,zero,huge,last,steps", "s2", "");
    add(&n, "Pad", slices == 2 ? "s2,pads" : "s,pads", "q", "");
    add(&n, "Add", "b,q", "t", "");
    end_network(&n);
    load_good(&n, &g);
    check_invariants(&g);
    assert_int_equal(g.node_count, 6);
    check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_OPTION_A, "Conv_c", "Add_t");
    const graph_node *shortcut = find_node(&g, "Slice_s");
    assert_int_equal(shortcut->op, GRAPH_SUBSAMPLE);
    assert_int_equal(shortcut->stride_h, 2);
    assert_int_equal(shortcut->stride_w, 2);
    assert_int_equal(shortcut->channels_before, 1);
    assert_memory_equal(&shortcut->shape, (&(graph_shape){4, 4, 8}), sizeof(graph_shape));
    assert_string_equal(shortcut->output, "q");
    unload(&g);
  }
}

static void refuse_slice(const int64_t numbers[4], resnet_status status, const char *what) {
  static const char *const names[4] = {"start", "stop", "axis", "step"};
  network n = {0};
  begin(&n);
  for (size_t i = 0; i < 4; i++) add_integers(&n, names[i], "1", &numbers[i]);
  add(&n, "Slice", "c,start,stop,axis,step", "t", "");
  end_network(&n);
  refuse_network(&n, status, what);
}

static void other_slices_are_refused(void **state) {
  (void)state;
  refuse_slice((const int64_t[]){1, 8, 2, 2}, RESNET_ERROR_UNSUPPORTED,
               "Slice_t|takes 1 to 8 in steps of 2 of 8");
  refuse_slice((const int64_t[]){0, 7, 2, 1}, RESNET_ERROR_UNSUPPORTED,
               "takes 0 to 7 in steps of 1 of 8");
  refuse_slice((const int64_t[]){0, 2, 1, 1}, RESNET_ERROR_UNSUPPORTED,
               "cuts or reverses the batch or the channels");
  refuse_slice((const int64_t[]){0, 1, 0, 1}, RESNET_ERROR_UNSUPPORTED,
               "cuts or reverses the batch or the channels");
  refuse_slice((const int64_t[]){-1, INT64_MIN, 3, -1}, RESNET_ERROR_UNSUPPORTED, "in steps of -1");
  refuse_slice((const int64_t[]){9, 10, 3, 1}, RESNET_ERROR_FORMAT, "takes no element of axis 3");
  refuse_slice((const int64_t[]){0, 8, 2, 0}, RESNET_ERROR_FORMAT, "step 0");
  refuse_slice((const int64_t[]){0, 8, 4, 1}, RESNET_ERROR_FORMAT, "axis 4 is out of range");
}

/* In ResNetV2 only the block's first convolution reads the first normalisation, and the
 * addition is not clamped. */
static void pre_activation_block(void **state) {
  (void)state;
  static const float ones[4] = {1, 1, 1, 1}, zeros[4] = {0};
  network n = {0};
  graph g;
  begin(&n);
  add_floats(&n, "one", "4", ones);
  add_floats(&n, "zero", "4", zeros);
  add(&n, "BatchNormalization", "c,one,zero,zero,one", "b", "");
  add(&n, "Relu", "b", "r", "");
  add_conv(&n, "r", "a", "4,4,3,3", "pads=1,1,1,1");
  add(&n, "Add", "c,a", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_IDENTITY, "Conv_c", "Add_t");
  assert_int_equal(find_node(&g, "BatchNormalization_b")->op, GRAPH_AFFINE);
  assert_int_equal(find_node(&g, "BatchNormalization_b")->block, 0);
  assert_float_equal(find_node(&g, "BatchNormalization_b")->clamp_min, 0, 0);
  unload(&g);
}

/* A stage ends where the shape of the blocks' outputs changes. */
static void stages_are_counted(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin(&n);
  add_conv(&n, "c", "a1", "4,4,3,3", "pads=1,1,1,1");
  add(&n, "Add", "a1,c", "s1", "");
  add_conv(&n, "s1", "a2", "4,4,3,3", "pads=1,1,1,1");
  add(&n, "Sum", "a2,s1", "s2", "");
  add_conv(&n, "s2", "a3", "8,4,3,3", "pads=1,1,1,1 strides=2,2");
  add_conv(&n, "a3", "b3", "8,8,3,3", "pads=1,1,1,1");
  add_conv(&n, "s2", "q3", "8,4,1,1", "strides=2,2");
  add(&n, "Add", "b3,q3", "s3", "");
  add_conv(&n, "s3", "a4", "8,8,3,3", "pads=1,1,1,1");
  add(&n, "Add", "a4,s3", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  assert_int_equal(g.block_count, 4);
  check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_IDENTITY, "Conv_c", "Add_s1");
  check_block(&g, 1, "stage1.block2", RESNET_SHORTCUT_IDENTITY, "Add_s1", "Sum_s2");
  check_block(&g, 2, "stage2.block1", RESNET_SHORTCUT_PROJECTION, "Sum_s2", "Add_s3");
  check_block(&g, 3, "stage2.block2", RESNET_SHORTCUT_IDENTITY, "Add_s3", "Add_t");
  unload(&g);
}

static void plain_networks_have_pairs(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin(&n);
  add_conv(&n, "c", "a", "4,4,3,3", "pads=1,1,1,1");
  add(&n, "Relu", "a", "ar", "");
  add_conv(&n, "ar", "b", "4,4,3,3", "pads=1,1,1,1");
  add_conv(&n, "b", "d", "8,4,3,3", "pads=1,1,1,1 strides=2,2");
  add_conv(&n, "d", "e", "8,8,3,3", "pads=1,1,1,1");
  add_conv(&n, "e", "t", "9,8,3,3", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  assert_int_equal(g.block_count, 2);
  check_block(&g, 0, "stage1.block1", RESNET_SHORTCUT_NONE, "Conv_c", "Conv_b");
  check_block(&g, 1, "stage2.block1", RESNET_SHORTCUT_NONE, "Conv_b", "Conv_e");
  assert_int_equal(find_node(&g, "Conv_t")->block, RESNET_NO_INDEX);
  unload(&g);
}

/* Additions that are no residual block: x + x, and one whose branches part inside a
 * block. */
static void lone_additions_have_no_block(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin(&n);
  add(&n, "Add", "c,c", "d", "");
  add(&n, "MaxPool", "d", "m", "kernel_shape=3,3 pads=1,1,1,1");
  add(&n, "Add", "m,d", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_invariants(&g);
  assert_int_equal(g.block_count, 0);
  assert_int_equal(find_node(&g, "Add_d")->block, RESNET_NO_INDEX);
  assert_int_equal(find_node(&g, "Add_t")->block, RESNET_NO_INDEX);
  unload(&g);
}

static void nodes_without_readers_are_dropped(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin(&n);
  add_conv(&n, "c", "unused", "4,4,1,1", "");
  /* this reader is unused and must not prevent fusion */
  add(&n, "Relu", "c", "t", "");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(g.node_count, 3);
  assert_float_equal(find_node(&g, "Conv_c")->clamp_min, 0, 0);
  unload(&g);
}

/* ---- folding ----------------------------------------------------------------------- */

/* x.view(x.size(0), -1) as exporters of all ages write it. */
static void batch_size_plumbing_is_folded(void **state) {
  (void)state;
  static const int64_t zero = 0, one = 1, minus = -1;
  for (int variant = 0; variant < 3; variant++) {
    network n = {.opset = variant == 2 ? 15 : 13};
    graph g;
    begin(&n);
    add(&n, "GlobalAveragePool", "c", "p", "");
    add_integers(&n, "zero", variant == 0 ? "" : "1", &zero);
    add_integers(&n, "axis", "1", &zero);
    add_integers(&n, "one", "1", &one);
    add_integers(&n, "minus", "1", &minus);
    add(&n, "Shape", "p", "shape", variant == 2 ? "start=0 end=-3" : "");
    if (variant == 0) add(&n, "Gather", "shape,zero", "scalar", "axis=0");
    if (variant == 0) add(&n, "Unsqueeze", "scalar,axis", "batch", "");
    if (variant == 1) add(&n, "Slice", "shape,zero,one", "batch", "");
    if (variant == 2) add(&n, "Identity", "shape", "batch", "");
    add(&n, "Cast", "batch", "batch64", "to=7");
    add(&n, "Concat", "batch64,minus", "target", "axis=0");
    add(&n, "Reshape", "p,target", "y", "");
    load_good(&n, &g);
    assert_int_equal(g.node_count, 3);
    assert_int_equal(g.nodes[g.output].shape.c, 4);
    unload(&g);
  }
}

static void computing_with_the_batch_size_is_refused(void **state) {
  (void)state;
  static const int64_t numbers[4] = {1, 1, 1, 1};
  network n = {.input = "2,3,8,8"};
  begin(&n);
  add_integers(&n, "k", "4", numbers);
  add(&n, "Shape", "c", "shape", "");
  add(&n, "Mul", "shape,k", "target", "");
  add(&n, "Reshape", "c,target", "t", "");
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, "Mul_target|computes with the batch size");
}

static void the_batch_stays_first(void **state) {
  (void)state;
  static const int64_t reversed[4] = {1, 0, 2, 3};
  network n = {0};
  begin(&n);
  add_integers(&n, "k", "4", reversed);
  add(&n, "Shape", "c", "shape", "");
  add(&n, "Gather", "shape,k", "target", "");
  add(&n, "Reshape", "c,target", "t", "");
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, "Reshape_t|begins with 4, which is not the batch");
}

/* Return the factor of a Mul, which is the end of a chain of folded operators: it shows
 * whether each of them was right. */
static float folded_scale(network *n) {
  graph g;
  add(n, "Mul", "c,k", "t", "");
  add(n, "Relu", "t", "r", "");
  add(n, "GlobalAveragePool", "r", "p", "");
  add(n, "Flatten", "p", "y", "");
  load_good(n, &g);
  float scale = find_node(&g, "Conv_c")->weights[0] / random_float(1, 0);
  unload(&g);
  return scale;
}

static void folded_numbers_are_right(void **state) {
  (void)state;
  static const float numbers[6] = {1, 2, 3, 4, 5, 6}, half = 0.5F;
  static const int64_t start = 2, stop = INT64_MIN, axis = 0, step = -2, pick = 1, seven = 7,
                       two = 2, ten = 10;
  network slices = {0}, integers = {0};
  begin(&slices);
  add_floats(&slices, "m", "2,3", numbers);
  add_integers(&slices, "start", "1", &start);
  add_integers(&slices, "stop", "1", &stop);
  add_integers(&slices, "axis", "1", &axis);
  add_integers(&slices, "step", "1", &step);
  add_integers(&slices, "pick", "1", &pick);
  add(&slices, "Transpose", "m", "mt", "");                  /* 1 4 | 2 5 | 3 6 */
  add(&slices, "Slice", "mt,start,stop,axis,step", "s", ""); /* 3 6 | 1 4 */
  add(&slices, "Gather", "s,pick", "row", "axis=0");         /* 1 4 */
  add(&slices, "Gather", "row,pick", "k", "axis=1");         /* 4 */
  assert_float_equal(folded_scale(&slices), 4, 1e-5);
  begin(&integers);
  add_integers(&integers, "two", "", &two);
  add_integers(&integers, "seven", "", &seven);
  add_integers(&integers, "ten", "", &ten);
  add_integers(&integers, "one", "1", &pick);
  add_floats(&integers, "half", "", &half);
  add(&integers, "Range", "two,ten,two", "range", "");       /* 2 4 6 8 */
  add(&integers, "Slice", "range,one,seven1", "middle", ""); /* 4 6 8 */
  add_integers(&integers, "seven1", "1", &seven);
  add(&integers, "Gather", "middle,one", "six", ""); /* 6 */
  add(&integers, "Div", "seven,two", "three", "");   /* 3 */
  add(&integers, "Sub", "six,three", "diff", "");    /* 3 */
  add(&integers, "Mul", "diff,six", "eighteen", "");
  add(&integers, "Max", "eighteen,seven", "most", "");
  add(&integers, "Min", "most,ten", "least", ""); /* 10 */
  add(&integers, "Cast", "least", "f", "to=1");
  add(&integers, "Add", "f,half", "ten_and_half", "");
  add(&integers, "Floor", "ten_and_half", "flat", ""); /* 10 */
  add(&integers, "Expand", "flat,one", "k", "");
  assert_float_equal(folded_scale(&integers), 10, 1e-5);
}

static void refuse_folding(const char *operator_type, const char *inputs, const char *attributes,
                           resnet_status status, const char *what) {
  static const int64_t huge[2] = {INT64_MAX, 0}, million[2] = {1 << 20, 1 << 20},
                       hundreds[2] = {300, 300}, pair[2] = {1, -1};
  static const int64_t three[2] = {3, 3};
  static const float floats[6] = {1, 2, 3, 4, 5, 1e30F};
  network n = {0};
  begin(&n);
  add_integers(&n, "huge", "2", huge);
  add_integers(&n, "million", "2", million);
  add_integers(&n, "hundreds", "2", hundreds);
  add_integers(&n, "pair", "2", pair);
  add_integers(&n, "three", "2", three);
  add_floats(&n, "f", "2,3", floats);
  add(&n, operator_type, inputs, "z", attributes);
  add(&n, "Mul", "c,z", "t", ""); /* a node without readers is ignored */
  end_network(&n);
  refuse_network(&n, status, what);
}

static void impossible_folding_is_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED,
                      limit = RESNET_ERROR_LIMIT;
  refuse_folding("Div", "hundreds,huge", "", form, "Div_z|divides the integer 300 by 0");
  refuse_folding("Add", "f,huge", "", form, "constants of one type");
  refuse_folding("Add", "hundreds,z", "", form, "reads its own output 'z'");
  refuse_folding("Gather", "huge,hundreds", "", form, "Gather_z|index 300 is out of range for 2");
  refuse_folding("ConstantOfShape", "million", "", limit,
                 "ConstantOfShape_z|takes more work than one of its size may cause");
  refuse_folding("ConstantOfShape", "pair", "", form, "makes a constant with dimension -1");
  refuse_folding("ConstantOfShape", "huge", "value=1", form, "'value' has type 2");
  refuse_folding("Cast", "f", "to=99", not_yet, "element type 99");
  refuse_folding("Cast", "f", "to=7", not_yet, "casts 1e+30 to an integer");
  refuse_folding("Concat", "huge,hundreds", "axis=1", form, "axis 1 is out of range");
  refuse_folding("Concat", "huge,f", "axis=0", form, "differ in shape or type");
  refuse_folding("Transpose", "f", "perm=0,0", form, "no permutation");
  refuse_folding("Reshape", "f,hundreds", "", form, "reshapes 6 elements to a shape of 90000");
  refuse_folding("Reshape", "f,huge", "allowzero=1", form, "reshapes 6 elements");
  refuse_folding("Expand", "f,three", "", form, "cannot expand 2 to 3");
  refuse_folding("Conv", "f,f", "", not_yet, "reads constants only");
}

/* ---- errors of the graph ----------------------------------------------------------- */

static void cycles_and_disorder_are_refused(void **state) {
  (void)state;
  network cycle = {0}, self = {0}, missing = {0};
  begin(&cycle);
  add(&cycle, "Add", "c,b", "a", "");
  add(&cycle, "Relu", "a", "b", "");
  add(&cycle, "Relu", "b", "t", "");
  end_network(&cycle);
  refuse_network(&cycle, RESNET_ERROR_FORMAT,
                 "Relu_b|reads 'a', which node 'Add_a' computes from it: a cycle");
  begin(&self);
  add(&self, "Relu", "t", "t", "");
  end_network(&self);
  refuse_network(&self, RESNET_ERROR_FORMAT, "Relu_t|its own output 't'");
  begin(&missing);
  add(&missing, "Relu", "nothing", "t", "");
  end_network(&missing);
  refuse_network(&missing, RESNET_ERROR_FORMAT, "Relu_t|'nothing', which nothing defines");
}

static void names_are_defined_once(void **state) {
  (void)state;
  network outputs = {0}, initialisers = {0}, input = {0};
  begin(&outputs);
  add(&outputs, "Relu", "c", "t", "");
  add(&outputs, "Relu", "c", "t", "");
  refuse_network(&outputs, RESNET_ERROR_FORMAT, "'t' is defined twice, by Relu_t and by Relu_t");
  begin(&initialisers);
  add_random(&initialisers, "w_c", "1", 1);
  refuse_network(&initialisers, RESNET_ERROR_FORMAT,
                 "'w_c' is defined twice, by an initialiser and by an initialiser");
  begin(&input);
  add(&input, "Relu", "c", "x", "");
  refuse_network(&input, RESNET_ERROR_FORMAT,
                 "'x' is defined twice, by a graph input and by Relu_x");
}

static void put_input(network *n, const char *name) {
  buffer info = {0};
  put_text(&info, 1, name);
  put_message(&n->graph, 11, &info);
}

/* IR 3 also lists initialisers among the graph's inputs. */
static void initialisers_may_be_inputs(void **state) {
  (void)state;
  network n = {.opset = 8, .ir = 3}, two = {0};
  graph g;
  begin(&n);
  put_input(&n, "w_c");
  add(&n, "Relu", "c", "t", "");
  end_network(&n);
  load_good(&n, &g);
  unload(&g);
  begin(&two);
  put_input(&two, "mask");
  add(&two, "Relu", "c", "t", "");
  end_network(&two);
  refuse_network(&two, RESNET_ERROR_UNSUPPORTED, "the graph has 2 inputs|one image");
}

static void outputs_are_checked(void **state) {
  (void)state;
  network two = {.output = "y,c"}, none = {.output = "z"}, input = {.output = "x"};
  begin(&two);
  add(&two, "Relu", "c", "t", "");
  end_network(&two);
  refuse_network(&two, RESNET_ERROR_UNSUPPORTED,
                 "the graph has 2 outputs ('y', 'c')|options.output");
  begin(&none);
  refuse_network(&none, RESNET_ERROR_FORMAT, "output 'z' is computed by no node");
  begin(&input);
  refuse_network(&input, RESNET_ERROR_UNSUPPORTED, "output 'x' does not depend on any layer");
}

static void check_input(const char *dims, uint32_t height, uint32_t width, uint32_t h, uint32_t w) {
  network n = {.input = dims};
  graph g;
  resnet_error error;
  const load_options options = {
      .max_file_bytes = 1 << 20, .input_height = height, .input_width = width};
  begin(&n);
  add(&n, "Relu", "c", "t", "");
  end_network(&n);
  buffer file = finish(&n);
  if (load_bytes(&file, &options, &g, &error) != RESNET_OK) fail_msg("%s", error.message);
  assert_memory_equal(&g.nodes[0].shape, (&(graph_shape){h, w, 3}), sizeof(graph_shape));
  unload(&g);
  buffer_release(&file);
}

static void input_sizes_come_from_the_file_or_the_caller(void **state) {
  (void)state;
  check_input("N,3,8,9", 0, 0, 8, 9);
  check_input("N,3,8,9", 8, 9, 8, 9);
  check_input("5,3,h,w", 0, 0, 224, 224);
  /* a symbolic batch as Keras and others write it */
  check_input("-1,3,8,9", 0, 0, 8, 9);
  check_input("0,3,8,9", 0, 0, 8, 9);
  check_input("N,3,h,w", 16, 12, 16, 12);
  check_input("N,3,8,9", 16, 12, 16, 12); /* with global pooling at the end */
  network n = {0};
  graph g;
  resnet_error error;
  const load_options options = {.max_file_bytes = 1 << 20, .input_height = 16, .input_width = 8};
  begin(&n);
  add(&n, "Flatten", "c", "f", "");
  add_random(&n, "v", "256,5", 2);
  add(&n, "Gemm", "f,v", "y", "");
  buffer file = finish(&n);
  assert_int_equal(load_bytes(&file, &options, &g, &error), RESNET_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "Gemm_y"));
  assert_non_null(
      strstr(error.message,
             "take 256 numbers, its input has 512: the model was exported for another input"));
  buffer_release(&file);
}

static void refuse_input(const char *dims, resnet_status status, const char *what) {
  network n = {.input = dims};
  begin(&n);
  add(&n, "Relu", "c", "t", "");
  end_network(&n);
  refuse_network(&n, status, what);
}

/* Exporters write -1, 0 or nothing for a size that they leave open. */
static void sizes_may_be_open(void **state) {
  (void)state;
  static const char *const inputs[] = {"N,3,h,w", "-1,3,-1,-1", "0,3,0,0", "N,-1,-1,w", "N,0,h,0"};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
    network n = {.input = inputs[i]};
    graph g;
    begin(&n);
    add(&n, "Relu", "c", "t", "");
    end_network(&n);
    load_good(&n, &g);
    assert_int_equal(g.nodes[0].shape.h, 224);
    assert_int_equal(g.nodes[0].shape.w, 224);
    assert_int_equal(g.nodes[0].shape.c, 3);
    unload(&g);
  }
}

static void impossible_inputs_are_refused(void **state) {
  (void)state;
  refuse_input("N,3,-2,8", RESNET_ERROR_FORMAT, "input 'x' has dimension -2");
  refuse_input("N,-7,8,8", RESNET_ERROR_FORMAT, "input 'x' has dimension -7");
  refuse_input("70000,3,8,8", RESNET_ERROR_LIMIT, "dimension 70000: 1 to 65535 is accepted");
  refuse_input("N,3,70000,8", RESNET_ERROR_LIMIT, "dimension 70000: 1 to 65535 is accepted");
  refuse_input("N,3,8", RESNET_ERROR_UNSUPPORTED, "has 3 dimensions");
  refuse_input("N,5,8,8", RESNET_ERROR_FORMAT, "Conv_c|take 3 channels|its input has 5");
  refuse_input("N,3,20000,20000", RESNET_ERROR_LIMIT, "activations take");
}

/* ---- real files -------------------------------------------------------------------- */

static void load_real(const char *name, uint32_t blocks_per_stage) {
  char path[1024], block[32];
  const char *folder = getenv("LIBRESNET_TEST_DATA");
  const load_options options = {.max_file_bytes = 1 << 24};
  memory m;
  graph g;
  resnet_error error;
  (void)snprintf(path, sizeof path, "%s/models/%s", folder ? folder : SOURCE_DIR "/../shared",
                 name);
  if (access(path, R_OK) != 0) {
    print_message(
        "skipped: %s is not there; set LIBRESNET_TEST_DATA to the folder that holds models/\n",
        path);
    skip();
  }
  mem_init(&m, NULL, 0);
  if (load_file(&g, &m, path, &options, &error) != RESNET_OK) fail_msg("%s", error.message);
  check_invariants(&g);
  assert_int_equal(g.block_count, 3 * blocks_per_stage);
  for (uint32_t i = 0; i < g.block_count; i++) {
    (void)snprintf(block, sizeof block, "stage%u.block%u", i / blocks_per_stage + 1,
                   i % blocks_per_stage + 1);
    bool widens = i > 0 && i % blocks_per_stage == 0;
    assert_string_equal(g.blocks[i].name, block);
    assert_int_equal(g.blocks[i].shortcut,
                     widens ? RESNET_SHORTCUT_OPTION_A : RESNET_SHORTCUT_IDENTITY);
  }
  /* input, stem, three nodes for each block, two more for option A, pool, classifier */
  assert_int_equal(g.node_count, 2 + 9 * blocks_per_stage + 2 + 2);
  graph_release(&g);
  assert_int_equal(m.used, 0);
}

static void real_resnet_20(void **state) {
  (void)state;
  load_real("cifar10_resnet20_optionA_opset13.onnx", 3);
}

static void real_resnet_32(void **state) {
  (void)state;
  load_real("cifar10_resnet32_optionA_opset13.onnx", 5);
}

/* Nodes in the wrong order: onnxruntime's float16 converter puts the input's Cast after
 * its readers, and onnxruntime sorts. */
static void nodes_out_of_order_are_sorted(void **state) {
  (void)state;
  network n = {0}, plain = {0};
  add(&n, "Flatten", "m", "y", "");
  add(&n, "GlobalAveragePool", "s", "m", "");
  add(&n, "Add", "d,c", "s", "");
  add_conv(&n, "r", "d", "4,4,3,3", "pads=1,1,1,1");
  add(&n, "Relu", "c", "r", "");
  add_conv(&n, "cast", "c", "4,3,1,1", "");
  add(&n, "Cast", "x", "cast", "to=1");
  add(&plain, "Cast", "x", "cast", "to=1");
  add_conv(&plain, "cast", "c", "4,3,1,1", "");
  add(&plain, "Relu", "c", "r", "");
  add_conv(&plain, "r", "d", "4,4,3,3", "pads=1,1,1,1");
  add(&plain, "Add", "d,c", "s", "");
  add(&plain, "GlobalAveragePool", "s", "m", "");
  add(&plain, "Flatten", "m", "y", "");
  same_graphs(&n, &plain);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_out_of_order_are_sorted),
      cmocka_unit_test(identity_shortcut),
      cmocka_unit_test(projection_shortcut),
      cmocka_unit_test(option_a_shortcut),
      cmocka_unit_test(other_slices_are_refused),
      cmocka_unit_test(pre_activation_block),
      cmocka_unit_test(stages_are_counted),
      cmocka_unit_test(plain_networks_have_pairs),
      cmocka_unit_test(lone_additions_have_no_block),
      cmocka_unit_test(nodes_without_readers_are_dropped),
      cmocka_unit_test(batch_size_plumbing_is_folded),
      cmocka_unit_test(computing_with_the_batch_size_is_refused),
      cmocka_unit_test(the_batch_stays_first),
      cmocka_unit_test(folded_numbers_are_right),
      cmocka_unit_test(impossible_folding_is_refused),
      cmocka_unit_test(cycles_and_disorder_are_refused),
      cmocka_unit_test(names_are_defined_once),
      cmocka_unit_test(initialisers_may_be_inputs),
      cmocka_unit_test(outputs_are_checked),
      cmocka_unit_test(input_sizes_come_from_the_file_or_the_caller),
      cmocka_unit_test(sizes_may_be_open),
      cmocka_unit_test(impossible_inputs_are_refused),
      cmocka_unit_test(real_resnet_20),
      cmocka_unit_test(real_resnet_32),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
