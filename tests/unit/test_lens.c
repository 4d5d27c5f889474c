/* Observation and ablation: the points that fusion erases, scores equal to the bit, and
 * what the removal of a block means. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "every_kernel.h"

enum { SAMPLES = 3, POINTS = 4 };

/* Every response of one run of SAMPLES samples, by op and point; NULL: not emitted. */
typedef struct record {
  resnet_model *model;
  resnet_model_info info;
  resnet_session *session;
  float *input, *scores;
  float **values; /* (op_count,POINTS) */
  resnet_response *shapes;
  uint32_t calls, last_op; /* calls so far */
} record;

static size_t floats_of(const resnet_response *r) {
  return (size_t)r->batch * r->height * r->width * r->channels;
}

static float *value(const record *r, uint32_t op, resnet_point point) {
  return r->values[op * POINTS + point];
}

static void keep(void *user, const resnet_response *response) {
  record *r = user;
  const size_t index = (size_t)response->op * POINTS + response->point;
  assert_null(r->values[index]); /* each once */
  r->values[index] = malloc(floats_of(response) * sizeof(float));
  memcpy(r->values[index], response->data, floats_of(response) * sizeof(float));
  r->shapes[index] = *response;
  r->calls++;
}

static void forget(record *r) {
  for (size_t i = 0; i < (size_t)r->info.op_count * POINTS; i++) {
    free(r->values[i]);
    r->values[i] = NULL;
  }
  r->calls = 0;
}

static record begin(resnet_model *model, resnet_observe observe) {
  record r = {.model = model, .info = plan_info(model)};
  const size_t image = (size_t)r.info.input_height * r.info.input_width * r.info.input_channels;
  const resnet_session_options options = {
      .struct_size = sizeof options, .threads = 1, .batch = SAMPLES, .observe = observe};
  assert_int_equal(resnet_session_open(model, &options, &r.session, NULL), RESNET_OK);
  r.input = malloc(SAMPLES * image * sizeof(float));
  r.scores = malloc((size_t)SAMPLES * r.info.score_count * sizeof(float));
  r.values = calloc((size_t)r.info.op_count * POINTS, sizeof *r.values);
  r.shapes = calloc((size_t)r.info.op_count * POINTS, sizeof *r.shapes);
  for (size_t i = 0; i < SAMPLES * image; i++)
    r.input[i] = (float)(i * 2654435761u % 1000) / 500.0F - 1.0F;
  return r;
}

static void end(record *r) {
  forget(r);
  resnet_session_close(&r->session);
  free(r->input);
  free(r->scores);
  free(r->values);
  free(r->shapes);
}

static void run(record *r) {
  assert_int_equal(resnet_run(r->session, r->input, RESNET_LAYOUT_NCHW, SAMPLES, r->scores, NULL),
                   RESNET_OK);
}

static void observe_run(record *r) {
  forget(r);
  assert_int_equal(resnet_session_observe(r->session, keep, r, NULL), RESNET_OK);
  run(r);
}

static void assert_same(const float *a, const float *b, size_t count) {
  assert_memory_equal(a, b, count * sizeof *a);
}

static void assert_same_scores(const record *a, const record *b) {
  assert_same(a->scores, b->scores, (size_t)SAMPLES * a->info.score_count);
}

static resnet_model *shipped(void) {
  resnet_model *model = NULL;
  assert_int_equal(
      resnet_model_open(SOURCE_DIR "/models/cifar10-resnet20.onnx", NULL, &model, NULL), RESNET_OK);
  return model;
}

static float clamped(const record *r, uint32_t op, float x) {
  const plan_op *own = &r->model->plan.ops[op];
  return fminf(fmaxf(x, own->clamp_min), own->clamp_max);
}

/* ---- observation ------------------------------------------------------------------- */

/* Check that output = clamp(response + shortcut), to the bit, for every op that has a
 * response or a shortcut. */
static void check_points(const record *r, unsigned *seen) {
  for (uint32_t op = 0; op < r->info.op_count; op++) {
    const float *response = value(r, op, RESNET_POINT_RESPONSE),
                *shortcut = value(r, op, RESNET_POINT_SHORTCUT);
    const float *output = value(r, op, RESNET_POINT_OUTPUT);
    assert_non_null(output);
    const plan_op *own = &r->model->plan.ops[op];
    if (!response && shortcut) response = value(r, own->input[0], RESNET_POINT_OUTPUT);
    if (!response) continue;
    *seen |= shortcut ? 2U : 1U;
    for (size_t i = 0; i < floats_of(&r->shapes[op * POINTS]); i++) {
      const float sum = shortcut ? response[i] + shortcut[i] : response[i];
      if (output[i] != clamped(r, op, sum))
        fail_msg("op %u: %g is not the clamped %g", op, output[i], sum);
    }
  }
}

static void check_observed(resnet_model *model, unsigned *seen) {
  record unobserved = begin(model, RESNET_OBSERVE_OPS), ops = begin(model, RESNET_OBSERVE_OPS);
  record unfused = begin(model, RESNET_OBSERVE_RESPONSES);
  run(&unobserved);
  observe_run(&ops);
  observe_run(&unfused);
  assert_int_equal(ops.calls, ops.info.op_count);
  assert_same_scores(&unobserved, &ops);
  assert_same_scores(&unobserved, &unfused);
  for (uint32_t op = 0; op < ops.info.op_count; op++)
    assert_same(value(&ops, op, RESNET_POINT_OUTPUT), value(&unfused, op, RESNET_POINT_OUTPUT),
                floats_of(&ops.shapes[op * POINTS]));
  check_points(&unfused, seen);
  assert_int_equal(resnet_session_observe(unfused.session, NULL, NULL, NULL), RESNET_OK);
  const uint32_t calls = unfused.calls;
  run(&unfused);
  assert_int_equal(unfused.calls, calls);
  assert_same_scores(&unobserved, &unfused);
  end(&unobserved);
  end(&ops);
  end(&unfused);
}

static void observation_keeps_what_fusion_erases_and_disturbs_nothing(void **state) {
  (void)state;
  unsigned seen = 0;
  for (size_t i = 0; i < EVERY_KERNEL_FILES; i++) {
    buffer file = every_kernel_file(i);
    resnet_model *model = plan_open(&file, NULL);
    check_observed(model, &seen);
    resnet_model_close(&model);
    free(file.data);
  }
  resnet_model *model = shipped();
  check_observed(model, &seen);
  resnet_model_close(&model);
  assert_int_equal(seen, 3); /* responses with and without a shortcut */
}

/* Each layer of the paper and each projection emits one response, each block one shortcut
 * and one output. */
static void each_point_of_the_paper_is_emitted_once(void **state) {
  (void)state;
  resnet_model *model = shipped();
  record r = begin(model, RESNET_OBSERVE_RESPONSES);
  observe_run(&r);
  uint32_t responses = 0, shortcuts = 0;
  for (uint32_t op = 0; op < r.info.op_count; op++) {
    resnet_op described = {.struct_size = sizeof described};
    assert_int_equal(resnet_plan_op(model, op, &described, NULL), RESNET_OK);
    if (value(&r, op, RESNET_POINT_RESPONSE)) assert_int_equal(described.layer, ++responses);
    shortcuts += value(&r, op, RESNET_POINT_SHORTCUT) != NULL;
  }
  assert_int_equal(responses, r.info.conv_layers); /* this network has no projections */
  assert_int_equal(responses, 20);
  assert_int_equal(shortcuts, r.info.block_count);
  end(&r);
  resnet_model_close(&model);
}

/* The class map's mean is the logit by linearity: Zhou et al. 2016. */
static void the_class_maps_mean_is_the_logit(void **state) {
  (void)state;
  resnet_model *model = shipped();
  record r = begin(model, RESNET_OBSERVE_RESPONSES);
  observe_run(&r);
  const uint32_t layer = model->plan.output, classes = r.info.score_count;
  const float *map = value(&r, layer, RESNET_POINT_CLASS_MAP);
  assert_non_null(map);
  enum { PIXELS = 64 };
  assert_int_equal(r.shapes[layer * POINTS + RESNET_POINT_CLASS_MAP].height, 8);
  for (size_t n = 0; n < SAMPLES; n++)
    for (uint32_t c = 0; c < classes; c++) {
      double sum = 0;
      for (size_t i = 0; i < PIXELS; i++) sum += map[(n * PIXELS + i) * classes + c];
      assert_true(fabs(sum / PIXELS - r.scores[n * classes + c]) <
                  1e-5 * fmax(1, fabs(r.scores[n * classes + c])));
    }
  end(&r);
  resnet_model_close(&model);
}

/* Observe a network that begin_network began. Check that it has no class map, but the
 * response of its last layer. */
static void check_no_map(network *n) {
  buffer file = finish(n);
  resnet_model *model = plan_open(&file, NULL);
  unsigned seen = 0;
  check_observed(model, &seen);
  record r = begin(model, RESNET_OBSERVE_RESPONSES);
  observe_run(&r);
  assert_non_null(value(&r, model->plan.output, RESNET_POINT_RESPONSE));
  for (uint32_t op = 0; op < model->plan.op_count; op++)
    assert_null(value(&r, op, RESNET_POINT_CLASS_MAP));
  end(&r);
  resnet_model_close(&model);
  buffer_release(&file);
}

/* The classifier is a 1x1 convolution with a stride, which has no effect on one pixel but
 * would on the pool's input. It has no class map, but all other points. */
static void a_strided_class_layer_has_no_map(void **state) {
  (void)state;
  network n = {0};
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "p", "");
  add_conv(&n, "p", "q", "5,4,1,1", "strides=2,2");
  add(&n, "Flatten", "q", "y", "");
  check_no_map(&n);
}

/* The score is the sum of two classifiers. A matrix product adds the first while it
 * computes the second, whose map would have no shortcut of its size. */
static void a_class_layer_that_adds_has_no_map(void **state) {
  (void)state;
  network n = {0};
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "p", "");
  add_conv(&n, "p", "q", "5,4,1,1", "");
  add_conv(&n, "p", "r", "5,4,1,1", "");
  add(&n, "Add", "r,q", "s", "");
  add(&n, "Flatten", "s", "y", "");
  check_no_map(&n);
}

/* ---- ablations --------------------------------------------------------------------- */

/* Check an ablation. The block's input is unchanged, so its output follows from the
 * points of the whole network; what comes after it differs. */
static void check_ablation(record *whole, record *ablated, uint32_t block, resnet_skip mode) {
  resnet_error error;
  const plan_block *b = &whole->model->plan.blocks[block];
  assert_int_equal(resnet_session_skip(ablated->session, block, mode, 0, &error), RESNET_OK);
  observe_run(ablated);
  const float *shortcut = value(whole, b->last_op, RESNET_POINT_SHORTCUT);
  const float *residual = value(whole, b->last_op, RESNET_POINT_RESPONSE);
  if (!residual)
    residual = value(whole, whole->model->plan.ops[b->last_op].input[0], RESNET_POINT_OUTPUT);
  const float *want = mode == RESNET_SKIP_BRANCH ? shortcut : residual;
  const float *output = value(ablated, b->last_op, RESNET_POINT_OUTPUT);
  assert_non_null(output);
  for (size_t i = 0; i < floats_of(&whole->shapes[b->last_op * POINTS]); i++)
    assert_true(output[i] == clamped(whole, b->last_op, want[i]));
  assert_true(memcmp(whole->scores, ablated->scores, SAMPLES * sizeof(float)) != 0);
  for (uint32_t i = b->first_op; mode == RESNET_SKIP_BRANCH && i <= b->last_op;
       i++) /* branches are not run */
    if (whole->model->plan.ops[i].shortcut == RESNET_SHORTCUT_NONE)
      assert_null(value(ablated, i, RESNET_POINT_OUTPUT));
}

static void a_skipped_block_is_its_shortcut_or_its_branch(void **state) {
  (void)state;
  buffer projections = plan_read(SOURCE_DIR "/tests/models/resnet8_option_b.onnx");
  resnet_model *models[] = {shipped(), plan_open(&projections, NULL)};
  for (size_t m = 0; m < 2; m++) {
    record whole = begin(models[m], RESNET_OBSERVE_RESPONSES),
           ablated = begin(models[m], RESNET_OBSERVE_RESPONSES);
    observe_run(&whole);
    for (uint32_t block = 0; block < whole.info.block_count; block++)
      for (resnet_skip mode = RESNET_SKIP_BRANCH; mode <= RESNET_SKIP_SHORTCUT; mode++) {
        check_ablation(&whole, &ablated, block, mode);
        assert_int_equal(resnet_session_skip(ablated.session, block, RESNET_SKIP_NONE, 0, NULL),
                         RESNET_OK);
        observe_run(&ablated);
        assert_same_scores(&whole, &ablated);
        assert_int_equal(whole.calls, ablated.calls);
      }
    end(&whole);
    end(&ablated);
    resnet_model_close(&models[m]);
  }
  free(projections.data);
}

/* Ablation gives the same bits with and without an observer: it needs no unfused op. */
static void ablations_are_the_same_unobserved(void **state) {
  (void)state;
  resnet_model *model = shipped();
  record a = begin(model, RESNET_OBSERVE_RESPONSES), b = begin(model, RESNET_OBSERVE_OPS);
  for (uint32_t block = 0; block < a.info.block_count; block++) {
    const resnet_skip mode = block % 2 ? RESNET_SKIP_BRANCH : RESNET_SKIP_SHORTCUT;
    assert_int_equal(resnet_session_skip(a.session, block, mode, 0, NULL), RESNET_OK);
    assert_int_equal(resnet_session_skip(b.session, block, mode, 0, NULL), RESNET_OK);
    observe_run(&a);
    run(&b);
    assert_same_scores(&a, &b);
  }
  end(&a);
  end(&b);
  resnet_model_close(&model);
}

/* The layers of the other block run at each place, on the input that this place always
 * had. */
static void swapped_blocks_change_places(void **state) {
  (void)state;
  resnet_model *model = shipped();
  record whole = begin(model, RESNET_OBSERVE_RESPONSES),
         ablated = begin(model, RESNET_OBSERVE_RESPONSES);
  observe_run(&whole);
  const plan_block *first = &model->plan.blocks[1], *second = &model->plan.blocks[2];
  assert_int_equal(resnet_session_skip(ablated.session, 1, RESNET_SKIP_SWAP, 2, NULL), RESNET_OK);
  observe_run(&ablated);
  const size_t count = floats_of(&whole.shapes[first->last_op * POINTS]);
  assert_same(value(&whole, first->source, RESNET_POINT_OUTPUT),
              value(&ablated, second->last_op, RESNET_POINT_SHORTCUT), count);
  assert_same(value(&ablated, second->last_op, RESNET_POINT_OUTPUT),
              value(&ablated, first->last_op, RESNET_POINT_SHORTCUT), count);
  assert_int_equal(whole.calls, ablated.calls);
  /* both */
  assert_int_equal(resnet_session_skip(ablated.session, 2, RESNET_SKIP_NONE, 0, NULL), RESNET_OK);
  observe_run(&ablated);
  assert_same_scores(&whole, &ablated);
  end(&whole);
  end(&ablated);
  resnet_model_close(&model);
}

static void refuse(record *r, uint32_t block, resnet_skip mode, uint32_t other,
                   resnet_status status, const char *words) {
  resnet_error error;
  assert_int_equal(resnet_session_skip(r->session, block, mode, other, &error), status);
  if (!strstr(error.message, words)) fail_msg("'%s' does not say '%s'", error.message, words);
}

static void impossible_ablations_are_refused_and_change_nothing(void **state) {
  (void)state;
  resnet_model *model = shipped();
  record whole = begin(model, RESNET_OBSERVE_RESPONSES), r = begin(model, RESNET_OBSERVE_RESPONSES);
  run(&whole);
  refuse(&r, 9, RESNET_SKIP_BRANCH, 0, RESNET_ERROR_ARGUMENT, "block 9: the model has 9");
  refuse(&r, RESNET_NO_INDEX, RESNET_SKIP_BRANCH, 0, RESNET_ERROR_ARGUMENT,
         "RESNET_NO_INDEX is not a block: only mode NONE (0) accepts it; the model has 9");
  refuse(&r, 0, RESNET_SKIP_SWAP, RESNET_NO_INDEX, RESNET_ERROR_ARGUMENT, "is not a block");
  refuse(&r, 0, (resnet_skip)4, 0, RESNET_ERROR_ARGUMENT, "mode 4");
  refuse(&r, 0, RESNET_SKIP_SWAP, 0, RESNET_ERROR_ARGUMENT, "with 0");
  refuse(&r, 0, RESNET_SKIP_SWAP, 9, RESNET_ERROR_ARGUMENT, "with 9");
  refuse(&r, 2, RESNET_SKIP_SWAP, 3, RESNET_ERROR_UNSUPPORTED, "(stage1.block3)");
  refuse(&r, 2, RESNET_SKIP_SWAP, 3, RESNET_ERROR_UNSUPPORTED,
         "(h 32, w 32, c 16) and (h 16, w 16, c 32)");
  run(&r);
  assert_same_scores(&whole, &r);
  assert_int_equal(resnet_session_skip(NULL, 0, RESNET_SKIP_NONE, 0, NULL), RESNET_ERROR_ARGUMENT);
  end(&whole);
  end(&r);
  resnet_model_close(&model);
}

/* A plain network's pair of layers can be removed where it keeps the shape. */
static void plain_pairs_can_be_removed_where_they_keep_the_shape(void **state) {
  (void)state;
  buffer file = plan_read(SOURCE_DIR "/tests/models/cifar/plain8_adaptive_ts_opset8.onnx");
  resnet_model *model = plan_open(&file, NULL);
  record whole = begin(model, RESNET_OBSERVE_RESPONSES),
         ablated = begin(model, RESNET_OBSERVE_RESPONSES);
  observe_run(&whole);
  const plan_block *b = &model->plan.blocks[0];
  assert_int_equal(resnet_session_skip(ablated.session, 0, RESNET_SKIP_BRANCH, 0, NULL), RESNET_OK);
  observe_run(&ablated);
  assert_null(value(&ablated, b->first_op, RESNET_POINT_OUTPUT));
  assert_null(value(&ablated, b->last_op, RESNET_POINT_OUTPUT));
  assert_same(value(&whole, b->source, RESNET_POINT_OUTPUT),
              value(&ablated, b->source, RESNET_POINT_OUTPUT),
              floats_of(&whole.shapes[b->source * POINTS]));
  assert_true(memcmp(whole.scores, ablated.scores, SAMPLES * sizeof(float)) != 0);
  refuse(&ablated, 1, RESNET_SKIP_BRANCH, 0, RESNET_ERROR_UNSUPPORTED,
         "it has no shortcut, and its input and output differ");
  refuse(&ablated, 0, RESNET_SKIP_SHORTCUT, 0, RESNET_ERROR_UNSUPPORTED,
         "no shortcut that could be skipped");
  end(&whole);
  end(&ablated);
  resnet_model_close(&model);
  free(file.data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(observation_keeps_what_fusion_erases_and_disturbs_nothing),
      cmocka_unit_test(each_point_of_the_paper_is_emitted_once),
      cmocka_unit_test(the_class_maps_mean_is_the_logit),
      cmocka_unit_test(a_strided_class_layer_has_no_map),
      cmocka_unit_test(a_class_layer_that_adds_has_no_map),
      cmocka_unit_test(a_skipped_block_is_its_shortcut_or_its_branch),
      cmocka_unit_test(ablations_are_the_same_unobserved),
      cmocka_unit_test(swapped_blocks_change_places),
      cmocka_unit_test(impossible_ablations_are_refused_and_change_nothing),
      cmocka_unit_test(plain_pairs_can_be_removed_where_they_keep_the_shape),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
