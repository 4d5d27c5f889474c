/* Selections of the input's channels: folded into the first convolution. */
#include <string.h>

#include "loader_network.h"

enum { OUTPUTS = 4, TAPS = 9 };

/* Add the stem "t" on `input`, of `channels`, and a head. */
static void add_stem(network *n, const char *input, const char *dims) {
  add_conv(n, input, "t", dims, "pads=1,1,1,1");
  end_network(n);
}

static const graph_node *stem_of(const graph *g, uint32_t at) {
  assert_int_equal(g->nodes[at].op, GRAPH_CONV);
  return &g->nodes[at];
}

/* Check that weights of channel `k` are those of channel `from` in `other`. */
static void same_channel(const graph_node *a, uint32_t k, const graph_node *b, uint32_t from) {
  for (uint32_t row = 0; row < OUTPUTS * TAPS; row++)
    assert_float_equal(a->weights[row * 3 + k], b->weights[row * 3 + from], 0);
}

static void an_order_is_folded_behind_a_normalisation(void **state) {
  (void)state;
  const float mean[3] = {1, 2, 3}, deviation[3] = {4, 5, 8};
  network n = {0}, plain = {0};
  graph g, expected;
  add_integers(&n, "order", "3", (int64_t[]){2, 0, 1});
  add_floats(&n, "mean", "3,1,1", mean);
  add_floats(&n, "deviation", "3,1,1", deviation);
  add(&n, "Gather", "x,order", "a", "axis=1");
  add(&n, "Sub", "a,mean", "b", "");
  add(&n, "Div", "b,deviation", "d", "");
  add_stem(&n, "d", "4,3,3,3");
  load_good(&n, &g);
  /* channel k of the input is channel (1,2,0)[k] of the layer */
  const float scales[3] = {0.2F, 0.125F, 0.25F}, shifts[3] = {-0.4F, -0.375F, -0.25F};
  assert_int_equal(g.nodes[1].op, GRAPH_AFFINE);
  for (size_t k = 0; k < 3; k++) {
    assert_float_equal(g.nodes[1].weights[k], scales[k], 1e-7F);
    assert_float_equal(g.nodes[1].bias[k], shifts[k], 1e-7F);
  }
  const graph_node folded = *stem_of(&g, 2);
  float weights[OUTPUTS * TAPS * 3];
  memcpy(weights, folded.weights, sizeof weights);
  unload(&g);
  add_stem(&plain, "x", "4,3,3,3");
  load_good(&plain, &expected);
  const graph_node copy = {.weights = weights};
  same_channel(&copy, 0, stem_of(&expected, 1), 1);
  same_channel(&copy, 1, stem_of(&expected, 1), 2);
  same_channel(&copy, 2, stem_of(&expected, 1), 0);
  unload(&expected);
}

static void grey_adds_up_the_weights(void **state) {
  (void)state;
  network n = {.input = "N,1,8,8"}, plain = {0};
  graph g, expected;
  add(&n, "Concat", "x,x,x", "a", "axis=1");
  add_stem(&n, "a", "4,3,3,3");
  load_good(&n, &g);
  assert_int_equal(g.nodes[0].shape.c, 1);
  assert_int_equal(stem_of(&g, 1)->weight_count, OUTPUTS * TAPS);
  float weights[OUTPUTS * TAPS];
  memcpy(weights, stem_of(&g, 1)->weights, sizeof weights);
  unload(&g);
  add_stem(&plain, "x", "4,3,3,3");
  load_good(&plain, &expected);
  for (size_t row = 0; row < OUTPUTS * TAPS; row++) {
    const float *three = stem_of(&expected, 1)->weights + row * 3;
    assert_float_equal(weights[row], three[0] + three[1] + three[2], 1e-6F);
  }
  unload(&expected);
}

static void refuse_split(const char *input, const char *outputs, const char *sizes,
                         resnet_status status, const char *what) {
  network n = {.opset = 12};
  begin_network(&n);
  add(&n, "Split", input, outputs, sizes);
  add(&n, "Add", "x,a", "t", "");
  end_network(&n);
  refuse_network(&n, status, what);
}

static void other_selections_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_split("c", "a,b", "axis=1", not_yet, "Split_a|models that split channels (Res2Net");
  refuse_split("x", "a,b", "axis=2", not_yet, "Split_a|the input may be split");
  refuse_split("x", "a,b,d,e", "axis=1", not_yet, "the input may be split");
  refuse_split("x", "a,b", "axis=1 split=1,3", form, "parts that do not fit");
  refuse_split("x", "a,b", "axis=1 split=1,1", form, "leaves 1 channels over");
  refuse_split("x", "a,b", "axis=1 split=0,3", form, "parts that do not fit");
  network far = {0};
  add_integers(&far, "order", "3", (int64_t[]){2, 3, 1});
  add(&far, "Gather", "x,order", "a", "axis=1");
  add_stem(&far, "a", "4,3,3,3");
  refuse_network(&far, form, "Gather_a|takes channel 3 of 3");
  network tile = {0};
  add_integers(&tile, "repeats", "4", (int64_t[]){1, 1, 2, 1});
  add(&tile, "Tile", "x,repeats", "a", "");
  add_stem(&tile, "a", "4,3,3,3");
  refuse_network(&tile, not_yet, "Tile_a|layers and other axes not");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_order_is_folded_behind_a_normalisation),
      cmocka_unit_test(grey_adds_up_the_weights),
      cmocka_unit_test(other_selections_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
