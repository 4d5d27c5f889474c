/* Refusals that belong to no other file: each names the node, what was found and what is
 * accepted. */
#include <stdio.h>
#include <string.h>

#include "loader_network.h"

static const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED,
                           limit = RESNET_ERROR_LIMIT;

/* Check the refusal of a node that reads "c", (n,4,8,8), "m", its mean, or constants. */
static void refuse_node(int64_t opset, const char *operator_type, const char *inputs,
                        const char *attributes, resnet_status status, const char *what) {
  network n = {.opset = opset};
  begin_network(&n);
  add_random(&n, "line", "4", 2);
  add_random(&n, "row", "1,4", 2);
  add_random(&n, "cube", "4,4,1,1,1", 2);
  add_random(&n, "long", "4,4,1,1025", 2);
  add_random(&n, "none", "0,4,1,1", 2);
  add_random(&n, "nothing", "4,0", 2);
  add_random(&n, "five", "5", 2);
  add_integers(&n, "whole", "4,4,1,1", (const int64_t[16]){0});
  add_integers(&n, "whole_line", "4", (const int64_t[4]){0});
  add_integers(&n, "i", "1", (const int64_t[]){0});
  add_integers(&n, "axes", "6", (const int64_t[]){1, 2, 3, 4, 5, 6});
  add_integers(&n, "pair", "1,2", (const int64_t[]){0, -1});
  add_integers(&n, "two", "2", (const int64_t[]){0, 1});
  add(&n, "GlobalAveragePool", "c", "m", "");
  add(&n, "Shape", "c", "shape", "");
  add(&n, "Slice", "shape,i,two1", "batch", "");
  add_integers(&n, "two1", "1", (const int64_t[]){1});
  add(&n, "Concat", "two1,batch", "swapped", "axis=0");
  add(&n, operator_type, inputs, "t", attributes);
  end_network(&n);
  refuse_network(&n, status, what);
}

static void layers_that_do_not_fit(void **state) {
  (void)state;
  refuse_node(13, "Conv", "c,cube", "", not_yet,
              "Conv_t|weights 'cube' have 5 dimensions: 4, (o,i,h,w)");
  refuse_node(13, "Conv", "c,line", "", not_yet, "Conv_t|weights 'line' have 1 dimensions");
  refuse_node(13, "Conv", "c,whole", "", form, "Conv_t|weights 'whole' are integers");
  refuse_node(13, "Conv", "c,none", "", not_yet,
              "Conv_t|it has 0 output channels: 1 to 65535 is accepted");
  refuse_node(13, "Conv", "c,long", "", not_yet,
              "Conv_t|kernel is 1025 high or wide: 1 to 1024 is accepted");
  refuse_node(13, "Conv", "c,,line", "", form, "Conv_t|its weights are missing");
  refuse_node(13, "Conv", "c,c", "", not_yet,
              "Conv_t|its weights ('c') are computed from the image");
  refuse_node(13, "Gemm", "m,nothing", "", not_yet,
              "Gemm_t|it has 0 outputs: 1 to 65535 is accepted");
  refuse_node(13, "Gemm", "row,m", "", not_yet,
              "Gemm_t|input 0 ('row') is a constant: an activation is accepted there");
  refuse_node(13, "MatMul", "c,row", "", not_yet,
              "MatMul_t|multiplies a tensor of rank 4: (n,features)");
  refuse_node(
      13, "BatchNormalization", "c,line,line,line,five", "", form,
      "BatchNormalization_t|its variance 'five' has 5 numbers: a float for each of 4 channels");
  refuse_node(13, "BatchNormalization", "c,line,whole_line,line,line", "", form,
              "its bias 'whole_line' has 4 numbers");
  refuse_node(13, "Clip", "c,line", "", not_yet,
              "Clip_t|its bound has 4 numbers: one float is accepted");
  refuse_node(13, "Max", "c,i", "", not_yet,
              "Max_t|its bound has 1 numbers: one float is accepted");
  refuse_node(13, "Add", "c,i", "", not_yet, "Add_t|'i' has 1 numbers: 1 float");
}

static void shapes_that_do_not_fit(void **state) {
  (void)state;
  refuse_node(13, "Unsqueeze", "c,axes", "", not_yet,
              "Unsqueeze_t|adds 6 axes to 4: up to 8 together");
  refuse_node(13, "Reshape", "c,swapped", "", not_yet, "Reshape_t|moves the batch to dimension 1");
  refuse_node(13, "Reshape", "c,line", "", form,
              "Reshape_t|its shape must be a list of up to 8 integers");
  refuse_node(13, "Reshape", "c,pair", "", form,
              "Reshape_t|its shape must be a list of up to 8 integers");
  refuse_node(9, "Slice", "c", "starts=0,0 ends=8,", form,
              "Slice_t|starts, ends, axes and steps differ in length");
  refuse_node(9, "Slice", "c", "starts=0, ends=8, axes=2,3", form, "differ in length");
  refuse_node(13, "Slice", "c,i,two", "", form, "differ in length");
  refuse_node(13, "Transpose", "c", "perm=0,1,2", form, "perm has 3 numbers for 4 axes");
  refuse_node(9, "Pad", "c", "pads=0,65535,0,0,0,0,0,0", not_yet,
              "Pad_t|(h 8, w 8, c 65539) is too large: up to 65535 each");
}

static void pools_that_do_not_fit(void **state) {
  (void)state;
  network n = {.input = "N,3,8,1025"};
  begin_network(&n);
  add(&n, "GlobalMaxPool", "c", "y", "");
  refuse_network(&n, not_yet,
                 "GlobalMaxPool_y|takes the maximum of 8x1025 pixels: up to 1024 each");
}

/* Accepted neighbours of refused nodes: Sum of one input, slices by attributes before
 * opset 10, a global maximum as a pool. */
static void accepted_neighbours_of_refused_nodes(void **state) {
  (void)state;
  network n = {.opset = 9}, plain = {.opset = 9};
  begin_network(&n);
  add(&n, "Sum", "c", "s", "");
  add(&n, "Slice", "s", "l", "starts=0,0 ends=8,9223372036854775807 axes=2,3");
  add(&n, "GlobalMaxPool", "l", "m", "");
  add(&n, "Flatten", "m", "y", "");
  begin_network(&plain);
  add(&plain, "MaxPool", "c", "m", "kernel_shape=8,8");
  add(&plain, "Flatten", "m", "y", "");
  same_graphs(&n, &plain);
}

/* ---- the graph as a whole ---------------------------------------------------------- */

static void too_many_nodes(void **state) {
  (void)state;
  network n = {0};
  for (int i = 0; i < 20001; i++) add(&n, "Relu", "x", "y", "");
  refuse_network(&n, limit, "the graph has 20001 nodes: up to 20000 are accepted");
}

static void sparse_initialisers(void **state) {
  (void)state;
  network n = {0};
  buffer sparse = {0};
  put_number(&sparse, 3, 4); /* dims */
  put_message(&n.graph, 15, &sparse);
  begin_network(&n);
  add(&n, "Relu", "c", "t", "");
  end_network(&n);
  refuse_network(&n, not_yet, "sparse initialisers: dense ones are accepted");
}

/* Attributes of a function's body refer to the function's own attributes. */
static void attributes_of_functions(void **state) {
  (void)state;
  network n = {0};
  buffer node = {0}, attribute = {0};
  put_text(&attribute, 1, "alpha");
  put_text(&attribute, 21, "outer");
  put_text(&node, 1, "x");
  put_text(&node, 2, "y");
  put_text(&node, 4, "HardSigmoid");
  put_message(&node, 5, &attribute);
  put_message(&n.graph, 1, &node);
  refuse_network(
      &n, not_yet,
      "attribute 'alpha' refers to an attribute of a function: inline the model's functions");
}

/* Half precision is widened, double narrowed. Integers come with preprocessing inside the
 * network. */
static void inputs_of_other_types(void **state) {
  (void)state;
  network bytes = {.input_type = 2};
  for (int type = 10; type <= 11; type++) {
    network n = {.input_type = type};
    graph g;
    begin_network(&n);
    add(&n, "Cast", "c", "t", "to=1");
    end_network(&n);
    load_good(&n, &g);
    unload(&g);
  }
  begin_network(&bytes);
  add(&bytes, "Cast", "c", "t", "to=1");
  end_network(&bytes);
  refuse_network(&bytes, not_yet,
                 "node 'Conv_c' (Conv) computes with the bytes of input 'x': a Cast to float "
                 "before it is accepted");
  network integers = {.input_type = 6};
  begin_network(&integers);
  add(&integers, "Identity", "c", "t", "");
  end_network(&integers);
  refuse_network(&integers, not_yet,
                 "input 'x' has element type 6: float (1), float16 (10), double (11), bfloat16 "
                 "(16) and,| before a Cast to float, uint8 (2) are accepted|convert to floats");
}

/* PyTorch's exporter flattens channels_last networks with the batch. If a sample has one
 * number, nothing is mixed. */
static void rows_of_all_samples(void **state) {
  (void)state;
  network row = {0}, one = {0};
  graph g;
  begin_network(&row);
  add_integers(&row, "flat", "1", (const int64_t[]){-1});
  add(&row, "GlobalAveragePool", "c", "m", "");
  add(&row, "Reshape", "m,flat", "y", "");
  refuse_network(&row, not_yet,
                 "Reshape_y|all images of a batch into one row|.contiguous() on a permuted "
                 "input|torch.contiguous_format)");
  begin_network(&one);
  add_integers(&one, "flat", "1", (const int64_t[]){-1});
  add_conv(&one, "c", "d", "1,4,8,8", "");
  add(&one, "Reshape", "d,flat", "y", "");
  load_good(&one, &g);
  unload(&g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_of_all_samples),
      cmocka_unit_test(layers_that_do_not_fit),
      cmocka_unit_test(shapes_that_do_not_fit),
      cmocka_unit_test(pools_that_do_not_fit),
      cmocka_unit_test(accepted_neighbours_of_refused_nodes),
      cmocka_unit_test(too_many_nodes),
      cmocka_unit_test(sparse_initialisers),
      cmocka_unit_test(attributes_of_functions),
      cmocka_unit_test(inputs_of_other_types),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
