/* The numbers of our own kernels. Their bits do not depend on how threads and batches
 * split the work, nor on the other samples of a batch. Errors are small for inputs and
 * weights of any size. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/api/session.h"
#include "runtime/kernels/simd/dispatch.h"
#include "tests/unit/kernel_network.h"
#include "tests/unit/rounds.h"

enum {
  SAMPLES = 5,
  MAX_THREADS = 4,
  LARGEST = 1 << 23 /* floats of all ops' outputs for all samples */
};

static const graph_window same3x3 = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                          pointwise = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
static const graph_window stride2_3x3 = {3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
static const graph_window stem = {7, 7, 2, 2, 1, 1, 3, 3, 3, 3};

static void unclamp(network *n, uint32_t node) {
  n->graph.nodes[node].clamp_min = -INFINITY;
  n->graph.nodes[node].clamp_max = INFINITY;
}

static uint32_t add_sum(network *n, uint32_t residual, uint32_t shortcut) {
  unclamp(n, residual);
  graph_node *sum = network_add_node(n, GRAPH_ADD, residual, n->graph.nodes[residual].shape);
  sum->input[1] = shortcut;
  sum->input_count = 2;
  return n->graph.output;
}

/* input -> stem -> two 3x3, + -> two 1x1, + -> 3x3 of stride 2: the sums in place where
 * possible. Some numbers of channels fill vectors, others do not. */
static network residual_network(const graph_shape *size) {
  const uint32_t channels = size->c;
  network n = network_new((graph_shape){2 * size->h, 2 * size->w, 3});
  uint32_t first = network_add_conv(&n, 0, &stem, 1, channels);
  uint32_t last = network_add_conv(&n, first, &same3x3, 1, channels);
  last = network_add_conv(&n, last, &same3x3, 1, channels);
  first = add_sum(&n, last, first);
  last = network_add_conv(&n, first, &pointwise, 1, 3 * channels + 1);
  last = network_add_conv(&n, last, &pointwise, 1, channels);
  first = add_sum(&n, last, first);
  (void)network_add_conv(&n, first, &stride2_3x3, 1, channels);
  return n;
}

/* Borders of each mode; a gate whose sigmoid is part of the product, in place; a gate
 * along the channels with a separate sigmoid, whose input the sum also reads; a product
 * of two feature maps; a PReLU. */
static network gated_network(const graph_shape *size) {
  const uint32_t channels = size->c;
  network n = network_new((graph_shape){2 * size->h, 2 * size->w, 3});
  uint32_t last = network_add_pad(&n, 0, GRAPH_PAD_REFLECT, (const uint32_t[4]){1, 2, 1, 0});
  last = network_add_conv(&n, last, &stride2_3x3, 1, channels);
  uint32_t gate = network_add_pooled(&n, last);
  gate = network_add_conv(&n, gate, &pointwise, 1, 1 + channels / 4);
  gate = network_add_conv(&n, gate, &pointwise, 1, channels);
  last = network_add_scale(&n, last, gate, true);
  last = network_add_pad(&n, last, GRAPH_PAD_EDGE, (const uint32_t[4]){0, 1, 2, 3});
  gate = network_add_pooled(&n, last);
  gate = network_add_channel_conv(&n, gate, 5, 2);
  gate = network_add_sigmoid(&n, gate);
  last = add_sum(&n, network_add_scale(&n, last, gate, false), last);
  last = network_add_scale(&n, last, last, true); /* swish */
  last = network_add_pad(&n, last, GRAPH_PAD_CONSTANT, (const uint32_t[4]){1, 0, 0, 1});
  last = network_add_scale(&n, last, last, true);
  network_set_parameters(&n, network_add_node(&n, GRAPH_PRELU, last, n.graph.nodes[last].shape),
                         channels, channels);
  last = network_add_sigmoid(&n, n.graph.output);
  (void)network_add_pooled(&n, last);
  return n;
}

/* The stem's outputs. Each form is selected for some of them; with 25x25, three threads
 * share the steps of one block at a time. */
static const graph_shape sizes[] = {{2, 2, 128}, {4, 2, 33}, {7, 7, 96}, {8, 6, 17}, {25, 25, 128}};

enum { SIZES = sizeof sizes / sizeof *sizes };

/* ---- bits -------------------------------------------------------------------------- */

/* The outputs of all ops, one op after the other, each with its samples in order. */
typedef struct record {
  float *floats;
  size_t starts[MAX_NODES + 1]; /* by op */
  size_t done;                  /* samples */
  const plan *plan;
} record;

static void keep(void *user, const resnet_response *response) {
  record *r = user;
  const size_t floats = plan_shape_floats(r->plan->ops[response->op].shape);
  memcpy(r->floats + r->starts[response->op] + r->done * floats, response->data,
         response->batch * floats * sizeof *response->data);
  if (response->op + 1 == r->plan->op_count) r->done += response->batch;
}

static void record_run(const resnet_model *model, const float *input, uint32_t threads,
                       uint32_t batch, record *r) {
  static float scores[SAMPLES * 4096];
  resnet_session *session;
  resnet_session_options settings = {.struct_size = sizeof settings,
                                     .threads = threads,
                                     .batch = batch,
                                     .observe = RESNET_OBSERVE_OPS};
  r->done = 0;
  assert_int_equal(resnet_session_open(model, &settings, &session, NULL), RESNET_OK);
  assert_int_equal(resnet_session_observe(session, keep, r, NULL), RESNET_OK);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NHWC, SAMPLES, scores, NULL),
                   RESNET_OK);
  assert_int_equal(r->done, SAMPLES);
  resnet_session_close(&session);
}

static record new_record(const resnet_model *model, float *floats) {
  record r = {.floats = floats, .plan = &model->plan};
  for (uint32_t i = 0; i < model->plan.op_count; i++)
    r.starts[i + 1] = r.starts[i] + SAMPLES * plan_shape_floats(model->plan.ops[i].shape);
  assert_true(r.starts[model->plan.op_count] <= LARGEST);
  return r;
}

static float wanted[LARGEST], found[LARGEST];

/* Run with 1 to MAX_THREADS threads, in steps of `step`, and every batch up to SAMPLES.
 * Run only the smallest and the largest batch with more than 2 threads, which may
 * outnumber the CPUs and then wait for each other for long, and in quick runs, which use
 * 1 and 2 threads. */
static void check_bits(const resnet_model *model, const float *input, uint32_t step) {
  const bool quick = rounds_step() > 1;
  record want = new_record(model, wanted), got = new_record(model, found);
  record_run(model, input, 1, 1, &want);
  for (uint32_t threads = 1; threads <= (quick ? 2 : MAX_THREADS); threads += quick ? 1 : step)
    for (uint32_t batch = 1; batch <= SAMPLES; batch += threads > 2 || quick ? SAMPLES - 1 : 1) {
      record_run(model, input, threads, batch, &got);
      for (uint32_t i = 0; i < model->plan.op_count; i++)
        if (memcmp(wanted + want.starts[i], found + got.starts[i],
                   (want.starts[i + 1] - want.starts[i]) * sizeof *found) != 0)
          fail_msg("op %u (%s): other bits with %u threads, batch %u", i, model->plan.ops[i].detail,
                   threads, batch);
    }
}

static void bits_do_not_depend_on_threads_or_batches(void **unused) {
  (void)unused;
  unsigned kinds = 0;
  for (size_t i = 0; i < 2 * SIZES; i++) {
    network n = residual_network(&sizes[i / 2]);
    resnet_model *model = network_model(&n, i % 2 ? RESNET_CONV_WINOGRAD : RESNET_CONV_AUTO);
    float *input =
        random_floats(model->memory, SAMPLES * plan_shape_floats(model->plan.ops[0].shape));
    kinds |= network_kinds(&model->plan);
    check_bits(model, input, 1);
    mem_release(model->memory, input);
    graph_release(&n.graph);
    resnet_model_close(&model);
  }
  assert_int_equal(kinds, NETWORK_KINDS);
}

/* Open a session anew for a CPU with other caches and run it. */
static void record_run_with_caches(const resnet_model *model, const float *input,
                                   system_caches caches, record *r) {
  static float scores[SAMPLES * 4096];
  resnet_session *session;
  resnet_session_options settings = {.struct_size = sizeof settings,
                                     .threads = 2,
                                     .batch = SAMPLES,
                                     .observe = RESNET_OBSERVE_OPS};
  r->done = 0;
  assert_int_equal(resnet_session_open(model, &settings, &session, NULL), RESNET_OK);
  executor_close(session);
  session->caches = caches;
  assert_int_equal(executor_open(session, NULL), RESNET_OK);
  assert_int_equal(resnet_session_observe(session, keep, r, NULL), RESNET_OK);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NHWC, SAMPLES, scores, NULL),
                   RESNET_OK);
  resnet_session_close(&session);
}

static void bits_do_not_depend_on_caches(void **unused) {
  (void)unused;
  static const system_caches caches[] = {{128 << 10, 0}, {256 << 10, 64 << 20}, {4 << 20, 0}};
  for (size_t i = 0; i < SIZES; i++) {
    network n = residual_network(&sizes[i]);
    resnet_model *model = network_model(&n, RESNET_CONV_WINOGRAD);
    float *input =
        random_floats(model->memory, SAMPLES * plan_shape_floats(model->plan.ops[0].shape));
    record want = new_record(model, wanted), got = new_record(model, found);
    record_run(model, input, 1, 1, &want);
    for (size_t k = 0; k < sizeof caches / sizeof *caches; k++) {
      record_run_with_caches(model, input, caches[k], &got);
      assert_memory_equal(wanted, found, want.starts[model->plan.op_count] * sizeof *found);
    }
    mem_release(model->memory, input);
    graph_release(&n.graph);
    resnet_model_close(&model);
  }
}

static void bits_of_gates_do_not_depend_on_threads_or_batches(void **unused) {
  (void)unused;
  for (size_t i = 0; i < SIZES; i++) {
    network n = gated_network(&sizes[i]);
    resnet_model *model = network_model(&n, RESNET_CONV_AUTO);
    float *input =
        random_floats(model->memory, SAMPLES * plan_shape_floats(model->plan.ops[0].shape));
    check_bits(model, input, 2);
    mem_release(model->memory, input);
    graph_release(&n.graph);
    resnet_model_close(&model);
  }
}

/* ---- NaN and infinity -------------------------------------------------------------- */

/* A sample of NaN and infinity does not change the bits of its neighbours. */
static void samples_do_not_change_each_other(void **unused) {
  (void)unused;
  const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
  for (size_t i = 0; i < 2 * SIZES; i++) {
    network n = i % 2 ? gated_network(&sizes[i / 2]) : residual_network(&sizes[i / 2]);
    resnet_model *model = network_model(&n, RESNET_CONV_WINOGRAD);
    const size_t floats = plan_shape_floats(model->plan.ops[0].shape);
    float *input = random_floats(model->memory, SAMPLES * floats);
    record want = new_record(model, wanted), got = new_record(model, found);
    record_run(model, input, 2, SAMPLES, &want);
    for (size_t k = 0; k < floats; k++)
      input[1 * floats + k] = input[3 * floats + k] = bad[random_below(4)];
    record_run(model, input, 2, SAMPLES, &got);
    for (uint32_t op = 0; op < model->plan.op_count; op++)
      for (size_t sample = 0; sample < SAMPLES; sample += 2) {
        const size_t size = plan_shape_floats(model->plan.ops[op].shape),
                     at = want.starts[op] + sample * size;
        assert_memory_equal(wanted + at, found + at, size * sizeof *found);
      }
    mem_release(model->memory, input);
    graph_release(&n.graph);
    resnet_model_close(&model);
  }
}

/* ---- errors ------------------------------------------------------------------------ */

static void scale_layer(network *n, uint32_t node, float factor) {
  graph_node *layer = &n->graph.nodes[node];
  for (size_t i = 0; i < layer->weight_count; i++) layer->weights[i] *= factor;
}

/* Activations from 1e-20 to 1e20, and weights at both ends of the range for which
 * plan_find_winograd_safety admits Winograd's algorithm. Errors are relative to the
 * largest value of the op's output; the bound is the same as for random networks with
 * ordinary values. */
static void errors_do_not_depend_on_the_scale(void **unused) {
  (void)unused;
  static const struct {
    float input, first, second;
  } scales[] = {{1e-20f, 1, 1},         {1e20f, 1, 1},           {1, 0x1p50f, 0x1p-50f},
                {1, 0x1p-50f, 0x1p50f}, {1e20f, 1e-15f, 1e-15f}, {1e-20f, 1e15f, 1e15f},
                {1, 1e25f, 1e-25f},     {1, 1e-25f, 1e25f}};
  double worst = 0.0;
  unsigned kinds = 0;
  for (size_t i = 0; i < SIZES * sizeof scales / sizeof *scales; i++) {
    const size_t size = i % SIZES, scale = i / SIZES;
    network n = network_new((graph_shape){sizes[size].h, sizes[size].w, 16});
    uint32_t layer = network_add_conv(&n, 0, &same3x3, 1, sizes[size].c);
    unclamp(&n, layer);
    scale_layer(&n, layer, scales[scale].first);
    memset(n.graph.nodes[layer].bias, 0, n.graph.nodes[layer].bias_count * sizeof(float));
    layer = network_add_conv(&n, layer, &same3x3, 1, 16);
    unclamp(&n, layer);
    scale_layer(&n, layer, scales[scale].second);
    const network_result result =
        network_measure(&n, 1, 1, RESNET_CONV_WINOGRAD, scales[scale].input, 2e-5);
    kinds |= result.kinds;
    worst = fmax(worst, result.error);
  }
  assert_int_equal(kinds & 7u, 7u); /* the forms of 3x3 */
  printf("%s: the largest error is %.1e of the op's largest value\n", simd_fastest()->name, worst);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bits_do_not_depend_on_threads_or_batches),
      cmocka_unit_test(bits_do_not_depend_on_caches),
      cmocka_unit_test(bits_of_gates_do_not_depend_on_threads_or_batches),
      cmocka_unit_test(samples_do_not_change_each_other),
      cmocka_unit_test(errors_do_not_depend_on_the_scale),
  };
  return cmocka_run_group_tests_name("conv numbers", tests, NULL, NULL);
}
