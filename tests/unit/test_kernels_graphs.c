/* Compares random graphs of gates, sums and convolutions with the plain reference. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/kernel_network.h"
#include "tests/unit/rounds.h"

static const graph_window same3x3 = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1};

/* Indices of nodes of one shape: feature maps, or tensors pooled from one. */
typedef struct node_list {
  uint32_t nodes[MAX_NODES], count;
} node_list;

static uint32_t any_of(const node_list *list) {
  const uint32_t recent = list->count > 4 && random_below(3) ? 4 : list->count;
  return list->nodes[list->count - 1 - random_below(recent)];
}

static void add_random_node(network *n, graph_shape s, node_list *whole, node_list *pooled) {
  const uint32_t x = any_of(whole), kind = pooled->count ? random_below(9) : 8;
  if (kind == 0) {
    (void)network_add_conv(n, x, &same3x3, 1, s.c);
  } else if (kind == 1) {
    (void)network_add_node(n, GRAPH_CLAMP, x, s);
  } else if (kind == 2) {
    (void)network_add_sigmoid(n, x);
  } else if (kind < 5) {
    graph_node *sum = network_add_node(n, GRAPH_ADD, x, s);
    sum->input[1] = any_of(whole);
    sum->input_count = 2;
    /* sums of sums stay small, so that the tolerance means rounding */
    sum->clamp_min = -1.0f;
    sum->clamp_max = 1.0f;
  } else if (kind < 7) {
    (void)network_add_scale(n, x, any_of(random_below(2) ? pooled : whole), random_below(2));
  } else if (kind == 7) {
    (void)network_add_sigmoid(n, any_of(pooled));
  } else {
    (void)network_add_pooled(n, x);
  }
  node_list *list = kind < 7 ? whole : pooled;
  list->nodes[list->count++] = n->graph.output;
}

/* Sums, clamps, gates, products and convolutions that read any earlier node; some nodes
 * have no reader. */
static void test_buffers_of_gates_in_random_graphs(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(80); round++) {
    const graph_shape s = {1 + random_below(6), 1 + random_below(6), 1 + random_below(20)};
    network n = network_new(s);
    const uint32_t count = 5 + random_below(MAX_NODES - 6);
    node_list whole = {.count = 1}, pooled = {.count = 0};
    while (n.graph.node_count < count) add_random_node(&n, s, &whole, &pooled);
    network_check(&n, 1 + random_below(3), 1 + random_below(2), random_below(3));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_buffers_of_gates_in_random_graphs)};
  return cmocka_run_group_tests_name("kernels in graphs", tests, NULL, NULL);
}
