/* A plan file keeps its options, and its algorithms on a CPU of another class. Programs
 * of this source that are linked with the instruction sets of older CPUs compile the
 * files, and this one opens them. */
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan_network.h"
#include "plan_seal.h"
#include "runtime/api/model.h"
#include "runtime/kernels/simd/dispatch.h"
#include "runtime/plan/cost_model.h"
#include "runtime/plan_file/checksum.h"

extern char **environ;

static const char *program; /* argv[0] */

static const char *const sources[] = {SOURCE_DIR "/models/cifar10-resnet20.onnx",
                                      SOURCE_DIR "/tests/models/resnet8_option_b.onnx", NULL};
enum { SOURCES = 3 };

static buffer source(size_t index) {
  return sources[index] ? plan_read(sources[index]) : plan_own_kernels_network();
}

/* Compile each source into FOLDER/0, /1, ... */
static int compile_all(const char *folder) {
  for (size_t i = 0; i < SOURCES; i++) {
    char path[512];
    buffer onnx = source(i), file = plan_compile(&onnx, NULL);
    (void)snprintf(path, sizeof path, "%s/%zu", folder, i);
    plan_write(path, &file);
    buffer_release(&file);
    buffer_release(&onnx);
  }
  return 0;
}

/* Let the program for older CPUs compile its files. Return false if there is none. */
static bool compile_elsewhere(int vectors, const char *folder) {
  char path[512], task[] = "compile", *arguments[] = {path, task, (char *)(uintptr_t)folder, NULL};
  (void)snprintf(path, sizeof path, "%s_vectors_%d", program, vectors);
  if (access(path, X_OK) != 0) return false;
  pid_t child;
  int status;
  assert_int_equal(posix_spawn(&child, path, NULL, NULL, arguments, environ), 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  return true;
}

/* Check that the model has the algorithms of the file. */
static void check_algorithms(const resnet_model *model, const buffer *file) {
  size_t at = plan_find_places(file->data, file->size).algorithms + 4;
  for (uint32_t i = 0; i < model->plan.op_count; i++) {
    const uint32_t algorithm = plan_algorithm_of(&model->plan.ops[i]);
    if (algorithm == PLAN_NO_ALGORITHM) continue;
    uint32_t crc;
    memcpy(&crc, file->data + at, sizeof crc);
    assert_int_equal(plan_file_name_crc(plan_algorithm_name(algorithm)), crc);
    at += sizeof crc;
  }
}

/* Classes may round differently. */
static void check_scores(const resnet_model *a, const resnet_model *b) {
  size_t count, same;
  float *x = plan_scores(a, &count), *y = plan_scores(b, &same);
  float largest = 0.0F;
  assert_int_equal(count, same);
  for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(x[i]));
  for (size_t i = 0; i < count; i++)
    if (fabsf(x[i] - y[i]) > 1e-4F * largest) fail_msg("%g and %g", (double)x[i], (double)y[i]);
  free(x);
  free(y);
}

static void plans_of_another_class_keep_their_algorithms(void **state) {
  (void)state;
  for (int vectors = 0; vectors < 2; vectors++) {
    char folder[512], path[600];
    (void)snprintf(folder, sizeof folder, "%s", plan_path("."));
    if (!compile_elsewhere(vectors, folder)) skip();
    for (size_t i = 0; i < SOURCES; i++) {
      (void)snprintf(path, sizeof path, "%s/%zu", folder, i);
      buffer file = plan_read(path), onnx = source(i);
      resnet_model *model = plan_open(&file, NULL), *here = plan_open(&onnx, NULL);
      check_algorithms(model, &file);
      check_scores(here, model);
      const bool differs = strstr(plan_info(model).notice, "packed anew") != NULL;
      assert_int_equal(differs, simd_supported((size_t)vectors + 1) != NULL);
      resnet_model_close(&model);
      resnet_model_close(&here);
      buffer_release(&onnx);
      buffer_release(&file);
    }
  }
}

/* Plan files store the CRC of a name. */
static void algorithms_have_names_of_their_own(void **state) {
  (void)state;
  for (uint32_t i = 0; i < plan_algorithm_count(); i++)
    for (uint32_t k = 0; k < i; k++)
      assert_int_not_equal(plan_file_name_crc(plan_algorithm_name(i)),
                           plan_file_name_crc(plan_algorithm_name(k)));
}

/* conv and memory are the file's where the options leave them at 0. */
static void a_plan_keeps_the_options_it_was_made_with(void **state) {
  (void)state;
  const struct {
    resnet_conv conv;
    resnet_memory memory;
  } made[] = {{RESNET_CONV_DIRECT, RESNET_MEMORY_NORMAL},
              {RESNET_CONV_WINOGRAD, RESNET_MEMORY_NORMAL},
              {RESNET_CONV_XNNPACK, RESNET_MEMORY_NORMAL},
              {RESNET_CONV_AUTO, RESNET_MEMORY_SMALL}};
  buffer onnx = plan_own_kernels_network();
  for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
    resnet_model_options options;
    resnet_model_options_init(&options);
    options.keep_weights = 1;
    options.conv = made[i].conv;
    options.memory = made[i].memory;
    buffer file = plan_compile(&onnx, &options);
    resnet_model *model = plan_open(&file, NULL), *source = plan_open(&onnx, &options);
    assert_string_equal(plan_info(model).notice, "");
    assert_int_equal(model->options.conv, made[i].conv);
    assert_int_equal(model->options.memory, made[i].memory);
    plan_assert_same(source, model);
    resnet_model_close(&model);
    resnet_model_close(&source);
    buffer_release(&file);
  }
  buffer_release(&onnx);
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc == 3 && strcmp(argv[1], "compile") == 0) return compile_all(argv[2]);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plans_of_another_class_keep_their_algorithms),
      cmocka_unit_test(algorithms_have_names_of_their_own),
      cmocka_unit_test(a_plan_keeps_the_options_it_was_made_with),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
