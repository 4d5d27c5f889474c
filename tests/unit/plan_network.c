#include "plan_network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

buffer plan_mixed_network(void) {
  network n = {0};
  static const float one[4] = {1, 0.5F, 2, 1}, shift[4] = {0.25F, -0.5F, 0, 1};
  begin_network(&n);
  add_floats(&n, "scale", "4", one);
  add_floats(&n, "shift", "4", shift);
  add(&n, "Relu", "c", "r", "");
  add(&n, "BatchNormalization", "r,scale,shift,shift,scale", "a", "epsilon=1e-5");
  add_random(&n, "w2", "4,1,3,3", 2);
  add(&n, "Conv", "a,w2", "d", "group=4 pads=1,1,1,1");
  add_random(&n, "w3", "4,2,3,3", 3);
  add(&n, "Conv", "d,w3", "g", "group=2 pads=1,1,1,1");
  add(&n, "Add", "g,a", "s", "");
  add_random(&n, "w4", "6,4,3,3", 4);
  add(&n, "Conv", "s,w4", "h", "strides=2,2 pads=1,1,1,1");
  add_integers(&n, "from", "2", (int64_t[]){0, 0});
  add_integers(&n, "to", "2", (int64_t[]){8, 8});
  add_integers(&n, "axes", "2", (int64_t[]){2, 3});
  add_integers(&n, "steps", "2", (int64_t[]){2, 2});
  add(&n, "Slice", "s,from,to,axes,steps", "half", "");
  add_integers(&n, "pads", "8", (int64_t[]){0, 1, 0, 0, 0, 1, 0, 0});
  add(&n, "Pad", "half,pads", "wide", "");
  add(&n, "Add", "h,wide", "e", "");
  add(&n, "Relu", "e", "e2", "");
  add(&n, "MaxPool", "e2", "m", "kernel_shape=2,2 pads=1,0,0,1");
  add(&n, "AveragePool", "m", "v", "kernel_shape=2,2 pads=0,1,1,0 count_include_pad=1");
  add(&n, "GlobalAveragePool", "v", "p", "");
  add(&n, "Flatten", "p", "f", "");
  add_random(&n, "w5", "3,6", 5);
  add(&n, "Gemm", "f,w5", "l", "transB=1");
  add(&n, "Softmax", "l", "y", "axis=1");
  add_metadata(&n, "resnet.labels", "cat\ndog\n\xc3\xa9mu");
  add_metadata(&n, "resnet.preprocess",
               "resize=none crop=8 order=bgr scale=255 mean=0.5,0.25,0.125 std=1,2,3");
  return finish(&n);
}

buffer plan_large_network(void) {
  network n = {0};
  begin_network(&n);
  add(&n, "Flatten", "c", "f", "");
  add_random(&n, "w2", "4096,256", 2);
  add(&n, "Gemm", "f,w2", "g", "transB=1");
  add_random(&n, "w3", "500,4096", 3);
  add(&n, "Gemm", "g,w3", "y", "transB=1");
  return finish(&n);
}

buffer plan_own_kernels_network(void) {
  network n = {.input = "N,3,32,32"};
  add_random(&n, "w0", "48,3,7,7", 1);
  add(&n, "Conv", "x,w0", "a", "strides=2,2 pads=3,3,3,3"); /* (16,16) */
  add_random(&n, "w1", "48,48,3,3", 2);
  add(&n, "Conv", "a,w1", "b", "pads=1,1,1,1");
  add(&n, "Add", "b,a", "c", "");
  add_random(&n, "w2", "48,48,1,1", 3);
  add(&n, "Conv", "c,w2", "d", "");
  add(&n, "Add", "d,c", "e", "");
  add(&n, "MaxPool", "e", "f", "kernel_shape=2,4 strides=2,4"); /* (8,4) */
  add_random(&n, "w3", "48,48,3,3", 4);
  add(&n, "Conv", "f,w3", "g", "pads=1,1,1,1");
  add(&n, "MaxPool", "g", "h", "kernel_shape=4,2 strides=4,2"); /* (2,2) */
  add(&n, "Conv", "h,w3", "i", "pads=1,1,1,1");
  float uneven[2 * 48 * 9];
  for (size_t i = 0; i < 2 * 48 * 9; i++) uneven[i] = i % 9 ? 1.0F : 1e5F;
  add_floats(&n, "w4", "2,48,3,3", uneven);
  add(&n, "Conv", "i,w4", "t", "pads=1,1,1,1");
  end_network(&n);
  return finish(&n);
}

buffer plan_read(const char *path) {
  buffer file = {0};
  FILE *from = fopen(path, "rb");
  if (!from) fail_msg("%s cannot be opened", path);
  uint8_t part[4096];
  for (size_t got; (got = fread(part, 1, sizeof part, from)) > 0;) put_bytes(&file, part, got);
  fclose(from);
  return file;
}

void plan_write(const char *path, const buffer *file) {
  FILE *to = fopen(path, "wb");
  if (!to) fail_msg("%s cannot be opened", path);
  assert_int_equal(fwrite(file->data, 1, file->size, to), file->size);
  assert_int_equal(fclose(to), 0);
}

static char folder[64];

static void remove_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (system(command) != 0) fprintf(stderr, "%s stays\n", folder);
}

const char *plan_path(const char *name) {
  static char path[128];
  if (!folder[0]) {
    snprintf(folder, sizeof folder, "/tmp/resnet-plan-XXXXXX");
    assert_non_null(mkdtemp(folder));
    atexit(remove_folder);
  }
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

resnet_model *plan_open(const buffer *file, const resnet_model_options *options) {
  resnet_model *model = NULL;
  resnet_error error;
  if (resnet_model_open_memory(file->data, file->size, options, &model, &error) != RESNET_OK)
    fail_msg("%s", error.message);
  return model;
}

buffer plan_compile(const buffer *onnx, const resnet_model_options *given) {
  resnet_model_options options;
  resnet_error error;
  resnet_model_options_init(&options);
  if (given) options = *given;
  options.keep_weights = 1;
  resnet_model *model = plan_open(onnx, &options);
  if (resnet_model_save(model, plan_path("compiled"), &error) != RESNET_OK)
    fail_msg("%s", error.message);
  resnet_model_close(&model);
  return plan_read(plan_path("compiled"));
}

resnet_status plan_run(const resnet_model *model, resnet_error *error) {
  const resnet_model_info info = plan_info(model);
  resnet_session *session = NULL;
  float *input =
      calloc((size_t)info.input_channels * info.input_height * info.input_width, sizeof *input);
  float *scores = malloc(info.score_count * sizeof *scores);
  assert_true(input && scores);
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = 1;
  resnet_status status = resnet_session_open(model, &options, &session, error);
  if (status == RESNET_OK)
    status = resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, error);
  resnet_session_close(&session);
  free(input);
  free(scores);
  return status;
}

resnet_status plan_try(const buffer *file, resnet_error *error) {
  resnet_model *model = NULL;
  resnet_status status = resnet_model_open_memory(file->data, file->size, NULL, &model, error);
  assert_int_equal(status == RESNET_OK, model != NULL);
  if (model) status = plan_run(model, error);
  resnet_model_close(&model);
  return status;
}

void plan_refuse(const buffer *file, resnet_status status, const char *fragments) {
  resnet_error error;
  char copy[256], *rest = copy;
  if (plan_try(file, &error) == RESNET_OK) fail_msg("ran, should be refused: %s", fragments);
  snprintf(copy, sizeof copy, "%s", fragments);
  for (char *fragment; (fragment = strtok_r(rest, "|", &rest));)
    if (!strstr(error.message, fragment)) fail_msg("'%s' lacks '%s'", error.message, fragment);
  if (error.status != status)
    fail_msg("status %d, should be %d: %s", error.status, status, error.message);
}

resnet_model_info plan_info(const resnet_model *model) {
  resnet_model_info info = {.struct_size = sizeof info};
  assert_int_equal(resnet_model_get_info(model, &info, NULL), RESNET_OK);
  return info;
}

float *plan_scores(const resnet_model *model, size_t *count) {
  const resnet_model_info info = plan_info(model);
  const size_t floats = (size_t)info.input_channels * info.input_height * info.input_width;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_error error;
  resnet_session_options_init(&options);
  options.threads = 1;
  float *input = malloc(floats * sizeof *input),
        *scores = malloc(info.score_count * sizeof *scores);
  assert_true(input && scores);
  for (size_t i = 0; i < floats; i++) input[i] = random_float(9, i);
  if (resnet_session_open(model, &options, &session, &error) != RESNET_OK)
    fail_msg("%s", error.message);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, &error), RESNET_OK);
  resnet_session_close(&session);
  free(input);
  *count = info.score_count;
  return scores;
}

void plan_assert_same(const resnet_model *a, const resnet_model *b) {
  size_t count_a, count_b;
  float *scores_a = plan_scores(a, &count_a), *scores_b = plan_scores(b, &count_b);
  assert_int_equal(count_a, count_b);
  assert_memory_equal(scores_a, scores_b, count_a * sizeof *scores_a);
  free(scores_a);
  free(scores_b);
}
