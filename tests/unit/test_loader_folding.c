/* Constants that are computed when a file is loaded, and normalisations spelled out as
 * arithmetic. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "loader_network.h"

/* Return the value of "k", which was folded: it scales a convolution and becomes its
 * first weight. */
static float folded_scale(network *n) {
  graph g;
  add(n, "Mul", "c,k", "t", "");
  end_network(n);
  load_good(n, &g);
  check_invariants(&g);
  assert_int_equal(g.node_count, 3);
  float scale = find_node(&g, "Conv_c")->weights[0] / random_float(1, 0);
  unload(&g);
  return scale;
}

static void check_function(const char *operator_type, float of, float expected) {
  network n = {.opset = 17};
  begin_network(&n);
  add_floats(&n, "x0", "1", &of);
  add(&n, operator_type, "x0", "k", "");
  assert_float_equal(folded_scale(&n), expected, 1e-5F * fabsf(expected));
}

static void functions_of_one_number(void **state) {
  (void)state;
  check_function("Abs", -2.5F, 2.5F);
  check_function("Abs", 2.5F, 2.5F);
  check_function("Ceil", 2.25F, 3);
  check_function("Ceil", -2.25F, -2);
  check_function("Exp", 1, 2.7182818F);
  check_function("Floor", 2.75F, 2);
  check_function("Floor", -2.25F, -3);
  check_function("Neg", 4, -4);
  check_function("Reciprocal", 8, 0.125F);
  check_function("Sqrt", 2, 1.41421356F);
}

static void check_pair(const char *operator_type, float a, float b, float expected) {
  network n = {0};
  begin_network(&n);
  add_floats(&n, "a", "1", &a);
  add_floats(&n, "b", "", &b);
  add(&n, operator_type, "a,b", "k", "");
  assert_float_equal(folded_scale(&n), expected, 1e-5F * fabsf(expected));
}

static void functions_of_two_numbers(void **state) {
  (void)state;
  check_pair("Pow", 4, -0.5F, 0.5F);
  check_pair("Pow", -2, 3, -8);
  check_pair("Div", 3, 4, 0.75F);
  check_pair("Sub", 3, 4, -1);
  check_pair("Max", -3, 4, 4);
  check_pair("Min", -3, 4, -3);
}

/* Constants in the attributes of Constant nodes, in all spellings. */
static void constants_in_attributes(void **state) {
  (void)state;
  static const struct {
    const char *attributes;
    bool integer;
    float number;
  } cases[] = {{"value_float=1.5", false, 1.5F},
               {"value_floats=2.5,3.5", false, 3.5F},
               {"value_int=4", true, 4},
               {"value_ints=5,6", true, 6}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network n = {0};
    bool list = strchr(cases[i].attributes, ',') != NULL;
    begin_network(&n);
    add_integers(&n, "last", "1", (const int64_t[]){-1});
    add(&n, "Constant", "", "number", cases[i].attributes);
    add(&n, list ? "Gather" : "Identity", list ? "number,last" : "number", "one", "");
    add(&n, cases[i].integer ? "Cast" : "Identity", "one", "k", cases[i].integer ? "to=1" : "");
    assert_float_equal(folded_scale(&n), cases[i].number, 1e-5);
  }
}

/* Tile, then Gather of one element of the result. */
static void tiles(void **state) {
  (void)state;
  static const float numbers[6] = {1, 2, 3, 4, 5, 6};
  static const struct {
    int64_t row, column;
    float number;
  } cases[] = {{0, 0, 1}, {1, 2, 6}, {2, 3, 1}, {3, 5, 6}, {3, 8, 6}, {2, 7, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network n = {0};
    begin_network(&n);
    add_floats(&n, "m", "2,3", numbers);
    add_integers(&n, "repeats", "2", (const int64_t[]){2, 3});
    add_integers(&n, "row", "", &cases[i].row);
    add_integers(&n, "column", "", &cases[i].column);
    add(&n, "Tile", "m,repeats", "tiled", ""); /* 4 x 9 */
    add(&n, "Gather", "tiled,row", "line", "axis=0");
    add(&n, "Gather", "line,column", "k", "axis=0");
    assert_float_equal(folded_scale(&n), cases[i].number, 1e-5);
  }
}

/* CastLike an activation gives floats, CastLike integers gives integers. */
static void casts_to_another_tensors_type(void **state) {
  (void)state;
  static const float number = 2.75F;
  for (int variant = 0; variant < 3; variant++) {
    network n = {.opset = 15};
    begin_network(&n);
    add_integers(&n, "three", "1", (const int64_t[]){3});
    add_floats(&n, "number", "1", &number);
    if (variant == 0) add(&n, "CastLike", "three,number", "k", "");
    if (variant == 1) add(&n, "CastLike", "three,c", "k", "");
    if (variant == 2) add(&n, "CastLike", "number,three", "two", "");
    if (variant == 2) add(&n, "CastLike", "two,number", "k", "");
    assert_float_equal(folded_scale(&n), variant == 2 ? 2 : 3, 1e-5);
  }
  network same = {.opset = 19}, integers = {.opset = 15};
  graph g;
  begin_network(&same);
  add_random(&same, "one", "1", 3);
  add(&same, "CastLike", "c,one", "d", "saturate=1");
  add(&same, "CastLike", "d,x", "t", "");
  end_network(&same);
  load_good(&same, &g);
  assert_int_equal(g.node_count, 3);
  unload(&g);
  begin_network(&integers);
  add_integers(&integers, "three", "1", (const int64_t[]){3});
  add(&integers, "CastLike", "c,three", "t", "");
  end_network(&integers);
  refuse_network(&integers, RESNET_ERROR_UNSUPPORTED, "CastLike_t|casts an activation to integers");
}

static void refuse_fold(const char *operator_type, const char *inputs, resnet_status status,
                        const char *what) {
  network n = {.opset = 15};
  begin_network(&n);
  add_floats(&n, "m", "2,3", (const float[]){1, 2, 3, 4, -5, 0});
  add_integers(&n, "i", "2", (const int64_t[]){2, 3});
  add_integers(&n, "large", "2", (const int64_t[]){30000, 30000});
  add_integers(&n, "huge", "2", (const int64_t[]){INT64_MAX, 2});
  add_integers(&n, "minus", "2", (const int64_t[]){-1, 2});
  add_integers(&n, "one", "1", (const int64_t[]){1});
  add_integers(&n, "zero", "", (const int64_t[]){0});
  add_integers(&n, "one0", "", (const int64_t[]){1});
  add_integers(&n, "much", "", (const int64_t[]){INT32_MAX});
  add_random(&n, "pair", "2", 1);
  add_random(&n, "column", "20000,1", 1);
  add_random(&n, "row", "20000", 1);
  add(&n, "Shape", "c", "shape", "");
  add(&n, operator_type, inputs, "k", "");
  add(&n, "Mul", "c,k", "t", "");
  end_network(&n);
  refuse_network(&n, status, what);
}

static void impossible_folding_is_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED,
                      limit = RESNET_ERROR_LIMIT;
  refuse_fold("Sqrt", "i", form, "Sqrt_k|takes floats");
  refuse_fold("Floor", "c", not_yet, "Floor_k|on constants and shapes only, not on activations");
  refuse_fold("Pow", "huge,i", not_yet, "Pow_k|raises the integer 9.22337e+18 to the power 2");
  refuse_fold("Pow", "c,m", not_yet, "Pow_k|its exponent 'm' has 6 numbers: one is accepted");
  refuse_fold("Tile", "m,one", form, "Tile_k|repeats must be 2 integers");
  refuse_fold("Tile", "m,minus", form, "repeats axis 0 -1 times");
  refuse_fold("Tile", "m,huge", form, "repeats axis 0 9223372036854775807 times");
  refuse_fold("Tile", "m,large", limit, "Tile_k|takes more work");
  refuse_fold("Tile", "m,m", form, "repeats must be a list of integers");
  refuse_fold("Tile", "shape,c", not_yet, "Tile_k");
  refuse_fold("CastLike", "shape,m", not_yet, "CastLike_k|computes with the batch size");
  refuse_fold("Add", "m,two2", form, "reads tensor 'two2', which nothing defines");
  refuse_fold("Sub", "m,pair", form, "Sub_k|cannot broadcast 3 against 2");
  refuse_fold("Mul", "column,row", limit, "Mul_k|takes more work");
  refuse_fold("ConstantOfShape", "minus", form,
              "ConstantOfShape_k|makes a constant with dimension -1");
  refuse_fold("Range", "zero,much,one0", limit, "Range_k|takes more work");
  refuse_fold("Range", "zero,much,zero", form, "its delta is 0");
  refuse_fold("Range", "i,much,one0", not_yet, "its start must be one number below 2^31");
  refuse_fold("Constant", "", not_yet, "Constant_k|no tensor, number or list of numbers");
  network negative = {0};
  begin_network(&negative); /* NaN: refused where it is used */
  add_floats(&negative, "m", "1", (const float[]){-1});
  add(&negative, "Sqrt", "m", "k", "");
  add(&negative, "Mul", "c,k", "t", "");
  end_network(&negative);
  refuse_network(&negative, form, "Mul_t|constant 'k' have|nan at element 0");
}

/* Many nodes that each copy a constant of 2^16 elements: without a limit, a file of 1 MB
 * would take minutes and all memory. */
static void folding_is_limited_in_total(void **state) {
  (void)state;
  enum { COUNT = (1 << 12) + 1 };
  static float many[1 << 16];
  network n = {0};
  begin_network(&n);
  add_floats(&n, "z0", "65536", many);
  for (int i = 1; i <= COUNT; i++) {
    char input[16], output[16];
    (void)snprintf(input, sizeof input, "z%d", i - 1);
    (void)snprintf(output, sizeof output, i == COUNT ? "k" : "z%d", i);
    add(&n, "Neg", input, output, "");
  }
  add(&n, "Mul", "c,k", "t", "");
  end_network(&n);
  buffer file = finish(&n);
  graph g;
  memory m;
  resnet_error error;
  mem_init(&m, NULL, UINT64_C(6) << 30);
  const load_options options = {.max_file_bytes = 1 << 24};
  assert_int_equal(load_memory(&g, &m, file.data, file.size, &options, &error), RESNET_ERROR_LIMIT);
  if (!strstr(error.message, "(Neg, ") || !strstr(error.message, "takes more work"))
    fail_msg("%s", error.message);
  assert_int_equal(m.used, 0);
  buffer_release(&file);
}

/* ---- normalisation as arithmetic --------------------------------------------------- */

typedef struct parameters {
  float scale[4], bias[4], mean[4], variance[4];
} parameters;

static const parameters usual = {
    {1.5F, -2, 0.25F, 1e-3F}, {0.1F, 0.2F, -0.3F, 4}, {0.7F, -0.1F, 3, 0}, {0.5F, 2, 1e-3F, 9}};
static const float epsilon = 1e-3F, half = -0.5F;

static void add_parameters(network *n, const char *dims) {
  add_floats(n, "scale", dims, usual.scale);
  add_floats(n, "bias", dims, usual.bias);
  add_floats(n, "mean", dims, usual.mean);
  add_floats(n, "variance", dims, usual.variance);
  add_floats(n, "epsilon", "", &epsilon);
  add_floats(n, "half", "", &half);
}

/* Add a normalisation. opencv issue 16887 has (x - mean) / sqrt(variance + epsilon) *
 * scale + bias; Keras writes x * f + (bias - mean * f) with f = scale * (variance +
 * epsilon) ^ -0.5; a third way uses Reciprocal. */
static void add_spelled(network *n, int variant, const char *x) {
  char inputs[32];
  add(n, "Add", "variance,epsilon", "sum", "");
  if (variant == 1)
    add(n, "Pow", "sum,half", "inverse", "");
  else
    add(n, "Sqrt", "sum", "deviation", "");
  if (variant == 2) add(n, "Reciprocal", "deviation", "inverse", "");
  if (variant == 0) {
    (void)snprintf(inputs, sizeof inputs, "%s,mean", x);
    add(n, "Sub", inputs, "centred", "");
    add(n, "Div", "centred,deviation", "unit", "");
    add(n, "Mul", "scale,unit", "scaled", "");
    add(n, "Add", "scaled,bias", "normal", "");
    return;
  }
  add(n, "Mul", "scale,inverse", "factor", "");
  add(n, "Mul", "mean,factor", "moved", "");
  add(n, "Sub", "bias,moved", "shift", "");
  (void)snprintf(inputs, sizeof inputs, "%s,factor", x);
  add(n, "Mul", inputs, "scaled", "");
  add(n, "Add", "scaled,shift", "normal", "");
}

static void spelled_normalisations_fuse_with_the_convolution(void **state) {
  (void)state;
  for (int variant = 0; variant < 3; variant++)
    for (int last = 0; last < 2; last++) {
      network n = {0}, plain = {0};
      begin_network(&n);
      add_parameters(&n, last ? "4" : "4,1,1");
      if (last) add(&n, "Transpose", "c", "i", "perm=0,2,3,1");
      add_spelled(&n, variant, last ? "i" : "c");
      if (last) add(&n, "Transpose", "normal", "o", "perm=0,3,1,2");
      add(&n, "Relu", last ? "o" : "normal", "t", "");
      end_network(&n);
      begin_network(&plain);
      add_parameters(&plain, "4");
      add(&plain, "BatchNormalization", "c,scale,bias,mean,variance", "n", "epsilon=1e-3");
      add(&plain, "Relu", "n", "t", "");
      end_network(&plain);
      same_graphs(&n, &plain);
    }
}

/* Reshape or Unsqueeze turns parameters of shape (c) into (c,1,1). */
static void parameters_are_reshaped(void **state) {
  (void)state;
  network n = {0}, plain = {0};
  begin_network(&n);
  add_parameters(&n, "4");
  add_integers(&n, "shape", "4", (const int64_t[]){1, -1, 1, 1});
  add_integers(&n, "axes", "2", (const int64_t[]){1, 2});
  add(&n, "Reshape", "scale,shape", "scales", "");
  add(&n, "Unsqueeze", "bias,axes", "biases", "");
  add(&n, "Mul", "c,scales", "m", "");
  add(&n, "Add", "biases,m", "t", "");
  end_network(&n);
  begin_network(&plain);
  add_floats(&plain, "scale", "4,1,1", usual.scale);
  add_floats(&plain, "bias", "4,1,1", usual.bias);
  add(&plain, "Mul", "c,scale", "m", "");
  add(&plain, "Add", "m,bias", "t", "");
  end_network(&plain);
  same_graphs(&n, &plain);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(functions_of_one_number),
      cmocka_unit_test(functions_of_two_numbers),
      cmocka_unit_test(constants_in_attributes),
      cmocka_unit_test(tiles),
      cmocka_unit_test(casts_to_another_tensors_type),
      cmocka_unit_test(impossible_folding_is_refused),
      cmocka_unit_test(folding_is_limited_in_total),
      cmocka_unit_test(spelled_normalisations_fuse_with_the_convolution),
      cmocka_unit_test(parameters_are_reshaped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
