/* The choice of the output: the loader reads only what leads to it. */
#include <stdio.h>
#include <string.h>

#include "loader_network.h"

/* Add scores "y" (4 classes), and a class and probabilities computed from them. */
static void add_outputs(network *n) {
  begin_network(n);
  add(n, "Relu", "c", "t", "");
  end_network(n);
  add(n, "Softmax", "y", "probabilities", "axis=1");
  add(n, "ArgMax", "probabilities", "class", "axis=1");
}

static resnet_status load_output(network *n, const char *output, graph *g, resnet_error *error) {
  const load_options options = {.max_file_bytes = 1 << 20, .output = output};
  buffer file = finish(n);
  resnet_status status = load_bytes(&file, &options, g, error);
  buffer_release(&file);
  return status;
}

static void check_chosen(const char *outputs, const char *chosen, graph_op op,
                         uint32_t node_count) {
  network n = {.output = outputs};
  graph g;
  resnet_error error;
  add_outputs(&n);
  if (load_output(&n, chosen, &g, &error) != RESNET_OK) fail_msg("%s", error.message);
  check_invariants(&g);
  assert_int_equal(find_scores(&g)->op, op);
  assert_int_equal(find_scores(&g)->shape.c, 4);
  assert_int_equal(g.node_count, node_count);
  unload(&g);
}

static void outputs_are_chosen_by_name(void **state) {
  (void)state;
  /* ArgMax is not read */
  check_chosen("class,probabilities", "probabilities", GRAPH_SOFTMAX, 4);
  check_chosen("y,class", "y", GRAPH_GLOBAL_AVERAGE_POOL, 3);
  /* not an output of the graph, but a tensor of it */
  check_chosen("class", "probabilities", GRAPH_SOFTMAX, 4);
  check_chosen("class", "y", GRAPH_GLOBAL_AVERAGE_POOL, 3);
  check_chosen("y", "y", GRAPH_GLOBAL_AVERAGE_POOL, 3);
  check_chosen("y", NULL, GRAPH_GLOBAL_AVERAGE_POOL, 3);
  /* (n,c,1,1) */
  check_chosen("class,y,probabilities", "p", GRAPH_GLOBAL_AVERAGE_POOL, 3);
}

/* A map becomes a vector in ONNX's order; what reads it is neither imported nor fused. */
static void maps_are_flattened(void **state) {
  (void)state;
  const char *const maps[] = {"c", "t"}; /* before the ReLU, and behind it */
  for (size_t i = 0; i < 2; i++) {
    network n = {.output = "class"};
    graph g;
    resnet_error error;
    add_outputs(&n);
    if (load_output(&n, maps[i], &g, &error) != RESNET_OK) fail_msg("%s", error.message);
    check_invariants(&g);
    assert_int_equal(find_scores(&g)->op, GRAPH_FLATTEN);
    assert_int_equal(find_scores(&g)->shape.c, 4 * 8 * 8);
    assert_false(find_scores(&g)->channels_last);
    assert_int_equal(g.scores, RESNET_SCORES_EMBEDDING);
    const graph_node *conv = &g.nodes[1];
    assert_string_equal(conv->output, maps[i]);
    assert_true(i == 0 ? conv->clamp_min < -1 : conv->clamp_min >= 0);
    unload(&g);
  }
}

static void refuse_chosen(const char *outputs, const char *chosen, resnet_status status,
                          const char *what) {
  network n = {.output = outputs};
  graph g;
  resnet_error error;
  add_outputs(&n);
  if (load_output(&n, chosen, &g, &error) == RESNET_OK)
    fail_msg("loaded, should be refused: %s", what);
  if (!strstr(error.message, what)) fail_msg("'%s' lacks '%s'", error.message, what);
  assert_int_equal(error.status, status);
}

static void other_names_are_refused(void **state) {
  (void)state;
  const resnet_status not_yet = RESNET_ERROR_UNSUPPORTED, argument = RESNET_ERROR_ARGUMENT;
  refuse_chosen("y,class", NULL, not_yet,
                "has 2 outputs ('y', 'class'): name the one with the scores in options.output");
  refuse_chosen("y,class", "logits", argument,
                "no node computes 'logits': the graph's outputs are 'y', 'class'");
  refuse_chosen("class", "probability", argument,
                "no node computes 'probability' (but 'probabilities'): the graph's outputs are "
                "'class'");
  refuse_chosen("y", "", argument, "no node computes ''");
  refuse_chosen("y", "w", argument, "no node computes 'w'"); /* an initialiser */
  refuse_chosen("y", "x", not_yet, "'x' does not depend on any layer");
  refuse_chosen("class", NULL, not_yet, "node 'ArgMax_class' (ArgMax, opset 13)");
  refuse_chosen("class,y", "class", not_yet, "as the output (options.output)");
}

/* Names that begin alike are shown where they differ. */
static void long_names_show_their_difference(void **state) {
  (void)state;
  char name[121], other[121];
  memset(name, 'a', 120);
  name[120] = '\0';
  memcpy(other, name, sizeof name);
  name[118] = 'b';
  other[118] = 'z';
  network n = {.output = name};
  graph g;
  resnet_error error;
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", name, "");
  assert_int_equal(load_output(&n, other, &g, &error), RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(error.message, "'...aaaaaaaaaaza' (but '...aaaaaaaaaaba')"));
}

/* However many and long the names are, the message has room for them. */
static void many_outputs_fit_the_message(void **state) {
  (void)state;
  char outputs[1200] = "";
  for (int i = 0; i < 12; i++) {
    size_t used = strlen(outputs);
    (void)snprintf(outputs + used, sizeof outputs - used, "%s%d%070d", i ? "," : "", i, 0);
  }
  refuse_chosen(outputs, NULL, RESNET_ERROR_UNSUPPORTED, "the graph has 12 outputs ('0000");
  network none = {.output = ","};
  graph g;
  resnet_error error;
  begin_network(&none);
  assert_int_equal(load_output(&none, NULL, &g, &error), RESNET_ERROR_FORMAT);
}

/* Unsupported operators, training flags, even cycles are ignored where nothing reads
 * them. */
static void unused_nodes_are_not_read(void **state) {
  (void)state;
  network n = {0}, plain = {0};
  begin_network(&n);
  add(&n, "Frobnicate", "c", "f", "speed=2");
  add(&n, "Loop", "f", "g", "");
  add(&n, "Relu", "h", "i", "");
  add(&n, "Relu", "i", "h", "");
  add(&n, "Conv", "c,c", "j", "strides=0,0");
  add(&n, "Relu", "nothing", "k", "");
  add(&n, "Relu", "c", "t", "");
  end_network(&n);
  begin_network(&plain);
  add(&plain, "Relu", "c", "t", "");
  end_network(&plain);
  same_graphs(&n, &plain);
}

/* A node is kept if any of its outputs is read, but only the first is computed. */
static void second_outputs_are_not_computed(void **state) {
  (void)state;
  network n = {.opset = 11, .output = "mask"};
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "p", "");
  add(&n, "Dropout", "p", "y,mask", "");
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED,
                 "output 'mask' is not the first output of node 'Dropout_y'");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(outputs_are_chosen_by_name),
      cmocka_unit_test(maps_are_flattened),
      cmocka_unit_test(other_names_are_refused),
      cmocka_unit_test(long_names_show_their_difference),
      cmocka_unit_test(many_outputs_fit_the_message),
      cmocka_unit_test(unused_nodes_are_not_read),
      cmocka_unit_test(second_outputs_are_not_computed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
