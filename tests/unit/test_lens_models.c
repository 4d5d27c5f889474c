/* The lens on every network below tests/models: observed, and with each block removed or
 * swapped. The output of every op must follow from the outputs of its inputs, by
 * arithmetic that knows nothing of edited plans. */
#define _XOPEN_SOURCE 700
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "plan_network.h"
#include "rounds.h"
#include "runtime/api/model.h"

enum {
  SAMPLES = 2,
  POINTS = 4,
  MOST_FILES = 512,
  FEWEST_OPENED = 170,
  FOLDERS_AT_ONCE = 8,
  MOST_SIDE = 64
};

static char *files[MOST_FILES];
static size_t file_count;

/* One model in one state: the responses that it emitted, and the ablations that were
 * requested. */
typedef struct lens {
  const plan *plan;
  resnet_session *fused, *unfused; /* the same ablations in both, the second observed */
  float *input, *scores[2];
  size_t score_count;
  float **values; /* (op_count,POINTS); NULL: not emitted */
  resnet_skip *modes;
  uint32_t *others; /* by block */
  size_t convs, sums;
} lens;

static size_t floats_of(graph_shape s) { return (size_t)s.h * s.w * s.c * SAMPLES; }

static void keep(void *user, const resnet_response *r) {
  lens *l = user;
  float **kept = &l->values[(size_t)r->op * POINTS + r->point];
  const size_t bytes = (size_t)r->batch * r->height * r->width * r->channels * sizeof(float);
  if (*kept) fail_msg("op %u is emitted twice as %d", r->op, (int)r->point);
  *kept = malloc(bytes);
  memcpy(*kept, r->data, bytes);
}

static void forget(lens *l) {
  for (size_t i = 0; i < (size_t)l->plan->op_count * POINTS; i++) {
    free(l->values[i]);
    l->values[i] = NULL;
  }
}

static const float *emitted(const lens *l, uint32_t op, resnet_point point) {
  return l->values[(size_t)op * POINTS + point];
}

static resnet_session *open_session(const resnet_model *model, uint32_t threads) {
  const resnet_session_options options = {
      .struct_size = sizeof options, .threads = threads, .batch = SAMPLES};
  resnet_session *session = NULL;
  assert_int_equal(resnet_session_open(model, &options, &session, NULL), RESNET_OK);
  return session;
}

static lens begin(const resnet_model *model) {
  const plan *p = &model->plan;
  lens l = {.plan = p, .fused = open_session(model, 1), .unfused = open_session(model, 1)};
  l.score_count = floats_of(p->ops[p->output].shape);
  l.input = malloc(floats_of(p->ops[0].shape) * sizeof(float));
  for (size_t i = 0; i < 2; i++) l.scores[i] = malloc(l.score_count * sizeof(float));
  l.values = calloc((size_t)p->op_count * POINTS, sizeof *l.values);
  l.modes = calloc(p->block_count + 1, sizeof *l.modes);
  l.others = calloc(p->block_count + 1, sizeof *l.others);
  for (size_t i = 0; i < floats_of(p->ops[0].shape); i++) l.input[i] = random_float(7, i) * 4;
  return l;
}

static void end(lens *l) {
  forget(l);
  resnet_session_close(&l->fused);
  resnet_session_close(&l->unfused);
  free(l->input);
  free(l->scores[0]);
  free(l->scores[1]);
  free(l->values);
  free(l->modes);
  free(l->others);
}

/* ---- expectations ------------------------------------------------------------------ */

static resnet_skip mode_of(const lens *l, uint32_t block) {
  return block == RESNET_NO_INDEX ? RESNET_SKIP_NONE : l->modes[block];
}

static bool is_last(const plan *p, uint32_t op) {
  const uint32_t block = p->ops[op].block;
  return block != RESNET_NO_INDEX && p->blocks[block].last_op == op;
}

static bool adds(const plan_op *op) {
  return op->input_count == 2 && op->kernel != KERNEL_SCALE && op->kernel != KERNEL_MULTIPLY;
}

static const float *effective(const lens *l, uint32_t op);

/* Return the tensor at the place of op `op` in the whole network: if blocks are swapped,
 * the other's. */
static const float *at_place(const lens *l, uint32_t op) {
  const uint32_t block = l->plan->ops[op].block;
  if (is_last(l->plan, op) && l->modes[block] == RESNET_SKIP_SWAP)
    op = l->plan->blocks[l->others[block]].last_op;
  return effective(l, op);
}

/* Return input `k` of op `op`. */
static const float *read_by(const lens *l, uint32_t op, uint32_t k) {
  const plan *p = l->plan;
  const uint32_t source = p->ops[op].input[k], block = p->ops[op].block;
  if (mode_of(l, block) != RESNET_SKIP_SWAP) return at_place(l, source);
  if (source == p->blocks[block].source) return at_place(l, p->blocks[l->others[block]].source);
  return effective(l, source);
}

/* Return the output of an op. If the op vanished because it does nothing, return its
 * input. */
static const float *effective(const lens *l, uint32_t index) {
  const plan *p = l->plan;
  const plan_op *op = &p->ops[index];
  const float *output = emitted(l, index, RESNET_POINT_OUTPUT);
  if (output || !is_last(p, index)) return output;
  if (l->modes[op->block] == RESNET_SKIP_SHORTCUT) return read_by(l, index, 0);
  if (l->modes[op->block] != RESNET_SKIP_BRANCH) return NULL;
  if (!adds(op)) return at_place(l, p->blocks[op->block].source);
  return op->subsampled ? emitted(l, index, RESNET_POINT_SHORTCUT) : read_by(l, index, 1);
}

static float clamped(const plan_op *op, float x) {
  return fminf(fmaxf(x, op->clamp_min), op->clamp_max);
}

static float *subsampled(const plan_op *op, const float *x) {
  float *out = calloc(floats_of(op->shape), sizeof *out);
  const graph_shape s = op->source_shape;
  for (size_t n = 0; n < SAMPLES; n++)
    for (size_t h = 0; h < op->shape.h; h++)
      for (size_t w = 0; w < op->shape.w; w++)
        memcpy(out + ((n * op->shape.h + h) * op->shape.w + w) * op->shape.c + op->channels_before,
               x + ((n * s.h + h * op->stride_h) * s.w + w * op->stride_w) * s.c, s.c * sizeof *x);
  return out;
}

/* Check that the sum equals its parts, to the bit; a removed part is NULL. */
static void check_sum(lens *l, uint32_t index, const float *residual, const float *shortcut) {
  const plan_op *op = &l->plan->ops[index];
  const float *output = effective(l, index);
  for (size_t i = 0; i < floats_of(op->shape); i++) {
    const float sum = residual && shortcut ? residual[i] + shortcut[i]
                      : residual           ? residual[i]
                                           : shortcut[i];
    if (output[i] != clamped(op, sum))
      fail_msg("op %u (%s): %g is not the clamped %g", index, op->name, (double)output[i],
               (double)sum);
  }
  l->sums++;
}

static void check_addition(lens *l, uint32_t index) {
  const plan_op *op = &l->plan->ops[index];
  const resnet_skip mode = is_last(l->plan, index) ? l->modes[op->block] : RESNET_SKIP_NONE;
  const float *x = read_by(l, index, 1), *point = emitted(l, index, RESNET_POINT_SHORTCUT);
  const float *residual = emitted(l, index, RESNET_POINT_RESPONSE);
  if (op->kernel == KERNEL_ADD && mode != RESNET_SKIP_BRANCH) residual = read_by(l, index, 0);
  float *made = mode != RESNET_SKIP_SHORTCUT && op->subsampled ? subsampled(op, x) : NULL;
  const float *shortcut = made ? made : x;
  if (mode == RESNET_SKIP_NONE || mode == RESNET_SKIP_SWAP) assert_non_null(point);
  if (mode == RESNET_SKIP_SHORTCUT) assert_null(point);
  if (point) assert_memory_equal(point, shortcut, floats_of(op->shape) * sizeof *point);
  if (mode == RESNET_SKIP_BRANCH) assert_null(residual);
  check_sum(l, index, residual, mode == RESNET_SKIP_SHORTCUT ? NULL : shortcut);
  free(made);
}

static double conv_at(const plan_op *op, const float *x, size_t n, uint32_t h, uint32_t w,
                      uint32_t o) {
  const graph_window *k = &op->window;
  const uint32_t in = op->in.c / op->groups, first = o / (op->shape.c / op->groups) * in;
  double sum = (double)op->bias[o];
  for (uint32_t kh = 0; kh < k->kernel_h; kh++)
    for (uint32_t kw = 0; kw < k->kernel_w; kw++) {
      const int64_t ih = (int64_t)h * k->stride_h + (int64_t)kh * k->dilation_h - k->pad_top;
      const int64_t iw = (int64_t)w * k->stride_w + (int64_t)kw * k->dilation_w - k->pad_left;
      if (ih < 0 || iw < 0 || ih >= op->in.h || iw >= op->in.w) continue;
      const float *pixel =
          x + ((n * op->in.h + (size_t)ih) * op->in.w + (size_t)iw) * op->in.c + first;
      const float *weights = op->weights + (((size_t)o * k->kernel_h + kh) * k->kernel_w + kw) * in;
      for (uint32_t c = 0; c < in; c++) sum += (double)weights[c] * (double)pixel[c];
    }
  return sum;
}

/* Check one value of each sample, within the tolerance of Winograd's algorithm. */
static void check_response(lens *l, uint32_t index) {
  const plan_op *op = &l->plan->ops[index];
  const float *response = emitted(l, index, RESNET_POINT_RESPONSE), *x = read_by(l, index, 0);
  double largest = 0;
  for (size_t i = 0; i < floats_of(op->shape); i++)
    largest = fmax(largest, fabs((double)response[i]));
  for (uint32_t n = 0; n < SAMPLES; n++) {
    const uint32_t h = (index + n) % op->shape.h, w = index * 3 % op->shape.w,
                   o = (index * 7 + n) % op->shape.c;
    const double want = conv_at(op, x, n, h, w, o);
    const double is =
        (double)response[(((size_t)n * op->shape.h + h) * op->shape.w + w) * op->shape.c + o];
    if (!(fabs(is - want) <= 1e-4 * largest + 1e-30))
      fail_msg("op %u (%s): %g is not the convolution's %g (largest %g)", index, op->name, is, want,
               largest);
  }
  l->convs++;
}

/* Check an op. Only ops of an ablated block may be missing. */
static void check_op(lens *l, uint32_t index) {
  const plan_op *op = &l->plan->ops[index];
  const resnet_skip mode = mode_of(l, op->block);
  const bool ablated = mode == RESNET_SKIP_BRANCH || mode == RESNET_SKIP_SHORTCUT;
  if (!ablated && !emitted(l, index, RESNET_POINT_OUTPUT))
    fail_msg("op %u (%s) is not emitted", index, op->name);
  if (emitted(l, index, RESNET_POINT_RESPONSE) && op->weights) check_response(l, index);
  if (adds(op)) check_addition(l, index);
  if (!adds(op) && emitted(l, index, RESNET_POINT_RESPONSE))
    check_sum(l, index, emitted(l, index, RESNET_POINT_RESPONSE), NULL);
  const bool branch =
      mode == RESNET_SKIP_BRANCH && l->plan->blocks[op->block].shortcut != RESNET_SHORTCUT_NONE;
  if (branch && op->shortcut == RESNET_SHORTCUT_NONE && emitted(l, index, RESNET_POINT_OUTPUT))
    fail_msg("op %u (%s) of a branch that is left out runs", index, op->name);
}

static void check_class_map(const lens *l) {
  for (uint32_t i = 0; i < l->plan->op_count; i++) {
    const float *map = emitted(l, i, RESNET_POINT_CLASS_MAP),
                *response = emitted(l, i, RESNET_POINT_RESPONSE);
    if (!map) continue;
    const plan_op *op = &l->plan->ops[i], *pool = &l->plan->ops[op->input[0]];
    const size_t pixels = (size_t)pool->in.h * pool->in.w, classes = op->shape.c;
    for (size_t k = 0; k < SAMPLES * classes; k++) {
      double sum = 0, size = 1e-30;
      for (size_t pixel = 0; pixel < pixels; pixel++) {
        const double x = (double)map[(k / classes * pixels + pixel) * classes + k % classes];
        sum += x;
        size += fabs(x);
      }
      assert_true(fabs(sum - (double)response[k] * (double)pixels) <= 1e-4 * size);
    }
  }
}

/* ---- ablations --------------------------------------------------------------------- */

static void check_state(lens *l) {
  forget(l);
  assert_int_equal(resnet_run(l->fused, l->input, RESNET_LAYOUT_NCHW, SAMPLES, l->scores[0], NULL),
                   RESNET_OK);
  assert_int_equal(
      resnet_run(l->unfused, l->input, RESNET_LAYOUT_NCHW, SAMPLES, l->scores[1], NULL), RESNET_OK);
  assert_memory_equal(l->scores[0], l->scores[1], l->score_count * sizeof(float));
  assert_memory_equal(l->scores[1], at_place(l, l->plan->output), l->score_count * sizeof(float));
  for (uint32_t i = 0; i < l->plan->op_count; i++) check_op(l, i);
  check_class_map(l);
}

/* Ablate in both sessions, which must agree; return whether it was possible. */
static bool ablate(lens *l, uint32_t block, resnet_skip mode, uint32_t other) {
  const resnet_status status = resnet_session_skip(l->unfused, block, mode, other, NULL);
  assert_int_equal(resnet_session_skip(l->fused, block, mode, other, NULL), status);
  assert_true(status == RESNET_OK || status == RESNET_ERROR_UNSUPPORTED);
  if (status != RESNET_OK) return false;
  l->modes[block] = mode;
  l->others[block] = other;
  if (mode != RESNET_SKIP_SWAP) return true;
  l->modes[other] = mode;
  l->others[other] = block;
  return true;
}

static void restore(lens *l) {
  assert_int_equal(resnet_session_skip(l->unfused, RESNET_NO_INDEX, RESNET_SKIP_NONE, 0, NULL),
                   RESNET_OK);
  assert_int_equal(resnet_session_skip(l->fused, RESNET_NO_INDEX, RESNET_SKIP_NONE, 0, NULL),
                   RESNET_OK);
  memset(l->modes, 0, l->plan->block_count * sizeof *l->modes);
}

/* Ablate a block in every way. Blocks with a shortcut can lose either side; a plain pair
 * can only be removed as a whole, where it keeps the shape. */
static void check_ablations(lens *l, uint32_t block) {
  const plan_block *b = &l->plan->blocks[block];
  const bool plain = b->shortcut == RESNET_SHORTCUT_NONE;
  const graph_shape in = l->plan->ops[b->source].shape, out = l->plan->ops[b->last_op].shape;
  const bool keeps = in.h == out.h && in.w == out.w && in.c == out.c;
  assert_int_equal(ablate(l, block, RESNET_SKIP_BRANCH, 0), !plain || keeps);
  check_state(l);
  assert_int_equal(ablate(l, block, RESNET_SKIP_SHORTCUT, 0), !plain);
  check_state(l);
  restore(l);
}

static size_t check_swaps(lens *l) {
  size_t swaps = 0;
  for (uint32_t a = 0; a < l->plan->block_count; a++)
    for (uint32_t b = a + 1; b < l->plan->block_count; b++) {
      if (!ablate(l, a, RESNET_SKIP_SWAP, b)) continue;
      check_state(l);
      restore(l);
      swaps++;
    }
  return swaps;
}

/* Remove many blocks at once: the plan gets much shorter than it was. */
static void check_many(lens *l) {
  for (uint32_t mode = RESNET_SKIP_BRANCH; mode <= RESNET_SKIP_SHORTCUT; mode++) {
    for (uint32_t block = 0; block < l->plan->block_count; block++) {
      (void)ablate(l, block,
                   block + 1 < l->plan->block_count ? (resnet_skip)mode : RESNET_SKIP_NONE, 0);
      check_state(l);
    }
    restore(l);
  }
}

static void check_model(const resnet_model *model, size_t *convs, size_t *sums, size_t *swaps) {
  lens l = begin(model);
  assert_int_equal(resnet_session_observe(l.unfused, keep, &l, NULL), RESNET_OK);
  check_state(&l);
  for (uint32_t block = 0; block < l.plan->block_count; block++) check_ablations(&l, block);
  check_many(&l);
  *swaps += check_swaps(&l);
  check_state(&l);
  *convs += l.convs;
  *sums += l.sums;
  end(&l);
}

static int collect(const char *path, const struct stat *status, int type, struct FTW *place) {
  (void)status;
  (void)place;
  const size_t length = strlen(path);
  if (type != FTW_F || length < 5 || strcmp(path + length - 5, ".onnx") != 0 ||
      file_count == MOST_FILES)
    return 0;
  files[file_count] = malloc(length + 1);
  memcpy(files[file_count++], path, length + 1);
  return 0;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void every_network_is_observed_and_ablated(void **state) {
  (void)state;
  size_t opened = 0, convs = 0, sums = 0, swaps = 0;
  assert_int_equal(nftw(SOURCE_DIR "/tests/models", collect, FOLDERS_AT_ONCE, FTW_PHYS), 0);
  /* quick runs open the same files everywhere */
  qsort(files, file_count, sizeof *files, by_name);
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.keep_weights = 1;
  options.external_data = 1;
  for (size_t i = 0; i < file_count; i += rounds_step()) {
    resnet_model *model = NULL;
    const resnet_status status = resnet_model_open(files[i], &options, &model, NULL);
    if (status == RESNET_OK) {
      opened++;
      check_model(model, &convs, &sums, &swaps);
    }
    resnet_model_close(&model);
  }
  for (size_t i = 0; i < file_count; i++) free(files[i]);
  assert_true(opened >= rounds_of(FEWEST_OPENED) && convs > opened && sums > opened &&
              swaps > opened / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_network_is_observed_and_ablated)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
