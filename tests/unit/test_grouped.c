/* Grouped and depthwise convolutions of our own, against plain sums: groups narrower and
 * wider than a vector, unequal channels, any window, and the same bits for any split. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/conv_grouped.h"
#include "runtime/kernels/table.h"
#include "tests/unit/kernel_network.h"
#include "tests/unit/rounds.h"

enum {
  ROUNDS = 400,
  /* floats that a kernel may read past a buffer */
  EXTRA = SIMD_MAX_BYTES / sizeof(float),
  GUARD = 64 /* floats behind the output that must not change */
};

/* An op with its buffers. */
typedef struct trial {
  memory *memory;
  plan_op op;
  float *weights; /* a copy: packing releases the op's */
  float *input, *output, *want;
  size_t batch;
} trial;

static float *new_floats(memory *m, size_t count, size_t extra) {
  float *x = mem_allocate(m, count + extra, sizeof *x);
  assert_non_null(x);
  for (size_t i = 0; i < count; i++) x[i] = random_unit();
  for (size_t i = count; i < count + extra; i++) x[i] = NAN;
  return x;
}

static size_t input_floats(const trial *t) { return t->batch * plan_shape_floats(t->op.in); }

static size_t output_floats(const trial *t) { return t->batch * plan_shape_floats(t->op.shape); }

static trial new_trial(graph_shape in, const graph_window *w, uint32_t groups, uint32_t out_group,
                       uint32_t batch) {
  trial t = {.memory = mem_create(NULL, 0), .batch = batch};
  assert_non_null(t.memory);
  plan_op *op = &t.op;
  *op = (plan_op){.kernel = KERNEL_CONV, .input_count = 1, .in = in, .window = *w, .name = "op"};
  op->groups = groups;
  op->shape = network_windowed(in, w, groups * out_group);
  op->clamp_min = random_below(2) ? 0.0f : -INFINITY;
  op->clamp_max = random_below(4) ? INFINITY : 0.75f;
  op->weight_count = (size_t)op->shape.c * w->kernel_h * w->kernel_w * (in.c / groups);
  op->bias_count = op->shape.c;
  op->weights = new_floats(t.memory, op->weight_count, 0);
  op->bias = new_floats(t.memory, op->bias_count, 0);
  t.weights = mem_allocate(t.memory, op->weight_count + op->bias_count, sizeof(float));
  memcpy(t.weights, op->weights, op->weight_count * sizeof(float));
  memcpy(t.weights + op->weight_count, op->bias, op->bias_count * sizeof(float));
  t.input = new_floats(t.memory, input_floats(&t), EXTRA);
  t.output = new_floats(t.memory, output_floats(&t), GUARD);
  t.want = new_floats(t.memory, output_floats(&t), 0);
  return t;
}

static void end_trial(trial *t) {
  mem_release(t->memory, t->op.packed.data);
  mem_release(t->memory, t->weights);
  mem_release(t->memory, t->input);
  mem_release(t->memory, t->output);
  mem_release(t->memory, t->want);
  assert_int_equal(t->memory->used, 0);
  mem_destroy(t->memory);
}

/* Pack the weights for the kernel under test. */
static void pack(trial *t) {
  resnet_error error;
  assert_true(kernel_grouped_applies(&t->op));
  t->op.kernel = KERNEL_GROUPED;
  assert_int_equal(kernel_grouped.check(&t->op, &error), RESNET_OK);
  const size_t size = kernel_grouped.packed_size(&t->op);
  assert_int_equal(kernel_grouped.pack(&t->op, t->memory, &error), RESNET_OK);
  assert_int_equal(t->op.packed.size, size);
}

static void run(trial *t, const float *input, size_t batch, uint32_t threads, float *output) {
  resnet_error error;
  kernel_state state = {0};
  kernel_call call = {.op = &t->op,
                      .state = &state,
                      .batch = batch,
                      .pool = threads > 1 ? pthreadpool_create(threads) : NULL,
                      .simd = simd_fastest(),
                      .input = {input},
                      .output = output};
  assert_int_equal(kernel_grouped.shape(&call, &error), RESNET_OK);
  call.workspace = mem_allocate(t->memory, call.workspace_size, 1);
  assert_non_null(call.workspace);
  /* what an earlier op of the session leaves there */
  for (size_t i = 0; i < call.workspace_size / sizeof(float); i++)
    ((float *)call.workspace)[i] = NAN;
  kernel_grouped.run(&call);
  mem_release(t->memory, call.workspace);
  if (call.pool) pthreadpool_destroy(call.pool);
}

static double plain_sum(const trial *t, size_t sample, size_t row, size_t column, size_t filter) {
  const plan_op *op = &t->op;
  const graph_window *w = &op->window;
  const size_t in = op->in.c / op->groups, group = filter / (op->shape.c / op->groups);
  double sum = (double)t->weights[op->weight_count + filter];
  for (size_t y = 0; y < w->kernel_h; y++)
    for (size_t x = 0; x < w->kernel_w; x++) {
      const size_t h = row * w->stride_h + y * w->dilation_h - w->pad_top,
                   v = column * w->stride_w + x * w->dilation_w - w->pad_left;
      if (h >= op->in.h || v >= op->in.w) continue;
      const float *pixel = t->input + ((sample * op->in.h + h) * op->in.w + v) * op->in.c;
      const float *weights = t->weights + ((filter * w->kernel_h + y) * w->kernel_w + x) * in;
      for (size_t k = 0; k < in; k++) sum += (double)pixel[group * in + k] * (double)weights[k];
    }
  return fmin(fmax(sum, (double)op->clamp_min), (double)op->clamp_max);
}

static void check_sums(const trial *t) {
  const graph_shape s = t->op.shape;
  const size_t taps = (size_t)t->op.window.kernel_h * t->op.window.kernel_w;
  /* rounding of as many terms of size 1 */
  const double tolerance = 1e-6 * (4.0 + (double)(taps * (t->op.in.c / t->op.groups)));
  for (size_t i = 0; i < output_floats(t); i++) {
    const size_t pixel = i / s.c;
    const double want = plain_sum(t, pixel / s.w / s.h, pixel / s.w % s.h, pixel % s.w, i % s.c);
    if (!(fabs((double)t->output[i] - want) <= tolerance))
      fail_msg("%zu: %g, not %g: %u in %u groups, %ux%u", i, (double)t->output[i], want, t->op.in.c,
               t->op.groups, t->op.in.h, t->op.in.w);
  }
  for (size_t i = 0; i < GUARD; i++) assert_true(isnan(t->output[output_floats(t) + i]));
}

static const uint32_t in_groups[] = {1, 1, 2, 3, 4, 4, 5, 8, 8, 16, 17, 24, 32, 50},
                      sizes[] = {1, 2, 3, 5, 7, 8, 9, 14, 15, 17, 29};

static trial random_trial(void) {
  const uint32_t in = pick(in_groups, 14), out_kind = random_below(5);
  const uint32_t out = out_kind == 0 ? 1 + random_below(20) : out_kind == 1 ? 2 * in : in;
  const uint32_t groups = 2 + random_below(in > 8 ? 3 : in > 1 ? 12 : 70);
  const graph_shape shape = {pick(sizes, 11), pick(sizes, 11), groups * in};
  const graph_window w = random_window(shape);
  return new_trial(shape, &w, groups, out, 1 + random_below(2));
}

static void sums_are_right(void **state) {
  (void)state;
  for (size_t round = 0; round < rounds_of(ROUNDS); round++) {
    trial t = random_trial();
    pack(&t);
    run(&t, t.input, t.batch, 1 + random_below(3), t.output);
    check_sums(&t);
    end_trial(&t);
  }
}

/* Layers of ResNeXt, RegNet and MobileNet, and a blur: whole rows, strips and bands. */
static void layers_of_networks_are_right(void **state) {
  (void)state;
  static const struct {
    uint32_t size, in, groups, kernel, stride;
  } layers[] = {{56, 4, 32, 3, 1}, {57, 8, 8, 3, 2},   {28, 16, 4, 3, 2}, {15, 32, 3, 3, 2},
                {7, 32, 3, 3, 1},  {9, 64, 2, 3, 1},   {29, 24, 3, 3, 1}, {112, 1, 33, 3, 1},
                {14, 1, 64, 7, 1}, {20, 1, 130, 5, 2}, {57, 1, 64, 4, 2}, {13, 128, 2, 3, 1}};
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
    const uint32_t k = layers[i].kernel, s = layers[i].stride, pad = k / 2;
    const graph_window w = {k, k, s, s, 1, 1, pad, pad, pad, pad};
    trial t =
        new_trial((graph_shape){layers[i].size, layers[i].size, layers[i].in * layers[i].groups},
                  &w, layers[i].groups, layers[i].in, 1);
    pack(&t);
    run(&t, t.input, 1, 2, t.output);
    check_sums(&t);
    end_trial(&t);
  }
}

/* One run of all samples with several threads, and one run for each sample. */
static void bits_do_not_depend_on_threads_or_batches(void **state) {
  (void)state;
  for (size_t round = 0; round < rounds_of(ROUNDS / 4); round++) {
    trial t = random_trial();
    pack(&t);
    run(&t, t.input, t.batch, 2 + random_below(3), t.output);
    for (size_t i = 0; i < t.batch; i++)
      run(&t, t.input + i * plan_shape_floats(t.op.in), 1, 1,
          t.want + i * plan_shape_floats(t.op.shape));
    assert_memory_equal(t.output, t.want, output_floats(&t) * sizeof(float));
    end_trial(&t);
  }
}

/* NaN and infinity stay within their group. */
static void groups_do_not_change_each_other(void **state) {
  (void)state;
  for (size_t round = 0; round < rounds_of(ROUNDS / 4); round++) {
    trial t = random_trial();
    pack(&t);
    run(&t, t.input, t.batch, 1, t.want);
    const uint32_t bad = random_below(t.op.groups), in = t.op.in.c / t.op.groups,
                   out = t.op.shape.c / t.op.groups;
    for (size_t i = 0; i < input_floats(&t); i++)
      if (i % t.op.in.c / in == bad) t.input[i] = random_below(2) ? NAN : INFINITY;
    run(&t, t.input, t.batch, 1, t.output);
    for (size_t i = 0; i < output_floats(&t); i++)
      if (i % t.op.shape.c / out != bad)
        assert_memory_equal(&t.output[i], &t.want[i], sizeof(float));
    end_trial(&t);
  }
}

static void other_convolutions_are_refused(void **state) {
  (void)state;
  const plan_op good = {.kernel = KERNEL_CONV,
                        .in = {40, 40, 64},
                        .shape = {40, 40, 64},
                        .window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        .groups = 16};
  assert_true(kernel_grouped_applies(&good));
  plan_op op = good;
  op.kernel = KERNEL_MAX_POOL;
  assert_false(kernel_grouped_applies(&op));
  op = good;
  op.groups = 1;
  assert_false(kernel_grouped_applies(&op));
  op = good;
  op.in.c = op.shape.c = 16 * (GROUPED_MAX_INPUTS + 1);
  assert_false(kernel_grouped_applies(&op));
  op = good;
  op.window.kernel_h = 65;
  assert_false(kernel_grouped_applies(&op));
  op = good;
  op.window.dilation_w = 32;
  assert_false(kernel_grouped_applies(&op));
  op = good;
  op.window.stride_h = 9;
  assert_false(kernel_grouped_applies(&op));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_are_right),
      cmocka_unit_test(layers_of_networks_are_right),
      cmocka_unit_test(bits_do_not_depend_on_threads_or_batches),
      cmocka_unit_test(groups_do_not_change_each_other),
      cmocka_unit_test(other_convolutions_are_refused),
  };
  printf("instruction set: %s\n", simd_fastest()->name);
  return cmocka_run_group_tests_name("grouped", tests, NULL, NULL);
}
