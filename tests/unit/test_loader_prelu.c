/* PRelu: which slopes are accepted, what they become in the graph, and every refusal's
 * message. */
#include <math.h>
#include <stdio.h>

#include "loader_network.h"

static const float slopes[6] = {0.25F, -0.5F, 0.125F, 2.0F, 0.5F, 0.75F};

/* Add PRelu "t" of `input` with slopes of this shape, before and after it. */
static void add_prelu(network *n, const char *input, const char *dims, const float *numbers) {
  char inputs[32];
  (void)snprintf(inputs, sizeof inputs, "%s,s", input);
  add_floats(n, "s", dims, numbers);
  add(n, "PRelu", inputs, "t", "");
}

static void check_prelu(network *n, graph_op op) {
  graph g;
  load_good(n, &g);
  check_invariants(&g);
  const graph_node *prelu = find_node(&g, "PRelu_t");
  assert_int_equal(prelu->op, op);
  assert_int_equal(prelu->weight_count, op == GRAPH_PRELU ? 4 : 0);
  if (op == GRAPH_PRELU) assert_memory_equal(prelu->weights, slopes, 4 * sizeof *slopes);
  if (op == GRAPH_LEAKY_RELU) assert_float_equal(prelu->scalar, slopes[0], 0);
  unload(&g);
}

/* The channels of (n,c,h,w) and (n,h,w,c), of vectors, and as a list, which ONNX had
 * before opset 7 and MXNet wrote in newer files. */
static void prelus_have_a_slope_for_each_channel(void **state) {
  (void)state;
  static const struct {
    int64_t opset;
    const char *dims;
    graph_op op;
  } cases[] = {{13, "4,1,1", GRAPH_PRELU},    {16, "1,4,1,1", GRAPH_PRELU},
               {6, "4", GRAPH_PRELU},         {8, "4", GRAPH_PRELU},
               {13, "1", GRAPH_LEAKY_RELU},   {13, "", GRAPH_LEAKY_RELU},
               {9, "1,1,1", GRAPH_LEAKY_RELU}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network n = {.opset = cases[i].opset};
    begin_network(&n);
    add_prelu(&n, "c", cases[i].dims, slopes);
    end_network(&n);
    check_prelu(&n, cases[i].op);
  }
  network last = {0}, vector = {0}, behind = {0};
  begin_network(&last);
  add(&last, "Transpose", "c", "l", "perm=0,2,3,1");
  add_prelu(&last, "l", "1,1,4", slopes);
  add(&last, "Transpose", "t", "u", "perm=0,3,1,2");
  add(&last, "GlobalAveragePool", "u", "p", "");
  add(&last, "Flatten", "p", "y", "");
  check_prelu(&last, GRAPH_PRELU);
  begin_network(&vector);
  add(&vector, "GlobalAveragePool", "c", "p", "");
  add(&vector, "Flatten", "p", "f", "");
  add_prelu(&vector, "f", "4", slopes);
  add_random(&vector, "m", "4,5", 3);
  add(&vector, "MatMul", "t,m", "y", "");
  check_prelu(&vector, GRAPH_PRELU);
  begin_network(&behind);
  add_floats(&behind, "k", "4", slopes);
  add_integers(&behind, "axes", "2", (int64_t[]){1, 2});
  add(&behind, "Unsqueeze", "k,axes", "s", "");
  add(&behind, "PRelu", "c,s", "t", "");
  end_network(&behind);
  check_prelu(&behind, GRAPH_PRELU);
}

/* Slopes of 0 are a ReLU, slopes of 1 nothing, equal ones a LeakyRelu. */
static void equal_slopes_are_simpler_operators(void **state) {
  (void)state;
  for (int slope = 0; slope < 3; slope++) {
    const float number = slope < 2 ? (float)slope : 0.25F,
                equal[4] = {number, number, number, number};
    network n = {0}, plain = {0};
    begin_network(&n);
    add_prelu(&n, "c", "4,1,1", equal);
    end_network(&n);
    begin_network(&plain);
    if (slope == 0) add(&plain, "Relu", "c", "t", "");
    if (slope == 1) add(&plain, "Identity", "c", "t", "");
    if (slope == 2) add(&plain, "LeakyRelu", "c", "t", "alpha=0.25");
    end_network(&plain);
    same_graphs(&n, &plain);
  }
}

static void refuse_slopes(const char *dims, const float *numbers, resnet_status status,
                          const char *what) {
  network n = {.input = "N,3,8,4"};
  begin_network(&n);
  add_prelu(&n, "c", dims, numbers);
  end_network(&n);
  refuse_network(&n, status, what);
}

static void other_slopes_are_refused(void **state) {
  (void)state;
  const char *accepted = "PRelu_t|'s' has|1 for each channel|(c,1,1)|shared_axes";
  static const float infinite[4] = {1, INFINITY, 0, 0};
  refuse_slopes("6,1,1", slopes, RESNET_ERROR_FORMAT, accepted);
  /* ONNX matches the list with the width, of 4 here */
  refuse_slopes("4", slopes, RESNET_ERROR_UNSUPPORTED, accepted);
  refuse_slopes("1,4", slopes, RESNET_ERROR_UNSUPPORTED, accepted);
  refuse_slopes("4,1,1", infinite, RESNET_ERROR_FORMAT, "slope 's'|inf");
  network computed = {0}, whole = {0};
  begin_network(&computed);
  add(&computed, "GlobalAveragePool", "c", "s", "");
  add(&computed, "PRelu", "c,s", "t", "");
  end_network(&computed);
  refuse_network(&computed, RESNET_ERROR_UNSUPPORTED, "its slope ('s')|must be constants");
  begin_network(&whole);
  add_integers(&whole, "s", "4,1,1", (int64_t[]){1, 2, 3, 4});
  add(&whole, "PRelu", "c,s", "t", "");
  end_network(&whole);
  refuse_network(&whole, RESNET_ERROR_UNSUPPORTED, accepted);
}

/* ---- slopes and activations in other spellings ------------------------------------- */

/* Equal slopes of every shape that ONNX broadcasts are one number. */
static void equal_slopes_of_any_shape_are_one(void **state) {
  (void)state;
  static const char *const shapes[] = {"8", "8,1", "8,8", "4,8,8", "1,1,1,8"};
  float equal[4 * 8 * 8];
  for (size_t i = 0; i < 4 * 8 * 8; i++) equal[i] = slopes[0];
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    network n = {0};
    begin_network(&n);
    add_prelu(&n, "c", shapes[i], equal);
    end_network(&n);
    check_prelu(&n, GRAPH_LEAKY_RELU);
  }
  network batch = {0};
  begin_network(&batch);
  add_prelu(&batch, "c", "2,1,1,1", equal);
  end_network(&batch);
  refuse_network(&batch, RESNET_ERROR_UNSUPPORTED, "PRelu_t|1 float, or 1 for each channel");
}

/* Load a network whose "t" is a leaky ReLU of "c", or a PReLU with `slopes`. */
static void check_spelled(network *n, graph_op op, float slope) {
  graph g;
  end_network(n);
  load_good(n, &g);
  check_invariants(&g);
  assert_int_equal(g.node_count, 4);
  const graph_node *found = &g.nodes[2];
  assert_int_equal(found->op, op);
  assert_string_equal(found->output, "t");
  if (op == GRAPH_LEAKY_RELU) assert_float_equal(found->scalar, slope, 0);
  if (op == GRAPH_PRELU) assert_memory_equal(found->weights, slopes, 4 * sizeof *slopes);
  unload(&g);
}

static void leaky_relus_are_maxima(void **state) {
  (void)state;
  static const struct {
    const char *type, *inputs;
    float slope;
    bool accepted;
  } cases[] = {{"Max", "m,c", 0.25F, true},  {"Max", "c,m", 0.25F, true},
               {"Max", "c,m", -2, true},     {"Min", "m,c", 1.5F, true},
               {"Max", "m,c", 1.5F, false},  {"Min", "m,c", 0.25F, false},
               {"Max", "m,m2", 0.25F, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network n = {0};
    begin_network(&n);
    add_floats(&n, "k", "", &cases[i].slope);
    add(&n, "Mul", "c,k", "m", "");
    add(&n, "Mul", "c,k", "m2", "");
    add(&n, cases[i].type, cases[i].inputs, "t", "");
    if (cases[i].accepted) {
      check_spelled(&n, GRAPH_LEAKY_RELU, cases[i].slope);
      continue;
    }
    end_network(&n);
    refuse_network(&n, RESNET_ERROR_UNSUPPORTED, "of two activations, '|one and constants are");
  }
}

/* Relu(x) - a * Relu(-x), as MXNet's and Keras's exporters spell a PReLU. */
static void prelus_are_split(void **state) {
  (void)state;
  static const float minus_one = -1, equal[4] = {0.25F, 0.25F, 0.25F, 0.25F};
  const float negative[4] = {-slopes[0], -slopes[1], -slopes[2], -slopes[3]};
  for (int variant = 0; variant < 5; variant++) {
    network n = {0};
    const float *numbers = variant == 4 ? equal : variant ? negative : slopes;
    begin_network(&n);
    add_floats(&n, "a", "4,1,1", numbers);
    add_floats(&n, "minus", "1", &minus_one);
    add(&n, "Relu", "c", "r", "");
    add(&n, variant == 3 ? "Mul" : "Neg", variant == 3 ? "c,minus" : "c", "n", "");
    add(&n, "Relu", "n", "s", "");
    add(&n, "Mul", "s,a", "m", "");
    const bool subtracts = variant == 0 || variant == 4;
    add(&n, subtracts ? "Sub" : "Add", variant == 2 ? "m,r" : "r,m", "t", "");
    check_spelled(&n, variant == 4 ? GRAPH_LEAKY_RELU : GRAPH_PRELU, 0.25F);
  }
  network other = {0};
  begin_network(&other);
  add(&other, "Relu", "c", "r", "");
  add(&other, "Relu", "c", "s", "");
  add(&other, "Neg", "s", "m", "");
  add(&other, "Sub", "r,m", "t", "");
  end_network(&other);
  refuse_network(&other, RESNET_ERROR_UNSUPPORTED, "Sub_t|combines two activations");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prelus_have_a_slope_for_each_channel),
      cmocka_unit_test(equal_slopes_are_simpler_operators),
      cmocka_unit_test(other_slopes_are_refused),
      cmocka_unit_test(equal_slopes_of_any_shape_are_one),
      cmocka_unit_test(leaky_relus_are_maxima),
      cmocka_unit_test(prelus_are_split),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
