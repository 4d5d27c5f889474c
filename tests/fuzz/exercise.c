#include "exercise.h"

#include <resnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUDGET (32u << 20)
/* Do not run larger models: the fuzzer's time is better spent on other files. */
#define MAX_MACS 1000000u
#define MAX_BYTES (1u << 20)

enum { SAMPLES = 3, THREADS = 2 };

/* An open model, and the numbers that decide what is done with it. */
typedef struct exercise {
  const resnet_model *model;
  resnet_model_info info;
  uint32_t random;
  size_t floats; /* of one sample */
} exercise;

uint32_t next_random(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

static bool chance(uint32_t *random, uint32_t one_in) { return next_random(random) % one_in == 0; }

static void require(int condition) {
  if (!condition) abort();
}

static void check_error(const resnet_error *error, resnet_status status) {
  const size_t length = strnlen(error->message, sizeof error->message);
  require(error->status == status);
  require(length < sizeof error->message);
  require((status == RESNET_OK) == (length == 0));
  for (size_t i = 0; i < length; i++) require((unsigned char)error->message[i] >= 0x20);
}

/* ---- the plan ---------------------------------------------------------------------- */

static void read_plan(const exercise *e) {
  resnet_error error;
  for (uint32_t i = 0; i < e->info.op_count; i++) {
    resnet_op op = {.struct_size = sizeof op};
    require(resnet_plan_op(e->model, i, &op, &error) == RESNET_OK && op.name && op.output &&
            op.kernel && op.detail);
    require(op.block == RESNET_NO_INDEX || op.block < e->info.block_count);
    for (int k = 0; k < 2; k++) require(op.input[k] == RESNET_NO_INDEX || op.input[k] < i);
  }
  for (uint32_t i = 0; i < e->info.block_count; i++) {
    resnet_block block = {.struct_size = sizeof block};
    require(resnet_plan_block(e->model, i, &block, &error) == RESNET_OK && block.name);
    require(block.first_op <= block.last_op && block.last_op < e->info.op_count);
  }
  for (uint32_t i = 0; i < e->info.finding_count; i++) require(e->info.findings[i].message != NULL);
}

/* ---- runs -------------------------------------------------------------------------- */

static void on_response(void *user, const resnet_response *response) {
  const exercise *e = user;
  resnet_op op = {.struct_size = sizeof op};
  require(resnet_plan_op(e->model, response->op, &op, NULL) == RESNET_OK && response->data);
  require(op.channels == response->channels);
  if (response->point == RESNET_POINT_CLASS_MAP) return;
  require(op.height == response->height && op.width == response->width);
}

static resnet_session *open_session(exercise *e, uint32_t threads, uint32_t batch) {
  resnet_error error;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = threads;
  options.batch = batch;
  const resnet_status status = resnet_session_open(e->model, &options, &session, &error);
  check_error(&error, status);
  require((status == RESNET_OK) == (session != NULL));
  return session;
}

/* Observe the session; its scores must stay equal to the bit. */
static void observe(exercise *e, resnet_session *session) {
  resnet_error error;
  const resnet_status status = resnet_session_observe(session, on_response, e, &error);
  check_error(&error, status);
  require(status == RESNET_OK || status == RESNET_ERROR_MEMORY || status == RESNET_ERROR_LIMIT);
}

/* Run all samples. Return false if the model is a damaged plan file: a run refuses it. */
static bool run_samples(resnet_session *session, resnet_layout layout, size_t samples,
                        const float *input, float *scores) {
  resnet_error error;
  const resnet_status status = resnet_run(session, input, layout, samples, scores, &error);
  check_error(&error, status);
  require(status == RESNET_OK || strstr(error.message, "plan file is damaged"));
  return status == RESNET_OK;
}

/* Ablate random blocks in random modes, possible or not, then undo it. Return false if
 * there is no memory to undo it, or the file is damaged. */
static bool skip_and_restore(exercise *e, resnet_session *session, const float *input,
                             float *scores) {
  resnet_error error;
  for (int i = 0; i < 4; i++) {
    const uint32_t block = next_random(&e->random) % (e->info.block_count + 1);
    const uint32_t other = next_random(&e->random) % (e->info.block_count + 1);
    const resnet_skip mode = (resnet_skip)(next_random(&e->random) % (RESNET_SKIP_SWAP + 1));
    const resnet_status status = resnet_session_skip(session, block, mode, other, &error);
    check_error(&error, status);
    if (status != RESNET_OK) continue;
    if (!run_samples(session, RESNET_LAYOUT_NCHW, 1, input, scores)) return false;
  }
  const resnet_status status =
      resnet_session_skip(session, RESNET_NO_INDEX, RESNET_SKIP_NONE, 0, &error);
  check_error(&error, status);
  require(status == RESNET_OK || status == RESNET_ERROR_MEMORY || status == RESNET_ERROR_LIMIT);
  return status == RESNET_OK;
}

/* Compute the scores of all samples in a session of their own. Return false if it has no
 * memory to open, or to undo its ablations, or the file is damaged. */
static bool run(exercise *e, uint32_t threads, uint32_t batch, resnet_layout layout,
                const float *input, float *scores) {
  resnet_session *session = open_session(e, threads, batch);
  if (!session) return false;
  if (chance(&e->random, 4)) observe(e, session);
  const bool done = (!chance(&e->random, 4) || skip_and_restore(e, session, input, scores)) &&
                    run_samples(session, layout, SAMPLES, input, scores);
  resnet_session_close(&session);
  return done;
}

/* Compare bit by bit, except that two NaN may differ. */
static void require_same(const float *a, const float *b, size_t count) {
  for (size_t i = 0; i < count; i++)
    require(memcmp(&a[i], &b[i], sizeof *a) == 0 || (a[i] != a[i] && b[i] != b[i]));
}

/* Convert (n,c,h,w) to (n,h,w,c). */
static void interleave(const exercise *e, const float *planar, float *out) {
  const size_t channels = e->info.input_channels, pixels = e->floats / channels;
  for (size_t n = 0; n < SAMPLES; n++)
    for (size_t c = 0; c < channels; c++)
      for (size_t i = 0; i < pixels; i++)
        out[(n * pixels + i) * channels + c] = planar[(n * channels + c) * pixels + i];
}

static void run_twice(exercise *e, const float *input, float *interleaved, float *scores,
                      float *others) {
  const size_t count = (size_t)SAMPLES * e->info.score_count;
  if (!run(e, 1, 1, RESNET_LAYOUT_NCHW, input, scores) || chance(&e->random, 2)) return;
  const uint32_t threads = chance(&e->random, 2) ? THREADS : 1,
                 batch = 1 + next_random(&e->random) % SAMPLES;
  interleave(e, input, interleaved);
  if (run(e, threads, batch, RESNET_LAYOUT_NHWC, interleaved, others))
    require_same(scores, others, count);
}

/* ---- labels ------------------------------------------------------------------------ */

/* Classify an image of about the model's input size, in a random pixel format. */
static void classify(exercise *e, resnet_session *session) {
  enum { K = 5, MARGIN = 4 };
  resnet_error error;
  resnet_prediction best[K];
  resnet_image image = {.width = e->info.input_width + next_random(&e->random) % MARGIN,
                        .height = e->info.input_height + next_random(&e->random) % MARGIN,
                        .format =
                            (resnet_pixels)(next_random(&e->random) % (RESNET_PIXELS_I420 + 1))};
  image.stride = (size_t)image.width * 4 + 4;
  const size_t size = image.stride * ((size_t)image.height + 2) * 2;
  const uint32_t k = e->info.classes < K ? e->info.classes : K;
  uint8_t *pixels = malloc(size);
  if (!pixels) return;
  for (size_t i = 0; i < size; i++) pixels[i] = (uint8_t)(i * 37);
  image.pixels = pixels;
  check_error(&error, resnet_classify(session, &image, 1, k, best, &error));
  for (uint32_t i = 0; error.status == RESNET_OK && i < k; i++)
    require(best[i].index < e->info.classes);
  float *input = malloc(e->floats * sizeof *input);
  if (input)
    check_error(&error,
                resnet_prepare(session, &image, 1, (resnet_layout)(e->random % 2), input, &error));
  free(input);
  free(pixels);
}

static void classify_in_session(exercise *e) {
  resnet_session *session = open_session(e, 1, 1);
  if (session) classify(e, session);
  resnet_session_close(&session);
}

/* ---- files ------------------------------------------------------------------------- */

static char folder[64];

static const char *path_of(const char *name) {
  static char path[96];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void remove_folder(void) {
  static const char *const names[] = {"weights.bin", "model.onnx", "plan.resnet"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) (void)unlink(path_of(names[i]));
  (void)rmdir(folder);
}

static bool write_file(const char *name, const void *data, size_t size) {
  FILE *file = fopen(path_of(name), "wb");
  if (!file) return false;
  const bool ok = fwrite(data, 1, size, file) == size;
  return fclose(file) == 0 && ok;
}

/* Make a folder for this process, in memory if possible: the fuzzer writes thousands of
 * files. It contains a file that models may name as external data. */
static bool make_folder(void) {
  static float weights[2048];
  if (folder[0]) return true;
  snprintf(folder, sizeof folder, "%s/libresnet-exercise-XXXXXX",
           access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  if (!mkdtemp(folder)) {
    folder[0] = 0;
    return false;
  }
  atexit(remove_folder);
  for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
    weights[i] = (float)(i % 17) / 16 - 0.5f;
  return write_file("weights.bin", weights, sizeof weights);
}

/* Save a plan file, which must open with the same options and compute the same bits. */
static void save_and_reopen(exercise *e, const resnet_model_options *options, const float *input,
                            const float *scores, float *others) {
  resnet_error error;
  resnet_model *again = NULL;
  if (!make_folder()) return;
  const resnet_status saved = resnet_model_save(e->model, path_of("plan.resnet"), &error);
  check_error(&error, saved);
  if (saved != RESNET_OK) return;
  const resnet_status opened = resnet_model_open(path_of("plan.resnet"), options, &again, &error);
  check_error(&error, opened);
  require(again || opened == RESNET_ERROR_LIMIT || options->output || options->input_height);
  if (!again) return;
  exercise second = *e;
  second.model = again;
  require(resnet_model_get_info(again, &second.info, &error) == RESNET_OK &&
          second.info.classes == e->info.classes);
  if (run(&second, 1, 1, RESNET_LAYOUT_NCHW, input, others))
    require_same(scores, others, (size_t)SAMPLES * e->info.score_count);
  resnet_model_close(&again);
}

/* ---- all --------------------------------------------------------------------------- */

static void use_small(exercise *e, const resnet_model_options *options) {
  const size_t inputs = SAMPLES * e->floats, count = (size_t)SAMPLES * e->info.score_count;
  float *input = malloc(inputs * sizeof *input), *interleaved = malloc(inputs * sizeof *input);
  float *scores = calloc(count, sizeof *scores), *others = calloc(count, sizeof *others);
  if (input && interleaved && scores && others) {
    for (size_t i = 0; i < inputs; i++)
      input[i] = (float)(next_random(&e->random) >> 8) / (float)(1 << 23) - 1;
    run_twice(e, input, interleaved, scores, others);
    if (chance(&e->random, 8)) classify_in_session(e);
    if (chance(&e->random, 8)) {
      if (run(e, 1, 1, RESNET_LAYOUT_NCHW, input, scores))
        save_and_reopen(e, options, input, scores, others);
    }
  }
  free(others);
  free(scores);
  free(interleaved);
  free(input);
}

static void use(exercise *e, const resnet_model_options *options) {
  resnet_error error;
  e->info.struct_size = sizeof e->info;
  require(resnet_model_get_info(e->model, &e->info, &error) == RESNET_OK);
  e->floats = (size_t)e->info.input_channels * e->info.input_height * e->info.input_width;
  read_plan(e);
  const resnet_model_info *i = &e->info;
  if (i->macs <= MAX_MACS && i->arena_bytes <= MAX_BYTES && i->weights_bytes <= MAX_BYTES)
    use_small(e, options);
}

/* Choose options for half of the files. The others are opened with the defaults, so that
 * what they find depends on the file alone. */
static void choose_options(resnet_model_options *options, uint32_t *random,
                           resnet_preprocess *preprocess) {
  static const char *const outputs[] = {"logits", "y", "features", "second", ""};
  static const uint32_t sizes[] = {1, 7, 8, 16, 33, 224};
  static const char *const presets[] = {"imagenet", "cifar10", "keras-caffe", "none",
                                        "timm",     "unit",    "grey",        "keras-stretch"};
  if (chance(random, 2)) return;
  if (chance(random, 4))
    options->output = outputs[next_random(random) % (sizeof outputs / sizeof *outputs)];
  if (chance(random, 4)) {
    options->input_height = sizes[next_random(random) % (sizeof sizes / sizeof *sizes)];
    options->input_width = sizes[next_random(random) % (sizeof sizes / sizeof *sizes)];
  }
  if (chance(random, 4)) {
    require(resnet_preprocess_preset(presets[next_random(random) % 8], preprocess, NULL) ==
            RESNET_OK);
    options->preprocess = preprocess;
  }
  options->conv = (resnet_conv)(next_random(random) % 4);
  options->memory = chance(random, 4) ? RESNET_MEMORY_SMALL : RESNET_MEMORY_NORMAL;
  options->batch = next_random(random) % 5;
  options->keep_weights = next_random(random) % 2;
  options->external_data = chance(random, 4);
  if (chance(random, 16)) options->max_file_bytes = 1 + next_random(random) % 8192;
}

/* Return the FNV-1a hash of the bytes, never 0. */
static uint32_t hash(const uint8_t *data, size_t size) {
  uint32_t sum = 2166136261u;
  for (size_t i = 0; i < size; i++) sum = (sum ^ data[i]) * 16777619u;
  return sum | 1;
}

/* Open a model, from a file if it may have external data, which are read for files
 * only. */
static resnet_status open_model(const uint8_t *data, size_t size,
                                const resnet_model_options *options, resnet_model **model,
                                resnet_error *error) {
  if (options->external_data && make_folder() && write_file("model.onnx", data, size))
    return resnet_model_open(path_of("model.onnx"), options, model, error);
  return resnet_model_open_memory(data, size, options, model, error);
}

static bool open_and_use(const uint8_t *data, size_t size, const resnet_model_options *options,
                         uint32_t random) {
  resnet_error error;
  resnet_model *model = NULL;
  const resnet_status status = open_model(data, size, options, &model, &error);
  check_error(&error, status);
  require((status == RESNET_OK) == (model != NULL));
  if (!model) return false;
  exercise e = {.model = model, .random = random};
  use(&e, options);
  resnet_model_close(&model);
  require(model == NULL);
  return true;
}

bool exercise_model(const uint8_t *data, size_t size) {
  resnet_preprocess preprocess;
  resnet_model_options options;
  uint32_t random = hash(data, size);
  resnet_model_options_init(&options);
  options.max_memory_bytes = BUDGET;
  choose_options(&options, &random, &preprocess);
  return open_and_use(data, size, &options, random);
}

bool exercise_model_plainly(const uint8_t *data, size_t size) {
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.max_memory_bytes = BUDGET;
  return open_and_use(data, size, &options, 1);
}
