/* Packed weights of a plan file: verified once, before a kernel first reads them. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "plan_network.h"
#include "plan_seal.h"

/* Return a copy of the file that is aligned, so that it can be borrowed. */
static uint8_t *aligned_copy(const buffer *file) {
  uint8_t *bytes = aligned_alloc(64, file->size);
  assert_non_null(bytes);
  memcpy(bytes, file->data, file->size);
  return bytes;
}

static resnet_model *borrow(const uint8_t *bytes, size_t size) {
  resnet_model *model = NULL;
  resnet_model_options options;
  resnet_error error;
  resnet_model_options_init(&options);
  options.borrow = 1;
  if (resnet_model_open_memory(bytes, size, &options, &model, &error) != RESNET_OK)
    fail_msg("%s", error.message);
  return model;
}

/* Opening reads no packed weights: bytes that change show when they are verified. */
static void packed_weights_are_verified_once_by_the_first_run(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  const plan_places p = plan_find_places(file.data, file.size);
  uint8_t *bytes = aligned_copy(&file);
  resnet_error error;
  bytes[p.packed] ^= 1;
  resnet_model *model = borrow(bytes, file.size);
  for (size_t run = 0; run < 2; run++) {
    assert_int_equal(plan_run(model, &error), RESNET_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "the checksum of the packed weights of node '"));
  }
  bytes[p.packed] ^= 1;
  assert_int_equal(plan_run(model, &error), RESNET_OK);
  bytes[p.packed] ^= 1;
  assert_int_equal(plan_run(model, &error), RESNET_OK);
  resnet_model_close(&model);
  free(bytes);
  buffer_release(&onnx);
  buffer_release(&file);
}

/* A session that observes or leaves blocks out runs a plan of its own. */
static void plans_of_sessions_are_verified_too(void **state) {
  (void)state;
  buffer onnx = plan_read(SOURCE_DIR "/tests/models/resnet8_option_b.onnx"),
         file = plan_compile(&onnx, NULL);
  const plan_places p = plan_find_places(file.data, file.size);
  uint8_t *bytes = aligned_copy(&file);
  resnet_session *session = NULL;
  resnet_error error;
  bytes[p.packed] ^= 1;
  resnet_model *model = borrow(bytes, file.size);
  const resnet_model_info info = plan_info(model);
  float *input =
      calloc((size_t)info.input_channels * info.input_height * info.input_width, sizeof *input);
  float *scores = malloc(info.score_count * sizeof *scores);
  assert_int_equal(resnet_session_open(model, NULL, &session, &error), RESNET_OK);
  assert_int_equal(resnet_session_skip(session, 0, RESNET_SKIP_BRANCH, 0, &error), RESNET_OK);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, &error),
                   RESNET_ERROR_FORMAT);
  bytes[p.packed] ^= 1;
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, &error), RESNET_OK);
  /* the weights of the block that was left out are read for the first time now */
  for (size_t at = p.packed; at < p.weights; at++) bytes[at] ^= 1;
  assert_int_equal(resnet_session_skip(session, 0, RESNET_SKIP_NONE, 0, &error), RESNET_OK);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, &error),
                   RESNET_ERROR_FORMAT);
  resnet_session_close(&session);
  resnet_model_close(&model);
  free(input);
  free(scores);
  free(bytes);
  buffer_release(&onnx);
  buffer_release(&file);
}

static void *run_in_a_thread(void *model) {
  resnet_error error;
  return plan_run(model, &error) == RESNET_OK ? model : NULL;
}

static void sessions_of_several_threads_verify_at_once(void **state) {
  (void)state;
  enum { THREADS = 4 };
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  pthread_t threads[THREADS];
  resnet_model *model = plan_open(&file, NULL);
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, run_in_a_thread, model), 0);
  for (size_t i = 0; i < THREADS; i++) {
    void *result;
    assert_int_equal(pthread_join(threads[i], &result), 0);
    assert_ptr_equal(result, model);
  }
  resnet_model_close(&model);
  buffer_release(&onnx);
  buffer_release(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(packed_weights_are_verified_once_by_the_first_run),
      cmocka_unit_test(plans_of_sessions_are_verified_too),
      cmocka_unit_test(sessions_of_several_threads_verify_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
