/* resnet_run does not allocate: every allocation of the process is counted, those of
 * XNNPACK and of the system included. */
#include "malloc_watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "every_kernel.h"

static void need_hooks(void) {
  if (!watch_install()) {
    print_message("skipped: allocations cannot be counted with this C library\n");
    skip();
  }
}

static size_t stop_counting(void) {
  watch_stop();
  return atomic_load(&watched_allocations) + atomic_load(&watched_releases);
}

static void counting_sees_an_allocation(void **state) {
  (void)state;
  need_hooks();
  watch_start(0);
  void *volatile pointer = malloc(100);
  free(pointer);
  assert_int_equal(stop_counting(), 2);
}

static void run_session(resnet_session *session, const resnet_model_info *info, size_t samples) {
  resnet_error error;
  const size_t floats = (size_t)info->input_channels * info->input_height * info->input_width;
  float *input = calloc(samples * floats, sizeof(float));
  float *scores = calloc(samples * info->score_count, sizeof(float));
  assert_true(input && scores);
  for (int round = 0; round < 2; round++) {
    watch_start(0);
    const resnet_status nchw =
        resnet_run(session, input, RESNET_LAYOUT_NCHW, samples, scores, &error);
    const resnet_status nhwc = resnet_run(session, input, RESNET_LAYOUT_NHWC, 1, scores, &error);
    const resnet_status refused = resnet_run(session, NULL, RESNET_LAYOUT_NHWC, 1, scores, &error);
    assert_int_equal(stop_counting(), 0);
    assert_int_equal(nchw, RESNET_OK);
    assert_int_equal(nhwc, RESNET_OK);
    assert_int_equal(refused, RESNET_ERROR_ARGUMENT);
  }
  free(scores);
  free(input);
}

static void ignore(void *user, const resnet_response *response) {
  (void)user;
  (void)response;
}

/* Run a model plainly and under observation; return the kernels that it has. */
static unsigned run_counted(size_t index, resnet_conv conv, uint32_t threads, uint32_t batch,
                            size_t samples) {
  resnet_session *session = NULL;
  resnet_session_options how;
  resnet_model_options options;
  resnet_session_options_init(&how);
  resnet_model_options_init(&options);
  how.threads = threads;
  how.batch = batch;
  options.conv = conv;
  buffer file = every_kernel_file(index);
  resnet_model *model = plan_open(&file, &options);
  const resnet_model_info info = plan_info(model);
  const unsigned kernels = every_kernel_of(model);
  assert_int_equal(resnet_session_open(model, &how, &session, NULL), RESNET_OK);
  run_session(session, &info, samples);
  assert_int_equal(resnet_session_observe(session, ignore, NULL, NULL), RESNET_OK);
  run_session(session, &info, samples);
  resnet_session_close(&session);
  resnet_model_close(&model);
  buffer_release(&file);
  return kernels;
}

static void run_allocates_nothing(void **state) {
  (void)state;
  need_hooks();
  unsigned kernels = 0;
  for (size_t i = 0; i < EVERY_KERNEL_FILES; i++)
    for (resnet_conv conv = RESNET_CONV_AUTO; conv <= RESNET_CONV_XNNPACK; conv++) {
      kernels |= run_counted(i, conv, 1, 1, 1);
      kernels |= run_counted(i, conv, 1, 3, 3);
    }
  assert_int_equal(kernels, EVERY_KERNEL);
}

static void run_allocates_nothing_on_two_threads(void **state) {
  (void)state;
  need_hooks();
  for (size_t i = 0; i < EVERY_KERNEL_FILES; i++) {
    (void)run_counted(i, RESNET_CONV_AUTO, 2, 2, 5);
    (void)run_counted(i, RESNET_CONV_WINOGRAD, 2, 3, 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counting_sees_an_allocation),
      cmocka_unit_test(run_allocates_nothing),
      cmocka_unit_test(run_allocates_nothing_on_two_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
