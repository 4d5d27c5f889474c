/* Old spellings of opsets 1 to 6: attributes that became inputs, training flags,
 * broadcasting by axis. */
#include <stdio.h>
#include <string.h>

#include "loader_network.h"

static const float ones[4] = {1, 1, 1, 1}, shifts[4] = {0.5F, -1, 2, 0};

static void add_parameters(network *n) {
  add_random(n, "w", "4,3,3,3", 1);
  add_random(n, "v", "4,4,1,1", 2);
  add_random(n, "u", "4,5", 3);
  add_random(n, "b", "5", 4);
  add_floats(n, "one", "4", ones);
  add_floats(n, "shift", "4", shifts);
}

/* Add a residual network as caffe2's exporter wrote it. */
static void add_old(network *n) {
  add_parameters(n);
  add(n, "Conv", "x,w", "c", "pads=1,1,1,1");
  add(n, "BatchNormalization", "c,one,shift,shift,one", "n,m2,v2,sm,sv",
      "is_test=1 spatial=1 momentum=0.9 consumed_inputs=0,0,0,1,1");
  add(n, "Relu", "n", "r", "consumed_inputs=0,");
  add(n, "Conv", "r,v", "a", "");
  add(n, "Sum", "a,r", "s", "consumed_inputs=0,0");
  add(n, "Add", "s,shift", "t", "axis=1 broadcast=1 consumed_inputs=0,0");
  add(n, "AveragePool", "t", "p", "kernel_shape=8,8");
  add(n, "Dropout", "p", "d,mask", "is_test=1 ratio=0.5 consumed_inputs=0,");
  add(n, "Cast", "d", "h", "to=FLOAT16");
  add(n, "Cast", "h", "g", "to=FLOAT");
  add(n, "Reshape", "g", "f", "shape=0,-1 consumed_inputs=0,");
  add(n, "Gemm", "f,u,b", "l", "broadcast=1 alpha=2.0");
  add(n, "Softmax", "l", "y", "");
}

static void add_new(network *n) {
  add_parameters(n);
  add_floats(n, "channel", "4,1,1", shifts);
  add(n, "Conv", "x,w", "c", "pads=1,1,1,1");
  add(n, "BatchNormalization", "c,one,shift,shift,one", "n", "");
  add(n, "Relu", "n", "r", "");
  add(n, "Conv", "r,v", "a", "");
  add(n, "Add", "a,r", "s", "");
  add(n, "Add", "s,channel", "t", "");
  add(n, "GlobalAveragePool", "t", "p", "");
  add(n, "Flatten", "p", "f", "");
  add(n, "Gemm", "f,u,b", "l", "alpha=2.0");
  add(n, "Softmax", "l", "y", "");
}

static void a_network_of_each_opset(void **state) {
  (void)state;
  for (int64_t opset = 1; opset <= 4; opset++) {
    network old = {.opset = opset, .ir = 3}, new = {.opset = 13};
    add_old(&old);
    add_new(&new);
    same_graphs(&old, &new);
  }
}

static void refuse_old(int64_t opset, const char *operator_type, const char *inputs,
                       const char *attributes, resnet_status status, const char *what) {
  network n = {.opset = opset, .ir = 3};
  add_parameters(&n);
  add_integers(&n, "shape", "2", (const int64_t[]){0, -1});
  add(&n, "Conv", "x,w", "c", "pads=1,1,1,1");
  add(&n, "GlobalAveragePool", "c", "m", "");
  add(&n, operator_type, inputs, "t", attributes);
  add(&n, "Flatten", "t", "y", "");
  refuse_network(&n, status, what);
}

/* ---- training ---------------------------------------------------------------------- */

/* Before opset 7 the default of is_test is 0. Dropout is never applied here, with any
 * is_test. */
static void normalisations_in_training_are_refused(void **state) {
  (void)state;
  const resnet_status not_yet = RESNET_ERROR_UNSUPPORTED;
  static const char *const inputs = "c,one,shift,shift,one";
  refuse_old(6, "BatchNormalization", inputs, "", not_yet,
             "BatchNormalization_t|is_test is 0|model.eval()");
  refuse_old(1, "BatchNormalization", inputs, "is_test=0", not_yet, "is_test is 0");
  refuse_old(6, "BatchNormalization", inputs, "is_test=1.0", RESNET_ERROR_FORMAT,
             "'is_test' has type 1");
  refuse_old(6, "BatchNormalization", inputs, "is_test=1 training_mode=1", not_yet,
             "'training_mode' (|is not accepted");
  network n = {.opset = 6, .ir = 3};
  graph g;
  begin_network(&n);
  add(&n, "Dropout", "c", "t", "is_test=0");
  end_network(&n);
  load_good(&n, &g);
  unload(&g);
}

/* ---- broadcasting ------------------------------------------------------------------ */

static void check_broadcast(const char *operator_type, const char *dims, const char *attributes) {
  network old = {.opset = 6, .ir = 3}, new = {.opset = 7};
  network *both[2] = {&old, &new};
  for (size_t i = 0; i < 2; i++) {
    begin_network(both[i]);
    add_random(both[i], "k", i == 0 ? dims : strcmp(dims, "1") == 0 ? "1" : "4,1,1", 5);
    add(both[i], operator_type, "c,k", "t", i == 0 ? attributes : "");
    end_network(both[i]);
  }
  same_graphs(&old, &new);
}

static void broadcasting_by_axis(void **state) {
  (void)state;
  check_broadcast("Add", "4", "broadcast=1 axis=1");
  check_broadcast("Sub", "4", "broadcast=1 axis=-3");
  check_broadcast("Mul", "4,1,1", "broadcast=1 axis=1");
  check_broadcast("Mul", "4,1", "broadcast=1 axis=1");
  /* by default the last axes meet */
  check_broadcast("Div", "4,1,1", "broadcast=1");
  check_broadcast("Mul", "1", "broadcast=1");
}

static void refuse_axis(int64_t opset, const char *dims, const char *attributes, const char *what) {
  network n = {.opset = opset, .ir = 3, .input = "N,3,4,4"}; /* all axes have 4 */
  begin_network(&n);
  add_random(&n, "k", dims, 5);
  add(&n, "Add", "c,k", "t", attributes);
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, what);
}

static void other_axes_are_refused(void **state) {
  (void)state;
  refuse_axis(6, "4", "broadcast=1", "Add_t|1 float, or 1 for each channel");
  refuse_axis(6, "4", "broadcast=1 axis=0", "Add_t|1 float, or 1 for each channel");
  refuse_axis(6, "4", "broadcast=1 axis=3", "Add_t|1 float, or 1 for each channel");
  refuse_axis(6, "4,1,1", "broadcast=1 axis=2", "Add_t|1 float, or 1 for each channel");
  refuse_axis(6, "4", "broadcast=1 axis=9223372036854775807",
              "Add_t|1 float, or 1 for each channel");
  refuse_axis(6, "4", "broadcast=1 axis=-9223372036854775807",
              "Add_t|1 float, or 1 for each channel");
  refuse_axis(7, "4", "axis=1 broadcast=1",
              "Add_t|'axis' (1) is not accepted at this opset; accepted: none");
}

/* Two constants: if they meet elsewhere than at the end, newer opsets would compute
 * another sum. */
static void constants_broadcast_at_the_end_only(void **state) {
  (void)state;
  static const float matrix[4] = {1, 2, 3, 4}, row[2] = {10, 20};
  static const struct {
    const char *attributes;
    float last; /* 0: refused */
  } cases[] = {{"broadcast=1", 24},
               {"broadcast=1 axis=1", 24},
               {"broadcast=1 axis=-1", 24},
               {"broadcast=1 axis=0", 0}};
  for (size_t i = 0; i < 4; i++) {
    network n = {.opset = 6, .ir = 3};
    graph g;
    begin_network(&n);
    add_floats(&n, "matrix", "2,2", matrix);
    add_floats(&n, "row", "2", row);
    add_integers(&n, "one", "", (const int64_t[]){1});
    add(&n, "Add", "matrix,row", "sum", cases[i].attributes);
    add(&n, "Gather", "sum,one", "second", "axis=0");
    add(&n, "Gather", "second,one", "k", "axis=0");
    add(&n, "Mul", "c,k", "t", "broadcast=1");
    end_network(&n);
    if (cases[i].last > 0) {
      load_good(&n, &g);
      assert_float_equal(find_node(&g, "Conv_c")->weights[0], cases[i].last * random_float(1, 0),
                         1e-5);
      unload(&g);
    } else {
      refuse_network(&n, RESNET_ERROR_UNSUPPORTED,
                     "Add_sum|broadcasts along axis 0: 1 is accepted");
    }
  }
}

/* ---- attributes that became inputs ------------------------------------------------- */

static void attributes_and_inputs_by_opset(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_old(4, "Reshape", "m,shape", "", form, "Reshape_t|has 2 inputs: it takes 1 at this opset");
  refuse_old(4, "Reshape", "m", "", form, "Reshape_t|its shape is missing");
  refuse_old(5, "Reshape", "m", "shape=0,-1", not_yet,
             "Reshape_t|opset 5|'shape' (|is not accepted");
  refuse_old(5, "Cast", "m", "to=1", form, "Cast_t|'to' has type 2, ONNX asks for 3");
  refuse_old(5, "Cast", "m", "to=STRING", form,
             "Cast_t|attribute to is 'STRING': accepted values: FLOAT");
  refuse_old(5, "Cast", "m", "to=INT64", not_yet, "casts an activation to type 7");
  refuse_old(6, "Cast", "m", "to=FLOAT", form, "'to' has type 3, ONNX asks for 2");
  refuse_old(6, "Gemm", "m,u", "", form, "Gemm_t|has 2 inputs: it takes 3 at this opset");
  refuse_old(7, "Gemm", "m,u,b", "broadcast=1", not_yet, "Gemm_t|'broadcast' (|is not accepted");
  refuse_old(6, "Relu", "m", "consumed_inputs=0,", not_yet,
             "Relu_t|'consumed_inputs' (1 numbers) is not accepted");
  refuse_old(5, "Tile", "m,shape", "", not_yet, "Tile_t|the model's opset has no such operator");
  refuse_old(7, "Expand", "m,shape", "", not_yet, "opset 7|since opset 8");
}

/* Casts of constants, to types given as words. */
static void casts_by_words(void **state) {
  (void)state;
  static const char *const words[] = {"to=FLOAT", "to=DOUBLE", "to=FLOAT16"};
  for (size_t i = 0; i < 3; i++) {
    network n = {.opset = 5, .ir = 3};
    graph g;
    begin_network(&n);
    add_integers(&n, "three", "1", (const int64_t[]){3});
    add(&n, "Cast", "three", "a", "to=INT32");
    add(&n, "Cast", "a", "k", words[i]);
    add(&n, "Mul", "c,k", "t", "broadcast=1");
    end_network(&n);
    load_good(&n, &g);
    assert_float_equal(find_node(&g, "Conv_c")->weights[0], 3 * random_float(1, 0), 1e-6);
    unload(&g);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_network_of_each_opset),
      cmocka_unit_test(normalisations_in_training_are_refused),
      cmocka_unit_test(broadcasting_by_axis),
      cmocka_unit_test(other_axes_are_refused),
      cmocka_unit_test(constants_broadcast_at_the_end_only),
      cmocka_unit_test(attributes_and_inputs_by_opset),
      cmocka_unit_test(casts_by_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
