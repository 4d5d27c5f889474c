/* How a graph normalises its input: what the loader finds in many spellings. */
#include <stdio.h>
#include <string.h>

#include "loader_network.h"

static const float mean[3] = {0.485F, 0.456F, 0.406F}, deviation[3] = {0.229F, 0.224F, 0.225F};

static void add_three(network *n, const char *name, double factor, const float numbers[3],
                      const float divisors[3]) {
  float out[3];
  for (int c = 0; c < 3; c++)
    out[c] = (float)(factor * (double)numbers[c] / (divisors ? (double)divisors[c] : 1));
  add_floats(n, name, "1,3,1,1", out);
}

static void add_one(network *n, const char *name, float number) {
  add_floats(n, name, "", &number);
}

static void add_vector(network *n, const char *name, const float *numbers, double factor,
                       int power) {
  float out[3];
  for (int c = 0; c < 3; c++) {
    const double x = factor * (double)numbers[c];
    out[c] = (float)(power == 2 ? x * x : x);
  }
  add_floats(n, name, "3", out);
}

/* Add the constants of those that leave out or average pixels, and of unknown ones. */
static void add_more_constants(network *n) {
  float blur[12];
  for (int i = 0; i < 12; i++) blur[i] = 0.25F;
  add_floats(n, "blur", "3,1,2,2", blur);
  add_three(n, "learned", 1, (const float[3]){3, 4, 2}, NULL);
  add_three(n, "shifts", 1, (const float[3]){0.5F, 0.2F, 0.1F}, NULL);
  add_three(n, "alternating", 1, (const float[3]){0.229F, -0.224F, 0.225F}, NULL);
  add_integers(n, "start", "2", (const int64_t[2]){0, 0});
  add_integers(n, "end", "2", (const int64_t[2]){INT32_MAX, INT32_MAX});
  add_integers(n, "axes", "2", (const int64_t[2]){2, 3});
  add_integers(n, "steps", "2", (const int64_t[2]){2, 2});
  add_integers(n, "border", "8", (const int64_t[8]){0, 0, 1, 1, 0, 0, 1, 1});
}

/* Add the constants that the spellings use. */
static void add_constants(network *n) {
  static const float ones[3] = {1, 1, 1}, zeros[3] = {0, 0, 0};
  static const float bgr[3] = {103.939F, 116.779F, 123.68F};
  const float inverse[3] = {1 / deviation[0], 1 / deviation[1], 1 / deviation[2]};
  float weights[9] = {0}, turned[9] = {0};
  add_three(n, "m", 1, mean, NULL);
  add_three(n, "minus_m", -1, mean, NULL);
  add_three(n, "s", 1, deviation, NULL);
  add_three(n, "i", 1, inverse, NULL);
  add_three(n, "q", 1, mean, deviation);
  add_three(n, "minus_q", -1, mean, deviation);
  add_three(n, "M", 255, mean, NULL);
  add_three(n, "S", 255, deviation, NULL);
  add_three(n, "bgr", 1, bgr, NULL);
  float to_signs[3], by_signs[3];
  for (int c = 0; c < 3; c++) {
    to_signs[c] = deviation[c] * 2;
    by_signs[c] = mean[c] * 2 - 1;
  }
  add_three(n, "to_signs", 1, to_signs, NULL);
  add_three(n, "by_signs", 1, by_signs, NULL);
  add_one(n, "r255", 1.0F / 255);
  add_one(n, "r127", 1.0F / 127.5F);
  add_one(n, "n255", 255);
  add_one(n, "n127", 127.5F);
  add_one(n, "n1", 1);
  add_one(n, "n0", 0);
  add_one(n, "half", 0.5F);
  add_one(n, "two", 2);
  add_one(n, "odd", 0.3F);
  add_one(n, "n1024", 1024);
  add_vector(n, "ones", ones, 1, 1);
  add_vector(n, "zeros", zeros, 1, 1);
  add_vector(n, "vm", mean, 1, 1);
  add_vector(n, "vv", deviation, 1, 2);
  add_vector(n, "VM", mean, 255, 1);
  add_vector(n, "VV", deviation, 255, 2);
  add_vector(n, "vi", inverse, 1, 1);
  add_vector(n, "vn", (const float[3]){1.1F, 0.9F, 1.2F}, 1, 2);
  add_vector(n, "small", (const float[3]){0.1F, -0.05F, -0.1F}, 1, 1);
  float minus_q[3];
  for (int c = 0; c < 3; c++) minus_q[c] = -mean[c] / deviation[c];
  add_floats(n, "vq", "3", minus_q);
  add_floats(n, "depth", "3,1,1,1", inverse);
  for (int c = 0; c < 3; c++) {
    weights[c * 3 + c] = inverse[c];
    turned[c * 3 + 2 - c] = inverse[c];
  }
  add_floats(n, "diagonal", "3,3,1,1", weights);
  add_floats(n, "turned", "3,3,1,1", turned);
}

/* Add a spelling: nodes of "operator constants attributes" from "x" on; "-": none. Their
 * results are t0, t1, ... */
static void add_spelling(network *n, const char *const nodes[5]) {
  char before[8] = "x", after[8];
  add_constants(n);
  add_more_constants(n);
  for (int i = 0; i < 5 && nodes[i]; i++) {
    char type[32], inputs[64] = "", rest[64] = "", attributes[64] = "";
    (void)sscanf(nodes[i], "%31s %63s %63s", type, rest, attributes);
    (void)snprintf(inputs, sizeof inputs, "%s%s%.40s", before, rest[0] && rest[0] != '-' ? "," : "",
                   rest[0] == '-' ? "" : rest);
    (void)snprintf(after, sizeof after, "t%d", i);
    add(n, type, inputs, after, attributes);
    memcpy(before, after, sizeof before);
  }
  add_random(n, "w", "4,3,3,3", 1);
  char inputs[16];
  (void)snprintf(inputs, sizeof inputs, "%s,w", before);
  add(n, "Conv", inputs, "c", "pads=1,1,1,1");
  add(n, "GlobalAveragePool", "c", "p", "");
  add(n, "Flatten", "p", "y", "");
}

static graph_evidence find_evidence(const char *const nodes[5], char text[256]) {
  network n = {0};
  graph g;
  add_spelling(&n, nodes);
  load_good(&n, &g);
  graph_evidence found = g.evidence;
  (void)snprintf(text, 256, "%s", found.text ? found.text : "");
  unload(&g);
  return found;
}

static void expect_values(const char *const nodes[5], float scale, float shift, bool bgr) {
  char text[256];
  const graph_evidence e = find_evidence(nodes, text);
  if (e.kind != GRAPH_EVIDENCE_VALUES)
    fail_msg("%s, %s: kind %d '%s'", nodes[0], nodes[1] ? nodes[1] : "", (int)e.kind, text);
  assert_non_null(strstr(text, "node '"));
  assert_int_equal(e.bgr, bgr);
  assert_float_equal(e.scale, scale, scale * 1e-5F);
  for (int c = 0; c < 3; c++) {
    assert_float_equal(e.mean[c], shift, 1e-5F);
    assert_float_equal(e.std[c], 1, 1e-5F);
  }
}

static void spellings_for_values_of_0_to_1(void **state) {
  (void)state;
  static const char *const spellings[][5] = {
      {"Sub m", "Div s"},
      {"Mul i", "Add minus_q"},
      {"Mul i", "Sub q"},
      {"Div s", "Sub q"},
      {"Add minus_m", "Mul i"},
      {"BatchNormalization ones,zeros,vm,vv epsilon=0.0"},
      {"BatchNormalization vi,vq,zeros,ones epsilon=0.0"},
      {"BatchNormalization vi,ones,vm,vv"}, /* learned: only the statistics count */
      {"Conv depth,vq group=3"},
      {"Conv diagonal,vq"},
      {"Identity -", "Sub m", "Cast - to=1", "Div s"},
      {"Clip n0,n1", "Sub m", "Div s"},
      {"Clip n0,n1"},
      {"Sub half", "Div half"},
      {"Mul two", "Sub n1"},
      {"Mul n255", "Sub M"},
      {"Mul n255"},
      {"Sub m"},
      /* what keeps the range and the channels may stand anywhere before the layers */
      {"MaxPool - kernel_shape=2,2", "Sub m", "Div s"},
      {"AveragePool - kernel_shape=2,2", "Sub m", "Div s"},
      {"Slice start,end,axes,steps", "Sub m", "Div s"},
      {"Conv blur group=3", "Sub m", "Div s"},
      {"Pad border", "Sub m", "MaxPool - kernel_shape=2,2", "Div s"},
      {"Clip n0,n1", "Mul odd"},                       /* alone, its range */
      {"BatchNormalization vi,ones,vm,vv", "Mul odd"}, /* the network's */
  };
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
    expect_values(spellings[i], 255, 0, false);
}

static void spellings_for_values_of_0_to_255(void **state) {
  (void)state;
  static const char *const spellings[][5] = {
      {"Sub M", "Div S"},
      {"BatchNormalization ones,zeros,VM,VV epsilon=1e-3"},
      {"Mul r255"},
      {"Div n255"},
      {"Mul r255", "Add n0"},
      {"Mul r127", "Sub n1"},
      {"Sub n127", "Div n127"},
      {"Div n255", "Sub m", "Div s"},
      {"Div n255", "BatchNormalization vi,ones,vm,vv"},
      {"Sub M"},
      {"Clip n0,n255", "Div n127", "Sub n1"},
      {"Sub n127", "Div n127", "Mul n1024"},
      {"Div n255", "BatchNormalization vi,ones,small,vn"}, /* the network's */
  };
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
    expect_values(spellings[i], 1, 0, false);
}

static void spellings_for_values_of_minus_1_to_1(void **state) {
  (void)state;
  static const char *const spellings[][5] = {
      {"Add n1", "Mul half", "Sub m", "Div s"},
      {"Add n1", "Mul n127"},
      {"Add n1", "Mul n127", "Sub M"},
  };
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
    expect_values(spellings[i], 127.5F, 1, false);
}

static void means_in_reverse_show_bgr(void **state) {
  (void)state;
  expect_values((const char *const[5]){"Sub bgr"}, 1, 0, true);
  expect_values((const char *const[5]){"Conv turned,vq"}, 255, 0, true);
}

/* x * deviation + mean undoes the normalisation of the caller. */
static void a_reversed_normalisation_names_the_callers(void **state) {
  (void)state;
  char text[256];
  const graph_evidence e = find_evidence((const char *const[5]){"Mul s", "Add m"}, text);
  assert_int_equal(e.kind, GRAPH_EVIDENCE_VALUES);
  assert_float_equal(e.scale, 255, 0);
  for (int c = 0; c < 3; c++) {
    assert_float_equal(e.mean[c], mean[c], 1e-5F);
    assert_float_equal(e.std[c], deviation[c], 1e-5F);
  }
}

/* torchvision's transform_input: normalised images become those of -1 to 1. */
static void a_change_of_normalisation_names_the_first(void **state) {
  (void)state;
  char text[256];
  static const char *const known[][5] = {{"Mul to_signs", "Add by_signs"},
                                         {"Div half", "Mul s", "Add by_signs"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    const graph_evidence e = find_evidence(known[i], text);
    if (e.kind != GRAPH_EVIDENCE_VALUES) fail_msg("%zu: kind %d '%s'", i, (int)e.kind, text);
    assert_float_equal(e.scale, 255, 0);
    assert_int_equal(e.bgr, false);
    for (int c = 0; c < 3; c++) {
      assert_float_equal(e.mean[c], mean[c], 1e-5F);
      assert_float_equal(e.std[c], deviation[c], 1e-5F);
    }
  }
}

static void expect_kind(const char *const nodes[5], graph_evidence_kind kind) {
  char text[256];
  const graph_evidence e = find_evidence(nodes, text);
  if (e.kind != kind) fail_msg("%s: kind %d '%s'", nodes[0], (int)e.kind, text);
  assert_int_equal(text[0] == '\0', kind == GRAPH_EVIDENCE_NONE);
}

static void other_constants_stay_a_guess(void **state) {
  (void)state;
  static const char *const none[][5] = {{"Identity -"},
                                        {"Mul n1"},
                                        {"BatchNormalization ones,zeros,zeros,ones"},
                                        {"MaxPool - kernel_shape=2,2"},
                                        {"AveragePool - kernel_shape=2,2"}};
  static const char *const unknown[][5] = {
      {"Mul two"},
      {"Mul odd"},
      {"Add odd"},
      {"Sub n255"},
      {"Mul n127"},
      {"Mul learned", "Add shifts"}, /* as of images of -1 to 1, but for the factors */
      {"Sub m", "Div alternating"}}; /* known, then not */
  static const char *const normalised[][5] = {{"BatchNormalization ones,zeros,zeros,vn"},
                                              {"BatchNormalization vi,ones,small,vn"}};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) expect_kind(none[i], GRAPH_EVIDENCE_NONE);
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
    expect_kind(unknown[i], GRAPH_EVIDENCE_UNKNOWN);
  for (size_t i = 0; i < sizeof normalised / sizeof *normalised; i++)
    expect_kind(normalised[i], GRAPH_EVIDENCE_NORMALISED);
}

/* The input of one channel, as MNIST's. */
static void one_channel_is_recognised(void **state) {
  (void)state;
  network n = {.input = "1,1,8,8"};
  graph g;
  add_one(&n, "m", 0.1307F);
  add_one(&n, "s", 0.3081F);
  add_random(&n, "w", "4,1,3,3", 1);
  add(&n, "Sub", "x,m", "a", "");
  add(&n, "Div", "a,s", "b", "");
  add(&n, "Conv", "b,w", "c", "");
  add(&n, "GlobalAveragePool", "c", "p", "");
  add(&n, "Flatten", "p", "y", "");
  load_good(&n, &g);
  assert_int_equal(g.evidence.kind, GRAPH_EVIDENCE_VALUES);
  assert_float_equal(g.evidence.scale, 255, 0);
  assert_non_null(strstr(g.evidence.text, "'Div_b' computes (x - 0.1307) / 0.3081"));
  unload(&g);
}

/* Another reader of the input sees it as it is: what it expects is not known. */
static void a_second_reader_of_the_input_leaves_a_guess(void **state) {
  (void)state;
  network n = {0};
  graph g;
  add_constants(&n);
  add_random(&n, "w", "3,3,1,1", 1);
  add(&n, "Sub", "x,m", "a", "");
  add(&n, "Div", "a,s", "b", "");
  add(&n, "Conv", "x,w", "c", "");
  add(&n, "Add", "b,c", "d", "");
  add(&n, "GlobalAveragePool", "d", "p", "");
  add(&n, "Flatten", "p", "y", "");
  load_good(&n, &g);
  assert_int_equal(g.evidence.kind, GRAPH_EVIDENCE_UNKNOWN);
  assert_non_null(strstr(g.evidence.text, "node 'Sub_a' changes the input's values"));
  unload(&g);
}

/* End the network with a layer that reads "e", and return what its evidence is. */
static graph_evidence_kind kind_behind(network *n, char text[256]) {
  graph g;
  add_random(n, "w", "4,3,3,3", 1);
  add(n, "Conv", "e,w", "c", "pads=1,1,1,1");
  add(n, "GlobalAveragePool", "c", "p", "");
  add(n, "Flatten", "p", "y", "");
  load_good(n, &g);
  const graph_evidence_kind kind = g.evidence.kind;
  (void)snprintf(text, 256, "%s", g.evidence.text ? g.evidence.text : "");
  unload(&g);
  return kind;
}

/* Scale and shift each channel by itself, and join them. */
static void add_channel_by_channel(network *n) {
  static const char *const parts[3] = {"r", "g", "b"};
  for (int c = 0; c < 3; c++) {
    char name[8], inputs[16], output[8];
    (void)snprintf(name, sizeof name, "m%d", c);
    add_one(n, name, mean[c]);
    (void)snprintf(inputs, sizeof inputs, "%s,m%d", parts[c], c);
    (void)snprintf(output, sizeof output, "d%d", c);
    add(n, "Sub", inputs, output, "");
    (void)snprintf(name, sizeof name, "s%d", c);
    add_one(n, name, deviation[c]);
    (void)snprintf(inputs, sizeof inputs, "d%d,s%d", c, c);
    (void)snprintf(output, sizeof output, "n%d", c);
    add(n, "Div", inputs, output, "");
  }
  add(n, "Concat", "n0,n1,n2", "e", "axis=1");
}

static void channels_that_are_normalised_one_by_one_are_recognised(void **state) {
  (void)state;
  char text[256];
  network split = {0}, gathered = {.opset = 12};
  add(&split, "Split", "x", "r,g,b", "axis=1");
  add_channel_by_channel(&split);
  assert_int_equal(kind_behind(&split, text), GRAPH_EVIDENCE_VALUES);
  assert_non_null(strstr(text, "(x - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)"));
  for (int64_t c = 0; c < 3; c++) {
    const char *const parts[3] = {"r", "g", "b"};
    char index[8], inputs[8], taken[8];
    (void)snprintf(index, sizeof index, "i%d", (int)c);
    (void)snprintf(inputs, sizeof inputs, "x,i%d", (int)c);
    (void)snprintf(taken, sizeof taken, "t%d", (int)c);
    add_integers(&gathered, index, "", &c);
    add(&gathered, "Gather", inputs, taken, "axis=1");
    add(&gathered, "Unsqueeze", taken, parts[c], "axes=1,");
  }
  add_channel_by_channel(&gathered);
  assert_int_equal(kind_behind(&gathered, text), GRAPH_EVIDENCE_VALUES);
  assert_non_null(strstr(text, "(x - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)"));
}

/* What the graph does to its input before the layers, but not by scales and shifts. */
static void other_functions_of_the_input_leave_a_guess(void **state) {
  (void)state;
  static const char *const nodes[][2] = {{"Pow", "x,two"},      {"Sigmoid", "x"},
                                         {"LeakyRelu", "x"},    {"Sqrt", "x"},
                                         {"Conv", "x,mixture"}, {"Add", "x,square"}};
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
    network n = {0};
    char text[256];
    add_one(&n, "two", 2);
    add_random(&n, "mixture", "3,3,1,1", 4);
    if (strstr(nodes[i][1], "square")) add(&n, "Pow", "x,two", "square", "");
    add(&n, nodes[i][0], nodes[i][1], "e", "");
    if (kind_behind(&n, text) != GRAPH_EVIDENCE_UNKNOWN) fail_msg("%s: '%s'", nodes[i][0], text);
    assert_non_null(strstr(text, "changes the input's values"));
  }
}

/* Bytes are 0 to 255, with a normalisation behind them or without. */
static void an_input_of_bytes_is_0_to_255(void **state) {
  (void)state;
  char text[256];
  network plain = {.input_type = 2}, normalised = {.input_type = 2}, reversed = {.input_type = 2},
          computed = {.input_type = 2};
  add(&plain, "Cast", "x", "e", "to=1");
  assert_int_equal(kind_behind(&plain, text), GRAPH_EVIDENCE_VALUES);
  assert_non_null(strstr(text, "input 'x' is declared as bytes (uint8)"));
  add_constants(&normalised);
  add(&normalised, "Cast", "x", "f", "to=1");
  add(&normalised, "Sub", "f,M", "g", "");
  add(&normalised, "Div", "g,S", "e", "");
  assert_int_equal(kind_behind(&normalised, text), GRAPH_EVIDENCE_VALUES);
  assert_non_null(strstr(text, "node 'Div_e' computes"));
  add_integers(&reversed, "order", "3", (const int64_t[]){2, 1, 0});
  add(&reversed, "Gather", "x,order", "f", "axis=1");
  add(&reversed, "Cast", "f", "e", "to=1");
  assert_int_equal(kind_behind(&reversed, text), GRAPH_EVIDENCE_VALUES);
  add_one(&computed, "n255", 255);
  add_random(&computed, "w", "4,3,3,3", 1);
  add(&computed, "Div", "x,n255", "f", "");
  add(&computed, "Cast", "f", "e", "to=1");
  add(&computed, "Conv", "e,w", "c", "");
  add(&computed, "GlobalAveragePool", "c", "p", "");
  add(&computed, "Flatten", "p", "y", "");
  refuse_network(&computed, RESNET_ERROR_UNSUPPORTED,
                 "node 'Div_f' (Div) computes with the bytes of input 'x'|a Cast to float");
}

/* A change that is not followed is one behind a pool, too. */
static void a_pool_does_not_hide_a_change(void **state) {
  (void)state;
  network n = {0};
  char text[256];
  add(&n, "MaxPool", "x", "a", "kernel_shape=2,2");
  add(&n, "GlobalAveragePool", "a", "g", "");
  add(&n, "Sigmoid", "g", "e", "");
  assert_int_equal(kind_behind(&n, text), GRAPH_EVIDENCE_UNKNOWN);
  assert_non_null(strstr(text, "node 'Sigmoid_e' changes the input's values"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(spellings_for_values_of_0_to_1),
      cmocka_unit_test(spellings_for_values_of_0_to_255),
      cmocka_unit_test(spellings_for_values_of_minus_1_to_1),
      cmocka_unit_test(means_in_reverse_show_bgr),
      cmocka_unit_test(a_reversed_normalisation_names_the_callers),
      cmocka_unit_test(a_change_of_normalisation_names_the_first),
      cmocka_unit_test(other_constants_stay_a_guess),
      cmocka_unit_test(one_channel_is_recognised),
      cmocka_unit_test(a_second_reader_of_the_input_leaves_a_guess),
      cmocka_unit_test(channels_that_are_normalised_one_by_one_are_recognised),
      cmocka_unit_test(an_input_of_bytes_is_0_to_255),
      cmocka_unit_test(other_functions_of_the_input_leave_a_guess),
      cmocka_unit_test(a_pool_does_not_hide_a_change),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
