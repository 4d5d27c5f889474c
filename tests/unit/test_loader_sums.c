/* Sum and Mean of many tensors. */
#include <string.h>

#include "loader_network.h"

/* A sum of many is a chain of additions. */
static void sums_of_many_are_chains(void **state) {
  (void)state;
  static const float terms[4] = {0.25F, -0.5F, 0.125F, 2.0F};
  network n = {0}, chain = {0};
  network *both[] = {&n, &chain};
  for (size_t i = 0; i < 2; i++) {
    begin_network(both[i]);
    add_conv(both[i], "c", "d", "4,4,1,1", "");
    add_floats(both[i], "k", "4,1,1", terms);
    add_floats(both[i], "one", "", terms);
  }
  add(&n, "Sum", "k,c,d,c,one,d", "t", "");
  end_network(&n);
  add(&chain, "Add", "c,k", "t1", "");
  add(&chain, "Add", "t1,d", "t2", "");
  add(&chain, "Add", "t2,c", "t3", "");
  add(&chain, "Add", "t3,one", "t4", "");
  add(&chain, "Add", "t4,d", "t", "");
  end_network(&chain);
  same_graphs(&n, &chain);
  graph g;
  begin_network(&n);
  add(&n, "Sum", "c,c,c", "t", "");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(g.node_count, 5);
  assert_string_equal(g.nodes[2].output, ""); /* it equals no tensor of the file */
  assert_string_equal(g.nodes[3].output, "t");
  unload(&g);
}

/* A Mean is a sum and a scale; of one it is nothing. */
static void means_of_some_are_scaled_sums(void **state) {
  (void)state;
  network mean = {0}, sum = {0}, one = {0}, none = {0};
  static const float third = 1.0F / 3;
  begin_network(&mean);
  add(&mean, "Relu", "c", "r", "");
  add(&mean, "Mean", "c,r,c", "t", "");
  end_network(&mean);
  begin_network(&sum);
  add_floats(&sum, "third", "", &third);
  add(&sum, "Relu", "c", "r", "");
  add(&sum, "Sum", "c,r,c", "s", "");
  add(&sum, "Mul", "s,third", "t", "");
  end_network(&sum);
  same_graphs(&mean, &sum);
  begin_network(&one);
  add(&one, "Mean", "c", "t", "");
  end_network(&one);
  begin_network(&none);
  add(&none, "Identity", "c", "t", "");
  end_network(&none);
  same_graphs(&one, &none);
}

/* Each addition of a Sum has the Sum's name: long ones are cut, between characters. */
static void long_names_are_cut(void **state) {
  (void)state;
  enum { SIZE = 400 };
  network n = {0};
  graph g;
  char name[SIZE + 1];
  /* "Sum_", then characters of two bytes from an odd place on */
  for (size_t i = 0; i < SIZE; i++) name[i] = i == 0 ? 'a' : i % 2 ? '\xc3' : '\xa9';
  name[SIZE - 1] = 'z';
  name[SIZE] = '\0';
  begin_network(&n);
  add(&n, "Relu", "c", "r", "");
  add(&n, "Sum", "c,r,r,c", name, "");
  add(&n, "Identity", name, "t", "");
  end_network(&n);
  load_good(&n, &g);
  size_t sums = 0, outputs = 0;
  for (uint32_t i = 0; i < g.node_count; i++) {
    if (g.nodes[i].op != GRAPH_ADD) continue;
    assert_int_equal(strlen(g.nodes[i].name), 255);
    assert_memory_equal(g.nodes[i].name, "Sum_a\xc3\xa9", 7);
    outputs += g.nodes[i].output[0] != '\0';
    sums++;
  }
  assert_int_equal(sums, 3);
  assert_int_equal(outputs, 1);
  unload(&g);
}

static void other_sums_are_refused(void **state) {
  (void)state;
  network n = {0}, many = {0};
  begin_network(&n);
  add_random(&n, "k", "3,1,1", 1);
  add(&n, "Sum", "c,c,k", "t", "");
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_FORMAT, "Sum_t|'k' has 3 numbers");
  begin_network(&many);
  char inputs[2 * 1025 + 1];
  for (size_t i = 0; i < 1025; i++) memcpy(inputs + 2 * i, "c,", 2);
  inputs[2 * 1025 - 1] = '\0';
  add(&many, "Sum", inputs, "t", "");
  end_network(&many);
  refuse_network(&many, RESNET_ERROR_UNSUPPORTED, "sums 1025 tensors: up to 1024");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_of_many_are_chains),
      cmocka_unit_test(means_of_some_are_scaled_sums),
      cmocka_unit_test(long_names_are_cut),
      cmocka_unit_test(other_sums_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
