/* The budget of work: what a small file asks for in its loops is refused by name, and
 * soon. Each network here took minutes, or forever, without it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/base/work.h"
#include "loader_network.h"
#include "sanitized.h"

#ifdef SANITIZED
static const double max_seconds = 20;
#else
static const double max_seconds = 2;
#endif

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void refuse_soon(network *n, resnet_status status, const char *what) {
  const double start = cpu_seconds();
  refuse_network(n, status, what);
  if (cpu_seconds() - start > max_seconds) fail_msg("%g seconds", cpu_seconds() - start);
}

static void load_soon(network *n) {
  graph g;
  const double start = cpu_seconds();
  load_good(n, &g);
  unload(&g);
  if (cpu_seconds() - start > max_seconds) fail_msg("%g seconds", cpu_seconds() - start);
}

static void budgets_add_up(void **state) {
  (void)state;
  work_budget w;
  work_start(&w, 1000);
  const uint64_t limit = w.limit;
  assert_true(limit > 1000);
  assert_true(work_spend(&w, limit / 2, 2));
  assert_true(work_spend(&w, 0, UINT64_MAX));
  assert_true(work_is_left(&w));
  assert_false(work_spend(&w, 2, 1));
  assert_false(work_spend(&w, 0, 0));
  work_add_bytes(&w, 1);
  assert_true(work_spend(&w, 0, 0));
  assert_false(work_spend(&w, UINT64_MAX, UINT64_MAX));
  work_add_bytes(&w, UINT64_MAX);
  assert_false(work_is_left(&w));
}

/* ---- dimensions of 0 --------------------------------------------------------------- */

/* Add an initialiser of integers without data. */
static void add_empty(network *n, const char *name, const char *dims) {
  const int64_t none = 0;
  add_integers(n, name, dims, &none);
}

/* `huge` has 2^45 rows and no elements; the operator under test reads it. */
static void begin_empty(network *n) {
  begin_network(n);
  add_empty(n, "huge", "35184372088832,1,0");
  add_integers(n, "zero", "1", (const int64_t[]){0});
  add_integers(n, "one", "1", (const int64_t[]){1});
  add_integers(n, "pair", "2", (const int64_t[]){1, -1});
  add_integers(n, "ones", "3", (const int64_t[]){1, 1, 1});
  add_integers(n, "flat", "1", (const int64_t[]){0});
  add(n, "GlobalAveragePool", "c", "p", "");
}

/* End with a Reshape to `pair` and what is left of "k", which has no elements. */
static void end_empty(network *n) {
  add(n, "Reshape", "k,flat", "list", "allowzero=1");
  add(n, "Concat", "pair,list", "shape", "axis=0");
  add(n, "Reshape", "p,shape", "y", "");
}

static void empty_constants_are_not_walked(void **state) {
  (void)state;
  static const struct {
    const char *operator_type, *inputs, *attributes;
  } folds[] = {{"Gather", "huge,zero", "axis=1"},
               {"Concat", "huge,huge,huge", "axis=1"},
               {"Concat", "huge,huge,huge", "axis=2"},
               {"Transpose", "huge", "perm=1,0,2"},
               {"Slice", "huge,zero,one,zero", ""},
               {"Tile", "huge,ones", ""},
               {"Expand", "huge,ones", ""},
               {"Add", "huge,huge", ""},
               {"Mul", "huge,one", ""},
               {"Equal", "huge,one", ""},
               {"Where", "huge,huge,huge", ""},
               {"Where", "one,huge,one", ""},
               {"Cast", "huge", "to=6"},
               {"Neg", "huge", ""},
               {"Unsqueeze", "huge,zero", ""},
               {"Identity", "huge", ""}};
  for (size_t i = 0; i < sizeof folds / sizeof *folds; i++) {
    network n = {.opset = 14};
    begin_empty(&n);
    add(&n, folds[i].operator_type, folds[i].inputs, "first", folds[i].attributes);
    add(&n, "Cast", "first", "k", "to=7");
    end_empty(&n);
    load_soon(&n);
  }
}

static void sizes_that_overflow_are_refused(void **state) {
  (void)state;
  network joined = {0}, largest = {0}, broadcast = {0};
  begin_empty(&joined);
  add_empty(&joined, "rows", "35184372088832,0");
  add_empty(&joined, "columns", "0,35184372088832");
  add(&joined, "Transpose", "rows", "turned", "perm=1,0");
  add(&joined, "Unsqueeze", "rows,pair", "k", "");
  end_empty(&joined);
  load_soon(&joined);
  begin_empty(&largest);
  add_empty(&largest, "k", "0,9223372036854775807");
  end_empty(&largest);
  refuse_soon(&largest, RESNET_ERROR_FORMAT, "tensor 'k' has dimensions whose product overflows");
  begin_empty(&broadcast);
  add_empty(&broadcast, "rows", "35184372088832,1,0");
  add_empty(&broadcast, "columns", "1,35184372088832,0");
  add(&broadcast, "Add", "rows,columns", "k", "");
  end_empty(&broadcast);
  refuse_soon(&broadcast, RESNET_ERROR_FORMAT, "Add_k|whose size overflows");
}

/* A step or an end as large as the type allows. */
static void slices_of_any_range(void **state) {
  (void)state;
  static const int64_t numbers[] = {INT64_MIN, INT64_MIN + 1, -2, 0, 3, INT64_MAX - 1, INT64_MAX};
  enum { COUNT = sizeof numbers / sizeof *numbers };
  for (size_t i = 0; i < COUNT * COUNT * COUNT; i++) {
    const int64_t start = numbers[i % COUNT], end = numbers[i / COUNT % COUNT],
                  step = numbers[i / COUNT / COUNT];
    network n = {0};
    if (step == 0) continue;
    begin_empty(&n);
    add_integers(&n, "start", "1", &start);
    add_integers(&n, "end", "1", &end);
    add_integers(&n, "step", "1", &step);
    add_integers(&n, "data", "4", (const int64_t[]){1, 1, 1, 1});
    add(&n, "Slice", "data,start,end,zero,step", "s", "");
    add(&n, "Shape", "s", "size", "");
    add(&n, "ConstantOfShape", "size", "t", "");
    add(&n, "Slice", "t,start,end,zero,step", "u", "");
    add(&n, "Cast", "u", "v", "to=7");
    add(&n, "Tile", "v,zero", "k", "");
    end_empty(&n);
    load_soon(&n);
  }
}

/* ---- much work --------------------------------------------------------------------- */

/* A chain of `count` nodes that each compute from "z0" of 2^16 numbers. The outputs have
 * names at place `named`. */
static void add_chain(network *n, const char *operator_type, int count, bool named) {
  add_integers(n, "size", "1", (const int64_t[]){1 << 16});
  add(n, "ConstantOfShape", "size", "z0", "");
  for (int i = 1; i <= count; i++) {
    char inputs[32], outputs[32];
    (void)snprintf(inputs, sizeof inputs, "z%d,z0", named ? i - 1 : 0);
    (void)snprintf(outputs, sizeof outputs, named ? "z%d" : ",z%d", i);
    add(n, operator_type, inputs, outputs, "");
  }
}

static void chains_of_arithmetic_are_limited(void **state) {
  (void)state;
  static const char *const operators[] = {"Pow", "Add", "Div", "Max"};
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    network n = {0};
    char what[64];
    begin_network(&n);
    add_chain(&n, operators[i], 4000, true);
    add(&n, "Mul", "c,z4000", "t", "");
    end_network(&n);
    (void)snprintf(what, sizeof what, "(%s, |takes more work", operators[i]);
    refuse_soon(&n, RESNET_ERROR_LIMIT, what);
  }
}

/* A node whose first output has no name computes nothing that is kept. It is counted. */
static void unnamed_outputs_are_counted(void **state) {
  (void)state;
  network n = {0};
  begin_network(&n);
  add_chain(&n, "Pow", 4000, false);
  for (int i = 1; i <= 4000; i++) {
    char inputs[32], outputs[32];
    (void)snprintf(inputs, sizeof inputs, i == 1 ? "c,z%d" : "t%d,z%d", i == 1 ? i : i - 1, i);
    (void)snprintf(outputs, sizeof outputs, i == 4000 ? "t" : "t%d", i);
    add(&n, "Mul", inputs, outputs, "");
  }
  end_network(&n);
  refuse_soon(&n, RESNET_ERROR_LIMIT, "(Pow, |takes more work");
}

/* Append `count` times ",name" to `text`. */
static char *repeat_name(const char *first, const char *name, size_t count) {
  char *text = malloc(strlen(first) + count * (strlen(name) + 1) + 1);
  assert_non_null(text);
  size_t at = (size_t)sprintf(text, "%s", first);
  for (size_t i = 0; i < count; i++) at += (size_t)sprintf(text + at, ",%s", name);
  return text;
}

/* A Concat that names one constant many times: its zeros are looked at once, and its
 * shape first. */
static void repeated_inputs_are_cheap(void **state) {
  (void)state;
  static const int64_t other[4] = {1, 1, 512, 512}, many[4] = {1, 0, 8, 8};
  for (int i = 0; i < 2; i++) {
    network n = {.input = "1,3,8,8"};
    char *inputs = repeat_name("c", "z", 50000);
    begin_network(&n);
    add_integers(&n, "size", "4", i ? many : other);
    add(&n, "ConstantOfShape", "size", "z", "");
    add(&n, "Concat", inputs, "t", "axis=1");
    end_network(&n);
    free(inputs);
    if (i)
      load_soon(&n);
    else
      refuse_soon(&n, RESNET_ERROR_FORMAT, "Concat_t|differ in height, width or batch");
  }
}

/* Convolutions that copy one initialiser. */
static void shared_weights_are_counted(void **state) {
  (void)state;
  network n = {.input = "N,64,8,8"};
  add_random(&n, "w", "64,64,3,3", 1);
  for (int i = 0; i < 6000; i++) {
    char input[16] = "x", output[16];
    if (i) (void)snprintf(input, sizeof input, "c%d", i - 1);
    (void)snprintf(output, sizeof output, "c%d", i);
    char inputs[24];
    (void)snprintf(inputs, sizeof inputs, "%s,w", input);
    add(&n, "Conv", inputs, output, "pads=1,1,1,1");
  }
  add(&n, "GlobalAveragePool", "c5999", "p", "");
  add(&n, "Flatten", "p", "y", "");
  buffer file = finish(&n);
  graph g;
  memory m;
  resnet_error error;
  mem_init(&m, NULL, UINT64_C(6) << 30);
  const load_options options = {.max_file_bytes = 1 << 24};
  assert_int_equal(load_memory(&g, &m, file.data, file.size, &options, &error), RESNET_ERROR_LIMIT);
  if (!strstr(error.message, "(Conv, ") || !strstr(error.message, "takes more work"))
    fail_msg("%s", error.message);
  buffer_release(&file);
}

/* Additions of a long branch and its beginning: looking for blocks walks along it for
 * each. */
static void long_branches_are_counted(void **state) {
  (void)state;
  enum { LENGTH = 10000, ADDITIONS = 4900 };
  network n = {0};
  char inputs[32], output[16];
  begin_network(&n);
  for (int i = 0; i < LENGTH; i++) {
    (void)snprintf(inputs, sizeof inputs, i ? "s%d" : "c", i - 1);
    (void)snprintf(output, sizeof output, "s%d", i);
    add(&n, "Sigmoid", inputs, output, "");
  }
  for (int i = 0; i < ADDITIONS; i++) {
    (void)snprintf(inputs, sizeof inputs, "c,s%d", LENGTH - 1);
    (void)snprintf(output, sizeof output, "a%d", i);
    add(&n, "Add", inputs, output, "");
    (void)snprintf(inputs, sizeof inputs, i ? "a%d,b%d" : "a%d,c", i, i - 1);
    (void)snprintf(output, sizeof output, i == ADDITIONS - 1 ? "t" : "b%d", i);
    add(&n, "Add", inputs, output, "");
  }
  end_network(&n);
  refuse_soon(&n, RESNET_ERROR_LIMIT, "(Add): finding the residual blocks takes more work");
}

/* ---- no less than before ----------------------------------------------------------- */

/* ONNX's light models make their weights with ConstantOfShape. */
static void weights_may_be_made(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_integers(&n, "size", "2", (const int64_t[]){2048, 1000});
  add_integers(&n, "whole", "2", (const int64_t[]){-1, 2048});
  add_integers(&n, "wide", "4", (const int64_t[]){2048, 4, 1, 1});
  add(&n, "ConstantOfShape", "size", "made", "");
  add(&n, "ConstantOfShape", "wide", "v", "");
  add(&n, "Conv", "c,v", "d", "");
  add(&n, "GlobalAveragePool", "d", "p", "");
  add(&n, "Reshape", "p,whole", "f", "");
  add(&n, "MatMul", "f,made", "y", "");
  load_good(&n, &g);
  assert_int_equal(find_scores(&g)->weight_count, 2048000);
  unload(&g);
}

/* Weights in two halves, and in another order. */
static void weights_may_be_joined_and_chosen(void **state) {
  (void)state;
  enum { OUTPUTS = 300, INPUTS = 256 };
  static float whole[OUTPUTS * INPUTS], turned[OUTPUTS * INPUTS];
  static int64_t backwards[OUTPUTS];
  for (size_t i = 0; i < OUTPUTS * INPUTS; i++) whole[i] = random_float(3, i);
  for (size_t o = 0; o < OUTPUTS; o++) {
    backwards[o] = -1 - (int64_t)o;
    memcpy(&turned[o * INPUTS], &whole[(OUTPUTS - 1 - o) * INPUTS], INPUTS * sizeof *whole);
  }
  network plain = {0}, folded = {0};
  network *both[2] = {&plain, &folded};
  for (size_t i = 0; i < 2; i++) {
    network *n = both[i];
    begin_network(n);
    if (i) {
      add_floats(n, "a", "150,256", whole);
      add_floats(n, "b", "150,256", whole + 150 * INPUTS);
      add_integers(n, "backwards", "300", backwards);
      add(n, "Concat", "a,b", "ab", "axis=0");
      add(n, "Gather", "ab,backwards", "m", "axis=0");
    } else {
      add_floats(n, "m", "300,256", turned);
    }
    add(n, "Flatten", "c", "f", "");
    add(n, "Gemm", "f,m", "y", "transB=1");
  }
  same_graphs(&plain, &folded);
}

/* Pools whose first taps reach every place between two others before one is outside. */
static void taps_of_dilated_pools_are_counted_soon(void **state) {
  (void)state;
  const graph_window w = {1024, 1, 1, 1, 32767, 1, 65534, 0, 65534, 0};
  const double start = cpu_seconds();
  for (uint32_t i = 0; i < 40000; i++)
    assert_false(graph_pool_has_taps(&w, (graph_shape){32766, 1, 1}, (graph_shape){60000, 1, 1}));
  if (cpu_seconds() - start > max_seconds) fail_msg("%g seconds", cpu_seconds() - start);
}

/* Refuse "k", which one node makes of "big", 400,000 doubles, and "small". */
static void refuse_doubles(const char *operator_type, const char *inputs, const char *attributes) {
  network n = {0};
  begin_network(&n);
  add_integers(&n, "shape", "2", (const int64_t[]){400, 1000});
  add_floats(&n, "half", "1", (const float[]){0.5F});
  add_integers(&n, "zero", "", (const int64_t[]){0});
  add_integers(&n, "much", "", (const int64_t[]){60000000});
  add_integers(&n, "one", "", (const int64_t[]){1});
  add(&n, "Cast", "half", "small", "to=11");
  add(&n, "Expand", "small,shape", "big", "");
  add(&n, operator_type, inputs, "k", attributes);
  add(&n, "Mul", "c,k", "t", "");
  end_network(&n);
  char what[64];
  (void)snprintf(what, sizeof what, "%s_k|takes more work", operator_type);
  refuse_soon(&n, RESNET_ERROR_LIMIT, what);
}

/* fmod subtracts bit by bit, and each new page of memory takes time. */
static void slow_functions_cost_what_they_take(void **state) {
  (void)state;
  refuse_doubles("Mod", "big,small", "fmod=1");
  refuse_doubles("Range", "zero,much,one", "");
}

/* Packing pads the outputs of each group to a tile: here to 8 times as many. */
static void packing_of_narrow_groups_is_counted(void **state) {
  (void)state;
  network n = {.input = "N,8192,8,8"}, one = {.input = "N,8192,16,16"};
  add_integers(&n, "shape", "4", (const int64_t[]){8192, 8, 8, 8});
  add(&n, "ConstantOfShape", "shape", "w", "");
  add(&n, "Conv", "x,w", "c", "group=1024");
  add(&n, "GlobalAveragePool", "c", "p", "");
  add(&n, "Flatten", "p", "y", "");
  load_soon(&n); /* 8 outputs in each group: twice as many */
  add_integers(&one, "shape", "4", (const int64_t[]){1, 8192, 32, 32});
  add(&one, "ConstantOfShape", "shape", "w", "");
  add(&one, "Conv", "x,w", "c", "pads=8,8,8,8");
  add(&one, "Flatten", "c", "y", "");
  refuse_soon(&one, RESNET_ERROR_LIMIT, "Conv_c|takes more work");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(budgets_add_up),
      cmocka_unit_test(empty_constants_are_not_walked),
      cmocka_unit_test(sizes_that_overflow_are_refused),
      cmocka_unit_test(slices_of_any_range),
      cmocka_unit_test(chains_of_arithmetic_are_limited),
      cmocka_unit_test(unnamed_outputs_are_counted),
      cmocka_unit_test(repeated_inputs_are_cheap),
      cmocka_unit_test(shared_weights_are_counted),
      cmocka_unit_test(long_branches_are_counted),
      cmocka_unit_test(taps_of_dilated_pools_are_counted_soon),
      cmocka_unit_test(slow_functions_cost_what_they_take),
      cmocka_unit_test(packing_of_narrow_groups_is_counted),
      cmocka_unit_test(weights_may_be_made),
      cmocka_unit_test(weights_may_be_joined_and_chosen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
