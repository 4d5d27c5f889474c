/* Channels last: the order of the input's axes, operators between two Transposes, the
 * order of weights. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "loader_network.h"

#define TO_LAST "perm=0,2,3,1"
#define TO_FIRST "perm=0,3,1,2"

/* ---- the input --------------------------------------------------------------------- */

static const float means[3] = {0.5F, -0.25F, 2}, factors[3] = {4, 0.5F, -1}, two = 2;

static void add_first_layer(network *n, const char *input) {
  char inputs[64];
  add_random(n, "w", "4,3,3,3", 1);
  (void)snprintf(inputs, sizeof inputs, "%s,w", input);
  add(n, "Conv", inputs, "t", "strides=2,2");
  end_network(n);
}

/* Nodes between the input and the Transpose that shows its order. */
static void order_of_the_input(void **state) {
  (void)state;
  network n = {.opset = 9, .input = "N,10,8,3"}, plain = {.opset = 9, .input = "N,3,10,8"};
  add_floats(&n, "means", "3", means);
  add_floats(&n, "factors", "1,1,1,3", factors);
  add_floats(&n, "two", "", &two);
  add(&n, "Identity", "x", "i", "");
  add(&n, "Cast", "i", "f", "to=1");
  add(&n, "Sub", "f,means", "s", "");
  add(&n, "Mul", "factors,s", "m", "");
  add(&n, "Div", "m,two", "d", "");
  add(&n, "Add", "d,two", "a", "");
  add(&n, "Clip", "a", "b", "min=-4.0 max=4.0");
  add(&n, "Pad", "b", "z", "pads=0,1,2,0,0,0,0,0");
  add(&n, "Transpose", "z", "first", TO_FIRST);
  add_first_layer(&n, "first");

  add_floats(&plain, "means", "3,1,1", means);
  add_floats(&plain, "factors", "1,3,1,1", factors);
  add_floats(&plain, "two", "", &two);
  add(&plain, "Sub", "x,means", "s", "");
  add(&plain, "Mul", "factors,s", "m", "");
  add(&plain, "Div", "m,two", "d", "");
  add(&plain, "Add", "d,two", "a", "");
  add(&plain, "Clip", "a", "b", "min=-4.0 max=4.0");
  add(&plain, "Pad", "b", "z", "pads=0,0,1,2,0,0,0,0");
  add_first_layer(&plain, "z");
  same_graphs(&n, &plain);
}

/* Nodes that read sizes, or that have no reader, show no order. */
static void some_readers_show_no_order(void **state) {
  (void)state;
  network n = {.input = "N,10,8,3"}, plain = {.input = "N,3,10,8"};
  add(&n, "Relu", "x", "unused", "");
  add(&n, "Shape", "x", "shape", "");
  add_integers(&n, "rows", "1", (const int64_t[]){1});
  add(&n, "Gather", "shape,rows", "height", "axis=0");
  add(&n, "Cast", "height", "ten", "to=1");
  add(&n, "Transpose", "x", "first", TO_FIRST);
  add(&n, "Mul", "first,ten", "m", "");
  add_first_layer(&n, "m");
  add_floats(&plain, "ten", "1", (const float[]){10});
  add(&plain, "Mul", "x,ten", "m", "");
  add_first_layer(&plain, "m");
  same_graphs(&n, &plain);
}

/* With any other first node the input is (n,c,h,w), as ONNX defines it. */
static void other_inputs_are_channels_first(void **state) {
  (void)state;
  network conv = {.input = "N,3,8,8"}, other = {.input = "N,8,8,3"};
  graph g;
  begin_network(&conv);
  add(&conv, "Transpose", "c", "last", TO_LAST);
  add(&conv, "Transpose", "last", "t", TO_FIRST);
  end_network(&conv);
  load_good(&conv, &g);
  assert_memory_equal(&g.nodes[0].shape, (&(graph_shape){8, 8, 3}), sizeof(graph_shape));
  assert_int_equal(g.node_count, 3);
  unload(&g);
  add(&other, "Relu", "x", "r", "");
  add(&other, "Transpose", "r", "first", TO_FIRST);
  add_first_layer(&other, "first");
  refuse_network(&other, RESNET_ERROR_UNSUPPORTED,
                 "Transpose_first|changes the order of the axes of 'r'|only the channels may move");
}

static void sizes_of_an_input_channels_last(void **state) {
  (void)state;
  static const struct {
    const char *dims;
    uint32_t height, width, h, w;
  } cases[] = {{"N,10,8,3", 0, 0, 10, 8},
               {"1,h,w,3", 0, 0, 224, 224},
               /* three channels, if the file gives no number */
               {"n,h,w,c", 0, 0, 224, 224},
               {"N,h,w,3", 20, 30, 20, 30},
               {"N,10,8,3", 20, 30, 20, 30}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const load_options options = {
        .max_file_bytes = 1 << 20, .input_height = cases[i].height, .input_width = cases[i].width};
    network n = {.input = cases[i].dims};
    graph g;
    resnet_error error;
    add(&n, "Transpose", "x", "first", TO_FIRST);
    add_first_layer(&n, "first");
    buffer file = finish(&n);
    if (load_bytes(&file, &options, &g, &error) != RESNET_OK) fail_msg("%s", error.message);
    assert_memory_equal(&g.nodes[0].shape, (&(graph_shape){cases[i].h, cases[i].w, 3}),
                        sizeof(graph_shape));
    unload(&g);
    buffer_release(&file);
  }
  network gray = {.input = "N,c,8,8"};
  add_conv(&gray, "x", "y", "4,1,8,8", "");
  refuse_network(&gray, RESNET_ERROR_FORMAT, "Conv_y|take 1 channels|its input has 3");
}

/* ---- between two Transposes -------------------------------------------------------- */

typedef void (*middle)(network *n, const char *channel_dims);

/* Check that nodes between two Transposes give the same graph as without them. `middle`
 * computes "o" from "i". */
static void check_between(const char *input, middle add_middle) {
  network n = {.opset = 11, .input = input}, plain = {.opset = 11, .input = input};
  begin_network(&n);
  add(&n, "Transpose", "c", "i", TO_LAST);
  add_middle(&n, "4");
  add(&n, "Transpose", "o", "t", TO_FIRST);
  end_network(&n);
  begin_network(&plain);
  add(&plain, "Identity", "c", "i", "");
  add_middle(&plain, "4,1,1");
  add(&plain, "Identity", "o", "t", "");
  end_network(&plain);
  same_graphs(&n, &plain);
}

static void add_clamp(network *n, const char *dims) {
  (void)dims;
  add(n, "Relu", "i", "o", "");
}

static void add_affine(network *n, const char *dims) {
  add_random(n, "k", dims, 4);
  add_random(n, "l", dims, 5);
  add(n, "Mul", "i,k", "s", "");
  add(n, "Sub", "l,s", "o", "");
}

static void add_sum(network *n, const char *dims) {
  add_random(n, "k", dims, 4);
  add(n, "Sigmoid", "i", "s", "");
  add(n, "Mul", "i,k", "m", "");
  add(n, "Add", "m,s", "o", "");
}

static void elementwise_operators_take_any_order(void **state) {
  (void)state;
  /* in the second one, all sides and channels are 4 */
  static const char *const inputs[] = {"N,3,8,6", "N,3,4,4"};
  for (size_t i = 0; i < 2; i++) {
    check_between(inputs[i], add_clamp);
    check_between(inputs[i], add_affine);
    check_between(inputs[i], add_sum);
  }
}

/* A constant of the sides' length, where the channels stand last: it would fit the axis
 * behind, which it does not meet.
 */
static void constants_meet_only_the_channels(void **state) {
  (void)state;
  static const char *const dims[] = {"4,1,1", "4,1", "1,4,4,1"};
  for (size_t i = 0; i < 3; i++) {
    network n = {.input = "N,3,4,4"};
    begin_network(&n);
    add(&n, "Transpose", "c", "last", TO_LAST);
    add_random(&n, "k", dims[i], 4);
    add(&n, "Add", "last,k", "s", "");
    add(&n, "Transpose", "s", "t", TO_FIRST);
    end_network(&n);
    refuse_network(&n, RESNET_ERROR_UNSUPPORTED, "Add_s|1 float, or 1 for each channel");
  }
}

/* A grey image (n,h,w,1): both orders are the same, and tf2onnx transposes it by a
 * Reshape. */
static void a_grey_image_is_reshaped(void **state) {
  (void)state;
  network n = {.input = "N,8,6,1"}, plain = {.input = "N,1,8,6"};
  network *both[2] = {&n, &plain};
  add_integers(&n, "sides", "4", (const int64_t[]){-1, 1, 8, 6});
  add(&n, "Reshape", "x,sides", "p", "");
  add(&plain, "Identity", "x", "p", "");
  for (size_t i = 0; i < 2; i++) {
    add_conv(both[i], "p", "c", "4,1,3,3", "pads=1,1,1,1");
    add(both[i], "GlobalAveragePool", "c", "y", "");
  }
  same_graphs(&n, &plain);
}

/* Option A as tf2onnx writes it slices every axis up to a large number, which means the
 * end. */
static void option_a_slices_every_axis(void **state) {
  (void)state;
  network n = {.opset = 13}, plain = {.opset = 13};
  network *both[2] = {&n, &plain};
  const int64_t end = 1000000000;
  for (size_t i = 0; i < 2; i++) begin_network(both[i]);
  add_integers(&n, "starts", "4", (const int64_t[]){0, 0, 0, 0});
  add_integers(&n, "ends", "4", (const int64_t[]){end, end, end, end});
  add_integers(&n, "axes", "4", (const int64_t[]){0, 2, 3, 1});
  add_integers(&n, "steps", "4", (const int64_t[]){1, 2, 2, 1});
  add_integers(&plain, "starts", "2", (const int64_t[]){0, 0});
  add_integers(&plain, "ends", "2", (const int64_t[]){INT64_MAX, INT64_MAX});
  add_integers(&plain, "axes", "2", (const int64_t[]){2, 3});
  add_integers(&plain, "steps", "2", (const int64_t[]){2, 2});
  for (size_t i = 0; i < 2; i++) {
    add(both[i], "Slice", "c,starts,ends,axes,steps", "t", "");
    end_network(both[i]);
  }
  same_graphs(&n, &plain);
}

/* Option A, channels last, becomes one node that sub-samples. */
static void option_a_channels_last(void **state) {
  (void)state;
  network n = {.input = "N,3,8,6"}, plain = {.input = "N,3,8,6"};
  network *both[2] = {&n, &plain};
  for (size_t i = 0; i < 2; i++) {
    begin_network(both[i]);
    add_integers(both[i], "starts", "2", (const int64_t[]){0, 0});
    add_integers(both[i], "ends", "2", (const int64_t[]){INT64_MAX, INT64_MAX});
    add_integers(both[i], "steps", "2", (const int64_t[]){2, 3});
  }
  add_integers(&n, "axes", "2", (const int64_t[]){1, 2});
  add_integers(&n, "pads", "8", (const int64_t[]){0, 0, 0, 1, 0, 0, 0, 3});
  add(&n, "Transpose", "c", "last", TO_LAST);
  add(&n, "Slice", "last,starts,ends,axes,steps", "s", "");
  add(&n, "Pad", "s,pads", "z", "");
  add(&n, "Transpose", "z", "t", TO_FIRST);
  add_integers(&plain, "axes", "2", (const int64_t[]){2, 3});
  add_integers(&plain, "pads", "8", (const int64_t[]){0, 1, 0, 0, 0, 3, 0, 0});
  add(&plain, "Slice", "c,starts,ends,axes,steps", "s", "");
  add(&plain, "Pad", "s,pads", "t", "");
  end_network(&n);
  end_network(&plain);
  same_graphs(&n, &plain);
  network channels = {.input = "N,3,8,6"};
  begin_network(&channels);
  add_integers(&channels, "one", "1", (const int64_t[]){1});
  add_integers(&channels, "two", "1", (const int64_t[]){2});
  add_integers(&channels, "axis", "1", (const int64_t[]){3});
  add(&channels, "Transpose", "c", "last", TO_LAST);
  add(&channels, "Slice", "last,one,two,axis", "t", "");
  end_network(&channels);
  refuse_network(&channels, RESNET_ERROR_UNSUPPORTED,
                 "Slice_t|cuts or reverses the batch or the channels");
}

/* ---- the end of a network ---------------------------------------------------------- */

/* Means over height and width: Keras's global pooling. */
static void means_channels_last(void **state) {
  (void)state;
  static const char *const axes[] = {"axes=1,2 keepdims=1", "axes=1,2 keepdims=0",
                                     "axes=-2,-3 keepdims=0"};
  for (size_t i = 0; i < 3; i++) {
    network n = {.opset = 11}, plain = {.opset = 11};
    begin_network(&n);
    add(&n, "Transpose", "c", "last", TO_LAST);
    add(&n, "ReduceMean", "last", "m", axes[i]);
    add(&n, "Flatten", "m", "y", "");
    begin_network(&plain);
    add(&plain, "Identity", "c", "t", "");
    end_network(&plain);
    same_graphs(&n, &plain);
  }
  network wrong = {.opset = 11, .input = "N,3,4,4"};
  begin_network(&wrong); /* these are width and channels */
  add(&wrong, "Transpose", "c", "last", TO_LAST);
  add(&wrong, "ReduceMean", "last", "m", "axes=2,3 keepdims=0");
  add(&wrong, "Flatten", "m", "y", "");
  refuse_network(&wrong, RESNET_ERROR_UNSUPPORTED, "ReduceMean_m|are not height and width");
}

/* Means over pixels in a row, in either order. */
static void means_over_pixels_in_a_row(void **state) {
  (void)state;
  for (int last = 0; last < 2; last++) {
    network n = {.opset = 11}, plain = {.opset = 11};
    begin_network(&n);
    add(&n, "Transpose", "c", "i", last ? TO_LAST : "perm=0,1,2,3");
    add_integers(&n, "shape", "3",
                 last ? (const int64_t[]){0, -1, 4} : (const int64_t[]){0, 4, -1});
    add(&n, "Reshape", "i,shape", "rows", "");
    add(&n, "ReduceMean", "rows", "y", last ? "axes=1, keepdims=0" : "axes=2, keepdims=0");
    begin_network(&plain);
    add(&plain, "Identity", "c", "t", "");
    end_network(&plain);
    same_graphs(&n, &plain);
  }
}

/* x[:, :, 0, 0], also with a list of one index, which keeps the axis. */
static void single_elements_are_taken(void **state) {
  (void)state;
  for (int list = 0; list < 2; list++) {
    network n = {.opset = 11}, plain = {.opset = 11};
    begin_network(&n);
    add(&n, "GlobalAveragePool", "c", "p", "");
    add_integers(&n, "first", list ? "1" : "", (const int64_t[]){0});
    add_integers(&n, "last", list ? "1" : "", (const int64_t[]){-1});
    add(&n, "Gather", "p,first", "q", "axis=3");
    add(&n, "Gather", "q,last", "r", "axis=2");
    add(&n, list ? "Flatten" : "Identity", "r", "y", "");
    begin_network(&plain);
    add(&plain, "Identity", "c", "t", "");
    end_network(&plain);
    same_graphs(&n, &plain);
  }
  network reversed = {.opset = 11}, second = {.opset = 11}, batch = {.opset = 11};
  begin_network(&reversed);
  add_integers(&reversed, "k", "4", (const int64_t[]){3, 2, 1, 0});
  add(&reversed, "Gather", "c,k", "t", "axis=1");
  end_network(&reversed);
  refuse_network(&reversed, RESNET_ERROR_UNSUPPORTED,
                 "Gather_t|takes 4 of the 4 elements of axis 1 ('c')|reorder channels");
  begin_network(&second);
  add(&second, "GlobalAveragePool", "c", "p", "");
  add_integers(&second, "k", "", (const int64_t[]){1});
  add(&second, "Gather", "p,k", "y", "axis=2");
  refuse_network(&second, RESNET_ERROR_UNSUPPORTED, "Gather_y|of the 1 elements of axis 2 ('p')");
  begin_network(&batch);
  add_integers(&batch, "k", "", (const int64_t[]){0});
  add(&batch, "Gather", "c,k", "y", "axis=0");
  refuse_network(&batch, RESNET_ERROR_UNSUPPORTED, "Gather_y|axis 0 ('c')|from axis 1 on");
}

/* A fully connected layer after a image of 2x2, flattened channels last: its rows are
 * in the graph's own order. */
static void weights_channels_last(void **state) {
  (void)state;
  enum { C = 4, AREA = 4, OUT = 3 };
  static const char *const flattens[] = {"Flatten", "Reshape"}, *const layers[] = {"MatMul",
                                                                                   "Gemm"};
  for (size_t f = 0; f < 2; f++)
    for (size_t layer = 0; layer < 2; layer++)
      for (int last = 0; last < 2; last++) {
        network n = {0};
        graph g;
        begin_network(&n);
        add_integers(&n, "shape", "2", (const int64_t[]){-1, C * AREA});
        add(&n, "MaxPool", "c", "m", "kernel_shape=4,4 strides=4,4");
        add(&n, "Transpose", "m", "i", last ? TO_LAST : "perm=0,1,2,3");
        add(&n, flattens[f], f == 0 ? "i" : "i,shape", "f", "");
        add_random(&n, "v", layer == 0 ? "16,3" : "3,16", 5);
        add(&n, layers[layer], "f,v", "y", layer == 0 ? "" : "transB=1");
        load_good(&n, &g);
        const graph_node *linear = find_scores(&g);
        assert_int_equal(linear->op, GRAPH_LINEAR);
        for (size_t o = 0; o < OUT; o++)
          for (size_t k = 0; k < AREA; k++)
            for (size_t c = 0; c < C; c++) {
              size_t column = last ? k * C + c : c * AREA + k;
              size_t from = layer == 0 ? column * OUT + o : o * C * AREA + column;
              assert_float_equal(linear->weights[(o * AREA + k) * C + c], random_float(5, from), 0);
            }
        unload(&g);
      }
}

/* One pixel: transposing it changes nothing, and its order does not matter. */
static void one_pixel(void **state) {
  (void)state;
  static const char *const permutations[] = {TO_LAST, TO_FIRST, "perm=0,1,3,2", "perm=0,2,1,3"};
  for (size_t i = 0; i < 4; i++) {
    network n = {0}, plain = {0};
    network *both[2] = {&n, &plain};
    begin_network(&n);
    add(&n, "GlobalAveragePool", "c", "p", "");
    add(&n, "Transpose", "p", "i", permutations[i]);
    begin_network(&plain);
    add(&plain, "GlobalAveragePool", "c", "p", "");
    add(&plain, "Identity", "p", "i", "");
    for (size_t k = 0; k < 2; k++) {
      add_random(both[k], "v", "4,3", 5);
      add(both[k], "Flatten", "i", "f", "");
      add(both[k], "MatMul", "f,v", "y", "");
    }
    same_graphs(&n, &plain);
  }
  network swapped = {0};
  begin_network(&swapped);
  add(&swapped, "GlobalAveragePool", "c", "p", "");
  add(&swapped, "Transpose", "p", "i", "perm=1,0,2,3");
  add(&swapped, "Flatten", "i", "y", "");
  refuse_network(&swapped, RESNET_ERROR_UNSUPPORTED,
                 "Flatten_y|reads 'i', which was transposed to (c,n,h,w)");
}

/* The whole feature map as the input of a fully connected layer. */
static void begin_vector(network *n) {
  begin_network(n);
  add_random(n, "m", "5,256", 3);
  add_random(n, "column", "5,1", 4);
  add_random(n, "row", "5", 4);
  add(n, "Flatten", "c", "f", "");
}

/* Weights times (features,n), with a bias and transposed back, and Gemm with transA. */
static void products_of_transposed_vectors(void **state) {
  (void)state;
  network first = {0}, second = {0}, product = {0}, gemm = {0};
  network *plain[] = {&first, &second};
  for (size_t i = 0; i < 2; i++) {
    begin_vector(plain[i]);
    add(plain[i], "Gemm", "f,m,row", "y", "transB=1");
  }
  begin_vector(&product);
  add(&product, "Transpose", "f", "t", "");
  add(&product, "MatMul", "m,t", "p", "");
  add(&product, "Add", "p,column", "s", "");
  add(&product, "Transpose", "s", "y", "perm=1,0");
  same_graphs(&product, plain[0]);
  begin_vector(&gemm);
  add(&gemm, "Transpose", "f", "t", "perm=1,0");
  add(&gemm, "Gemm", "t,m,row", "y", "transA=1 transB=1");
  same_graphs(&gemm, plain[1]);
}

static void refuse_transposed(const char *operator_type, const char *inputs, const char *what) {
  network n = {0};
  begin_vector(&n);
  add(&n, "Transpose", "f", "t", "perm=1,0");
  add(&n, operator_type, inputs, "y", "");
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, what);
}

static void other_uses_of_transposed_vectors_are_refused(void **state) {
  (void)state;
  const char *uses = "reads 't', which was transposed to (features,n)|Transpose back";
  refuse_transposed("Relu", "t", uses);
  refuse_transposed("Gemm", "t,m", uses);
  refuse_transposed("MatMul", "t,m", uses);
  refuse_transposed("Add", "t,t", uses);
  refuse_transposed("Concat", "t,t", uses);
  refuse_transposed("Shape", "t", uses);
  refuse_transposed("Identity", "t", "output 'y' is (features,n): choose the tensor before");
  refuse_transposed("MatMul", "m,f", "multiplies weights by 'f' of rank 2|(features,n)");
}

/* With one channel, (n,h,w,1) and (n,1,h,w) have the same elements in the same order. */
static void one_channel(void **state) {
  (void)state;
  for (int reshaped = 0; reshaped < 3; reshaped++) {
    network n = {.opset = 9, .input = "N,1,8,6"}, plain = {.opset = 9, .input = "N,1,8,6"};
    network *both[2] = {&n, &plain};
    add_integers(&n, "last", "4", (const int64_t[]){0, 8, 6, 1});
    add_integers(&n, "first", "4", (const int64_t[]){0, 1, 8, 6});
    add_floats(&n, "k", "1", &two);
    add_floats(&plain, "k", "1", &two);
    add(&n, "Relu", "x", "r", "");
    add(&plain, "Relu", "x", "r", "");
    add(&n, reshaped ? "Reshape" : "Transpose", reshaped ? "r,last" : "r", "i",
        reshaped ? "" : TO_LAST);
    add(&plain, "Identity", "r", "i", "");
    for (size_t k = 0; k < 2; k++) add(both[k], "Mul", "i,k", "m", "");
    add(&n, "Pad", "m", "z", "pads=0,1,2,0,0,0,0,0");
    add(&plain, "Pad", "m", "z", "pads=0,0,1,2,0,0,0,0");
    for (size_t k = 0; k < 2; k++) add(both[k], "Sigmoid", "z", "s", "");
    add_integers(&n, "padded", "4", (const int64_t[]){0, 1, 9, 8});
    add(&n, reshaped == 1 ? "Reshape" : "Transpose", reshaped == 1 ? "s,padded" : "s", "o",
        /* reshaped to (n,h,w,1) and transposed back */
        reshaped == 1 ? "" : TO_FIRST);
    add(&plain, "Identity", "s", "o", "");
    for (size_t k = 0; k < 2; k++) {
      add_random(both[k], "w", "4,1,3,3", 1);
      add(both[k], "Conv", "o,w", "t", "");
      end_network(both[k]);
    }
    same_graphs(&n, &plain);
  }
}

/* ---- refusals ---------------------------------------------------------------------- */

static void refuse_last(const char *operator_type, const char *inputs, const char *attributes,
                        const char *what) {
  /* (n,4,4,4): the sizes do not show the order */
  network n = {.opset = 11, .input = "N,3,4,4"};
  begin_network(&n);
  add_random(&n, "v", "4,4,1,1", 2);
  add_random(&n, "k", "4", 3);
  add(&n, "Sigmoid", "k2", "unused", "");
  add_random(&n, "k2", "4", 3);
  add(&n, "Transpose", "c", "last", TO_LAST);
  add(&n, operator_type, inputs, "t", attributes);
  add(&n, "Flatten", "t", "f", "");
  add_random(&n, "u", "64,2", 2);
  add(&n, "MatMul", "f,u", "y", "");
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, what);
}

static void other_readers_of_channels_last_are_refused(void **state) {
  (void)state;
  refuse_last("Conv", "last,v", "",
              "Conv_t|input 'last' is (n,h,w,c): this operator accepts (n,c,h,w)");
  refuse_last("MaxPool", "last", "kernel_shape=1,1", "MaxPool_t|is (n,h,w,c): this operator");
  refuse_last("AveragePool", "last", "kernel_shape=1,1",
              "AveragePool_t|is (n,h,w,c): this operator");
  refuse_last("GlobalAveragePool", "last", "", "GlobalAveragePool_t|is (n,h,w,c): this operator");
  refuse_last("GlobalMaxPool", "last", "", "GlobalMaxPool_t|is (n,h,w,c): this operator");
  refuse_last("BatchNormalization", "last,k,k,k,k2", "",
              "BatchNormalization_t|(n,c,...) is accepted");
  refuse_last("Add", "c,last", "", "Add_t|viewed as (n,c,h,w) and one viewed as (n,h,w,c)");
  refuse_last("Add", "last,c", "", "Add_t|viewed as (n,c,h,w) and one viewed as (n,h,w,c)");
  refuse_last("Transpose", "last", "perm=0,2,1,3", "Transpose_t|changes the order of the axes");
  refuse_last("Transpose", "last", TO_LAST, "Transpose_t|changes the order of the axes");
  refuse_last("Transpose", "c", TO_FIRST, "Transpose_t|changes the order of the axes");
  refuse_last("Transpose", "c", "", "Transpose_t|moves the batch of 'c' from the front");
  refuse_last("Transpose", "last", "perm=3,1,2,0", "Transpose_t|moves the batch of 'last'");
}

/* Two feature maps that were flattened in different orders have equal shapes, but their
 * elements do not match. */
static void additions_of_mixed_orders_are_refused(void **state) {
  (void)state;
  network n = {0};
  begin_network(&n);
  add(&n, "Transpose", "c", "last", TO_LAST);
  add(&n, "Flatten", "last", "a", "");
  add(&n, "Flatten", "c", "b", "");
  add(&n, "Add", "a,b", "s", "");
  add_random(&n, "v", "256,2", 2);
  add(&n, "MatMul", "s,v", "y", "");
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED,
                 "Add_s|viewed as (n,c,h,w) and one viewed as (n,h,w,c)");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products_of_transposed_vectors),
      cmocka_unit_test(other_uses_of_transposed_vectors_are_refused),
      cmocka_unit_test(order_of_the_input),
      cmocka_unit_test(some_readers_show_no_order),
      cmocka_unit_test(other_inputs_are_channels_first),
      cmocka_unit_test(sizes_of_an_input_channels_last),
      cmocka_unit_test(elementwise_operators_take_any_order),
      cmocka_unit_test(constants_meet_only_the_channels),
      cmocka_unit_test(option_a_channels_last),
      cmocka_unit_test(means_channels_last),
      cmocka_unit_test(means_over_pixels_in_a_row),
      cmocka_unit_test(a_grey_image_is_reshaped),
      cmocka_unit_test(option_a_slices_every_axis),
      cmocka_unit_test(single_elements_are_taken),
      cmocka_unit_test(weights_channels_last),
      cmocka_unit_test(one_pixel),
      cmocka_unit_test(one_channel),
      cmocka_unit_test(other_readers_of_channels_last_are_refused),
      cmocka_unit_test(additions_of_mixed_orders_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
