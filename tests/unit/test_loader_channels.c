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

/* Add x[:, order] as PyTorch writes it: GatherND of (c,n,h,w). The result is "b". */
static void add_gather_nd(network *n, const char *x, const char *order_dims, const int64_t *order) {
  add_integers(n, "order", order_dims, order);
  add(n, "Transpose", x, "e", "perm=1,0,2,3");
  add(n, "GatherND", "e,order", "s", "");
  add(n, "Transpose", "s", "b", "perm=1,0,2,3");
}

static void gather_nd_is_gather(void **state) {
  (void)state;
  const float scale[1] = {0.25F};
  const int64_t order[3] = {2, -3, 1};
  for (size_t place = 0; place < 3; place++) {
    network nd = {0}, plain = {0}, *const both[2] = {&nd, &plain};
    for (size_t i = 0; i < 2; i++) {
      const char *x = place == 0 ? "x" : "m";
      add_floats(both[i], "scale", "1", scale);
      add_integers(both[i], "pads", "8", (int64_t[]){0, 0, 1, 0, 0, 0, 0, 1});
      if (place == 1) add(both[i], "Mul", "x,scale", "m", "");
      if (place == 2) add(both[i], "Pad", "x,pads", "m", "");
      if (i == 0) add_gather_nd(both[i], x, "3,1", order);
      if (i == 1) add_integers(both[i], "order", "3", order);
      if (i == 1) add(both[i], "Gather", place == 0 ? "x,order" : "m,order", "b", "axis=1");
      add_stem(both[i], "b", "4,3,3,3");
    }
    same_graphs(&nd, &plain);
  }
}

static void gather_nd_of_channels_last(void **state) {
  (void)state;
  const int64_t order[3] = {2, 1, 0};
  for (size_t merged = 0; merged < 2; merged++) {
    network nd = {.input = "N,8,6,3"}, plain = {.input = "N,3,8,6"};
    add_integers(&nd, "order", "3,1", order);
    add(&nd, "Transpose", "x", "e", "perm=3,0,1,2");
    add(&nd, "Identity", "e", "i", "");
    add(&nd, "GatherND", "i,order", "s", "batch_dims=0");
    add(&nd, "Transpose", "s", merged ? "b" : "l", merged ? "perm=1,0,2,3" : "perm=1,2,3,0");
    if (!merged) add(&nd, "Transpose", "l", "b", "perm=0,3,1,2");
    add_stem(&nd, "b", "4,3,3,3");
    add_integers(&plain, "order", "3", order);
    add(&plain, "Gather", "x,order", "b", "axis=1");
    add_stem(&plain, "b", "4,3,3,3");
    same_graphs(&nd, &plain);
  }
}

static void exchanged_layers_are_views(void **state) {
  (void)state;
  network twice = {0}, plain = {0};
  begin_network(&twice);
  add(&twice, "Transpose", "c", "e", "perm=1,0,2,3");
  add(&twice, "Transpose", "e", "f", "perm=0,1,2,3");
  add(&twice, "Transpose", "f", "t", "perm=1,0,2,3");
  end_network(&twice);
  begin_network(&plain);
  add(&plain, "Identity", "c", "t", "");
  end_network(&plain);
  same_graphs(&twice, &plain);
}

static void gather_repeats_grey(void **state) {
  (void)state;
  network n = {.input = "N,1,8,8"}, nd = {.input = "N,1,8,8"}, plain = {.input = "N,1,8,8"};
  network again = {.input = "N,1,8,8"};
  add_integers(&n, "order", "3", (int64_t[]){0, 0, -1});
  add(&n, "Gather", "x,order", "b", "axis=1");
  add_stem(&n, "b", "4,3,3,3");
  add(&plain, "Concat", "x,x,x", "b", "axis=1");
  add_stem(&plain, "b", "4,3,3,3");
  same_graphs(&n, &plain);
  add_gather_nd(&nd, "x", "3,1", (int64_t[]){0, -1, 0});
  add_stem(&nd, "b", "4,3,3,3");
  add(&again, "Concat", "x,x,x", "b", "axis=1");
  add_stem(&again, "b", "4,3,3,3");
  same_graphs(&nd, &again);
}

/* Refuse GatherND of `x` with the indices `dims`. */
static void refuse_gather_nd(const char *inputs, const char *dims, const char *attributes,
                             resnet_status status, const char *what) {
  network n = {0};
  begin_network(&n);
  add_integers(&n, "order", dims, (int64_t[]){2, 3, 1});
  add_integers(&n, "none", "0,1", NULL);
  add_integers(&n, "number", "", (int64_t[]){0});
  add_floats(&n, "floats", "3,1", (float[]){2, 1, 0});
  add(&n, "Shape", "x", "shape", "");
  add(&n, "Transpose", "x", "e", "perm=1,0,2,3");
  add(&n, "Transpose", "c", "layer", "perm=1,0,2,3");
  add(&n, "GatherND", inputs, "s", attributes);
  add(&n, "Transpose", "s", "t", "perm=1,0,2,3");
  end_network(&n);
  refuse_network(&n, status, what);
}

static void other_gather_nd_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_gather_nd("e,order", "3,1", "", form, "GatherND_s|takes channel 3 of 3");
  refuse_gather_nd("e,none", "3,1", "", not_yet, "GatherND_s|takes 0 channels");
  refuse_gather_nd("e,floats", "3,1", "", form, "its indices must be integers");
  refuse_gather_nd("e,number", "3,1", "", form, "its indices must be integers");
  refuse_gather_nd("e,shape", "3,1", "", not_yet, "its indices depend on the batch size");
  refuse_gather_nd("e,c", "3,1", "", not_yet, "indices ('c') are computed from the image");
  const char *what = "takes elements of 'e'|(c,n,h,w), with indices (count,1) and batch_dims 0";
  refuse_gather_nd("e,order", "3", "", not_yet, what);
  refuse_gather_nd("e,order", "1,3", "", not_yet, what);
  refuse_gather_nd("e,order", "1,3,1", "", not_yet, what);
  refuse_gather_nd("e,order", "3,1", "batch_dims=1", not_yet, what);
  refuse_gather_nd("layer,order", "3,1", "", not_yet, "takes elements of 'layer'");
  refuse_gather_nd("x,order", "3,1", "", not_yet, "takes elements of 'x'");
}

/* Refuse a node that reads "e", the layer as (c,n,h,w). */
static void refuse_reader(const char *operator_type, const char *inputs, const char *attributes,
                          const char *what) {
  network n = {0};
  begin_network(&n);
  add(&n, "Transpose", "c", "e", "perm=1,0,2,3");
  add_floats(&n, "number", "1", (float[]){2});
  add(&n, operator_type, inputs, "t", attributes);
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, what);
}

static void exchanged_images_have_no_other_readers(void **state) {
  (void)state;
  const char *what = "reads 'e', which was transposed to (c,n,h,w)";
  refuse_reader("Relu", "e", "", what);
  refuse_reader("Mul", "e,number", "", what);
  refuse_reader("Add", "c,e", "", what);
  refuse_reader("Concat", "e,e", "axis=1", what);
  refuse_reader("Flatten", "e", "", what);
  refuse_reader("Shape", "e", "", what);
  refuse_reader("Identity", "e", "", "GlobalAveragePool_p|reads 't', which was transposed");
  refuse_reader("Transpose", "e", "perm=1,2,0,3", "changes the order of the axes of 'e'");
  refuse_reader("Transpose", "e", "perm=2,0,1,3", "moves the batch of 'e' from the front");
  network rows = {.input = "N,8,8,3"}, last = {.output = "e"};
  add(&rows, "Transpose", "x", "l", "perm=0,3,1,2");
  add(&rows, "Transpose", "l", "m", "perm=0,2,3,1");
  add(&rows, "Transpose", "m", "t", "perm=1,0,2,3");
  end_network(&rows);
  refuse_network(&rows, RESNET_ERROR_UNSUPPORTED, "moves the batch of 'm' from the front");
  begin_network(&last);
  add(&last, "Transpose", "c", "e", "perm=1,0,2,3");
  refuse_network(&last, RESNET_ERROR_UNSUPPORTED, "the output 'e' is (c,n,h,w)");
}

static void joined_pixels_may_not_be_exchanged(void **state) {
  (void)state;
  network n = {0};
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "a", "");
  add(&n, "GlobalMaxPool", "c", "m", "");
  add(&n, "Transpose", "a", "e", "perm=1,0,2,3");
  add(&n, "Concat", "e,m", "t", "axis=1");
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, "reads 'e', which was transposed to (c,n,h,w)");
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
      cmocka_unit_test(gather_nd_is_gather),
      cmocka_unit_test(gather_nd_of_channels_last),
      cmocka_unit_test(exchanged_layers_are_views),
      cmocka_unit_test(gather_repeats_grey),
      cmocka_unit_test(other_gather_nd_are_refused),
      cmocka_unit_test(exchanged_images_have_no_other_readers),
      cmocka_unit_test(joined_pixels_may_not_be_exchanged),
      cmocka_unit_test(other_selections_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
