/* Random networks of blocks, gates, pools and sums: each opens, can be saved, and its
 * plan file opens again as a model that computes the same bits. What the loader may
 * build, the checker of plan files accepts. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "plan_network.h"
#include "runtime/api/model.h"
#include "tests/unit/rounds.h"

enum { NETWORKS = 400, MAX_DEPTH = 2 };

/* A network under construction. Every tensor of it is (n,4,size,size), or (n,4,1,1)
 * inside of gates. */
typedef struct sketch {
  network network;
  uint32_t state, count;
} sketch;

static uint32_t below(sketch *s, uint32_t n) { /* xorshift32 (Marsaglia 2003) */
  s->state ^= s->state << 13;
  s->state ^= s->state >> 17;
  s->state ^= s->state << 5;
  return s->state % n;
}

/* A tensor's name: "t7". */
typedef struct tensor {
  char name[16];
} tensor;

static tensor new_tensor(sketch *s) {
  tensor t;
  (void)snprintf(t.name, sizeof t.name, "t%u", s->count++);
  return t;
}

static tensor add_node(sketch *s, const char *operator_type, const char *inputs,
                       const char *attributes) {
  const tensor out = new_tensor(s);
  add(&s->network, operator_type, inputs, out.name, attributes);
  return out;
}

static tensor add_unary(sketch *s, const char *operator_type, tensor x, const char *attributes) {
  return add_node(s, operator_type, x.name, attributes);
}

static tensor add_binary(sketch *s, const char *operator_type, tensor a, tensor b) {
  char inputs[40];
  (void)snprintf(inputs, sizeof inputs, "%s,%s", a.name, b.name);
  return add_node(s, operator_type, inputs, "");
}

static tensor add_weights(sketch *s, const char *dims) {
  const tensor t = new_tensor(s);
  add_random(&s->network, t.name, dims, s->count);
  return t;
}

static tensor add_square_conv(sketch *s, tensor x, const char *dims, const char *attributes) {
  char inputs[40];
  (void)snprintf(inputs, sizeof inputs, "%s,%s", x.name, add_weights(s, dims).name);
  return add_node(s, "Conv", inputs, attributes);
}

/* Add x times a gate that is computed from x, or from another tensor of its shape. */
static tensor add_gated(sketch *s, tensor x, tensor other) {
  tensor gate = below(s, 4) ? x : other;
  if (below(s, 2)) gate = add_unary(s, "GlobalAveragePool", gate, "");
  if (below(s, 2)) gate = add_square_conv(s, gate, "4,4,1,1", "");
  if (below(s, 3) == 0) gate = add_unary(s, "Relu", gate, "");
  gate = add_unary(s, below(s, 3) ? "Sigmoid" : "HardSigmoid", gate, "");
  return below(s, 2) ? add_binary(s, "Mul", x, gate) : add_binary(s, "Mul", gate, x);
}

/* Add every second pixel of x. */
static tensor add_slice(sketch *s, tensor x) {
  char inputs[64];
  (void)snprintf(inputs, sizeof inputs, "%s,zeros,ends,axes,twos", x.name);
  return add_node(s, "Slice", inputs, "");
}

/* Add an operator that halves the size. */
static tensor add_half(sketch *s, tensor x) {
  switch (below(s, 5)) {
  case 0:
    return add_square_conv(s, x, "4,4,3,3", "pads=1,1,1,1 strides=2,2");
  case 1:
    return add_square_conv(s, x, "4,4,1,1", "strides=2,2");
  case 2:
    return add_unary(s, "MaxPool", x, "kernel_shape=3,3 strides=2,2 pads=1,1,1,1");
  case 3:
    return add_unary(s, "AveragePool", x, "kernel_shape=2,2 strides=2,2 ceil_mode=1");
  default:
    return add_slice(s, x);
  }
}

/* Add an operator that keeps the size. */
static tensor add_step(sketch *s, tensor x, tensor other) {
  switch (below(s, 12)) {
  case 0:
  case 1:
    return add_square_conv(s, x, "4,4,3,3", "pads=1,1,1,1");
  case 2:
    return add_square_conv(s, x, "4,4,1,1", "");
  case 3:
    return add_square_conv(s, x, "4,1,3,3", "pads=1,1,1,1 group=4");
  case 4:
    return add_unary(s, "Relu", x, "");
  case 5:
    return add_unary(s, "LeakyRelu", x, "alpha=0.25");
  case 6:
    return add_binary(s, "PRelu", x, add_weights(s, "4,1,1"));
  case 7:
    return add_unary(s, "MaxPool", x, "kernel_shape=3,3 pads=1,1,1,1");
  case 8:
    return add_unary(s, "AveragePool", x, "kernel_shape=3,3 pads=1,1,1,1");
  case 9:
    return add_binary(s, below(s, 2) ? "Mul" : "Add", x, add_weights(s, "4,1,1"));
  default:
    return add_gated(s, x, other);
  }
}

static tensor add_block_of(sketch *s, tensor x, bool halves, unsigned depth);

/* Add some operators in a row, one of which halves the size if `halves`. */
static tensor add_branch(sketch *s, tensor x, bool halves, unsigned depth) {
  const uint32_t steps = below(s, 4), half = below(s, steps + 1);
  tensor before = x;
  for (uint32_t i = 0; i <= steps; i++) {
    const tensor last = x;
    if (halves && i == half)
      before = x = add_half(s, x);
    else if (i < steps)
      x = depth < MAX_DEPTH && below(s, 6) == 0 ? add_block_of(s, x, false, depth + 1)
                                                : add_step(s, x, before);
    if (!halves || i != half) before = last;
  }
  return x;
}

/* Add a block: two branches, three, or one twice; a shortcut may be the input itself. */
static tensor add_block_of(sketch *s, tensor x, bool halves, unsigned depth) {
  const tensor a = add_branch(s, x, halves, depth);
  const tensor b = !halves && below(s, 2) ? x : add_branch(s, x, halves, depth);
  tensor sum;
  char inputs[64];
  switch (below(s, 6)) {
  case 0:
    (void)snprintf(inputs, sizeof inputs, "%s,%s,%s", a.name, b.name,
                   below(s, 2) ? a.name : add_branch(s, x, halves, depth).name);
    sum = add_node(s, "Sum", inputs, "");
    break;
  case 1:
    sum = add_binary(s, "Add", b, a);
    break;
  case 2:
    sum = add_gated(s, a, b);
    sum = add_binary(s, "Add", sum, b);
    break;
  default:
    sum = add_binary(s, "Add", a, b);
  }
  return below(s, 2) ? add_unary(s, "Relu", sum, "") : sum;
}

static buffer random_network(uint32_t number) {
  sketch s = {.state = 2463534242U + number * 7919U};
  add_integers(&s.network, "zeros", "2", (int64_t[]){0, 0});
  add_integers(&s.network, "ends", "2", (int64_t[]){100, 100});
  add_integers(&s.network, "axes", "2", (int64_t[]){2, 3});
  add_integers(&s.network, "twos", "2", (int64_t[]){2, 2});
  add_random(&s.network, "w", "4,3,3,3", number);
  add(&s.network, "Conv", "x,w", "stem", "pads=1,1,1,1");
  tensor x = {"stem"};
  for (uint32_t blocks = 1 + below(&s, 4); blocks > 0; blocks--)
    x = add_block_of(&s, x, below(&s, 3) == 0, 0);
  add(&s.network, "GlobalAveragePool", x.name, "p", "");
  add(&s.network, "Flatten", "p", "y", "");
  return finish(&s.network);
}

static void random_networks_survive_their_plan_file(void **state) {
  (void)state;
  size_t blocks = 0;
  for (size_t number = 0; number < NETWORKS; number += rounds_step()) {
    buffer onnx = random_network((uint32_t)number);
    buffer file = plan_compile(&onnx, NULL);
    resnet_model *model = plan_open(&onnx, NULL), *again = plan_open(&file, NULL);
    blocks += plan_info(model).block_count;
    assert_int_equal(plan_info(model).block_count, plan_info(again).block_count);
    plan_assert_same(model, again);
    resnet_model_close(&model);
    resnet_model_close(&again);
    buffer_release(&onnx);
    buffer_release(&file);
  }
  /* most networks have blocks, and many several; quick rounds are few */
  assert_true(blocks > (rounds_step() == 1 ? NETWORKS : 0));
}

/* A graph that the checker refuses is not written: the error names the node, and the
 * file stays away. */
static void a_plan_that_cannot_be_opened_is_not_written(void **state) {
  (void)state;
  buffer onnx = random_network(0);
  resnet_model_options options;
  resnet_error error;
  resnet_model_options_init(&options);
  options.keep_weights = 1;
  resnet_model *model = plan_open(&onnx, &options);
  model->file.graph_size -= 1;
  assert_int_equal(resnet_model_save(model, plan_path("never"), &error), RESNET_ERROR_UNSUPPORTED);
  assert_non_null(strstr(error.message, "could not be opened again"));
  assert_null(fopen(plan_path("never"), "rb"));
  resnet_model_close(&model);
  buffer_release(&onnx);
}

/* Return the processor time that it takes to open 400 pools of `taps` taps. */
static double time_of_pools(const char *taps) {
  network n = {.input = "1,3,65535,1"};
  char from[16] = "x", to[16];
  for (size_t i = 0; i < 400; i++) {
    (void)snprintf(to, sizeof to, "p%zu", i);
    add(&n, "MaxPool", from, to, taps);
    memcpy(from, to, sizeof from);
  }
  add(&n, "GlobalAveragePool", from, "g", "");
  add(&n, "Flatten", "g", "y", "");
  buffer file = finish(&n);
  const clock_t start = clock();
  resnet_model *model = plan_open(&file, NULL);
  const clock_t end = clock();
  resnet_model_close(&model);
  buffer_release(&file);
  return (double)(end - start) / CLOCKS_PER_SEC;
}

/* Counting taps one by one would take 27 thousand million steps. */
static void pools_open_as_fast_with_many_taps(void **state) {
  (void)state;
  const double few = time_of_pools("kernel_shape=3,1 pads=1,0,1,0"),
               many = time_of_pools("kernel_shape=1023,1 pads=511,0,511,0");
  assert_true(many < 10 * few + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_networks_survive_their_plan_file),
      cmocka_unit_test(pools_open_as_fast_with_many_taps),
      cmocka_unit_test(a_plan_that_cannot_be_opened_is_not_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
