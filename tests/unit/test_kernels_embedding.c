/* Compares the kernels of embeddings with the plain reference: vectors of maps, powers,
 * norms. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/kernels/table.h"
#include "tests/unit/kernel_network.h"
#include "tests/unit/rounds.h"

enum { ROUNDS = 50 };

static void random_run(network *n) {
  network_check(n, 1 + random_below(3), 1 + random_below(2), RESNET_CONV_AUTO);
}

/* Both orders, shapes odd and even. */
static void test_flatten(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(2 * ROUNDS); round++) {
    network n = network_new(random_shape());
    const graph_shape in = n.graph.nodes[0].shape;
    graph_node *node =
        network_add_node(&n, GRAPH_FLATTEN, 0, (graph_shape){1, 1, in.h * in.w * in.c});
    node->channels_last = round % 2;
    random_run(&n);
  }
}

/* Powers of positive numbers, whole and broken, and of negative ones. The kernel's double
 * precision leaves the rounding to float: half a unit of 2^-23, and a little. */
static void test_power(void **unused) {
  (void)unused;
  const float exponents[] = {3, 1.0f / 3, 2.71f, 0.5f, -1, 2, 6.5f, 1e-3f, -7};
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    network n = network_new(random_shape());
    const graph_shape in = n.graph.nodes[0].shape;
    graph_node *clamp = network_add_node(&n, GRAPH_CLAMP, 0, in);
    clamp->clamp_min = 0.01f;
    graph_node *node = network_add_node(&n, GRAPH_POWER, 1, in);
    node->scalar = exponents[round % 9];
    (void)network_measure(&n, 1 + random_below(3), 1 + random_below(3), RESNET_CONV_AUTO, 2.0f,
                          0x1.2p-24);
  }
}

static float power_once(float x, float exponent) {
  float y;
  const plan_op op = {.shape = {1, 1, 1}, .scalar = exponent};
  const kernel_call call = {.op = &op, .batch = 1, .input = {&x}, .output = &y};
  kernel_power.run(&call);
  return y;
}

static float flush(float x) { return fabsf(x) < FLT_MIN ? copysignf(0, x) : x; }

/* Zeros, infinities, NaN and negative numbers as C's pow; subnormal numbers are 0, as in
 * every kernel. */
static void test_ends_of_power(void **unused) {
  (void)unused;
  const float numbers[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 1, -1, -2.5f, 1e-40f, 3e38f, -1e-3f};
  const float exponents[] = {0, 1, 2, 3, -1, -2, -3, 0.5f, -0.5f, 2.5f, 1e6f, -1e6f, 1e30f};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    for (size_t k = 0; k < sizeof exponents / sizeof *exponents; k++) {
      const double exact = pow((double)flush(numbers[i]), (double)exponents[k]);
      const float found = power_once(numbers[i], exponents[k]), want = flush((float)exact);
      const bool same = isnan(want) ? isnan(found)
                                    : found == want || fabsf(found - want) <= 1.2e-7f * fabsf(want);
      if (!same || (!isnan(want) && !signbit(found) != !signbit(want)))
        fail_msg("pow(%g, %g) is %g, not %g", (double)numbers[i], (double)exponents[k],
                 (double)found, (double)want);
    }
}

/* Each divisor, on vectors and maps. */
static void test_l2_normalize(void **unused) {
  (void)unused;
  for (size_t round = 0; round < rounds_of(4 * ROUNDS); round++) {
    network n = network_new(random_shape());
    graph_node *node = network_add_node(&n, GRAPH_L2_NORMALIZE, 0, n.graph.nodes[0].shape);
    node->norm_mode = (graph_norm_mode)(round % 4);
    if (node->norm_mode != GRAPH_NORM_ZERO) node->scalar = round % 8 < 4 ? 1e-12f : 0.5f;
    random_run(&n);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_flatten),
      cmocka_unit_test(test_power),
      cmocka_unit_test(test_ends_of_power),
      cmocka_unit_test(test_l2_normalize),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
