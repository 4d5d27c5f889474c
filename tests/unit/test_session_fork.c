/* A session of several threads after fork(): the child has none of them, and computes the
 * same bits on its own thread. */
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan_network.h"
#include "sanitized.h"

enum { MAX_FLOATS = 3 * 32 * 32, CLASSES = 10, EXIT_SAME = 0, EXIT_FAILED = 1, EXIT_DIFFERS = 2 };

static const char *const model_path = SOURCE_DIR "/tests/models/resnet8_option_a.onnx";

typedef struct work {
  resnet_model *model;
  resnet_session *session;
  float input[MAX_FLOATS], expected[CLASSES];
} work;

static bool runs_the_same(work *w, resnet_session *session) {
  float scores[CLASSES] = {0};
  return resnet_run(session, w->input, RESNET_LAYOUT_NCHW, 1, scores, NULL) == RESNET_OK &&
         memcmp(scores, w->expected, sizeof scores) == 0;
}

static bool classifies(resnet_session *session) {
  static const uint8_t grey[32 * 32];
  const resnet_image image = {
      .pixels = grey, .width = 32, .height = 32, .stride = 32, .format = RESNET_PIXELS_GREY};
  resnet_prediction best;
  return resnet_classify(session, &image, 1, 1, &best, NULL) == RESNET_OK;
}

static resnet_session *open_session(const work *w, uint32_t threads, uint32_t batch) {
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = threads;
  options.batch = batch;
  assert_int_equal(resnet_session_open(w->model, &options, &session, NULL), RESNET_OK);
  return session;
}

static work open_work(uint32_t threads, uint32_t batch) {
  work w = {0};
  assert_int_equal(resnet_model_open(model_path, NULL, &w.model, NULL), RESNET_OK);
  for (size_t i = 0; i < MAX_FLOATS; i++) w.input[i] = random_float(3, i);
  w.session = open_session(&w, threads, batch);
  assert_int_equal(resnet_run(w.session, w.input, RESNET_LAYOUT_NCHW, 1, w.expected, NULL),
                   RESNET_OK);
  return w;
}

static void observe_nothing(void *user, const resnet_response *response) {
  (void)user;
  (void)response;
}

/* Use the session in every way, end it, and use a new one. */
static int use_in_child(work *w) {
  if (!classifies(w->session)) return EXIT_FAILED;
  if (!runs_the_same(w, w->session) || !runs_the_same(w, w->session)) return EXIT_DIFFERS;
  if (resnet_session_observe(w->session, observe_nothing, NULL, NULL) != RESNET_OK)
    return EXIT_FAILED;
  if (!runs_the_same(w, w->session)) return EXIT_DIFFERS;
  resnet_session_close(&w->session);
#if !defined(SANITIZED) /* ThreadSanitizer ends a forked child that starts threads */
  w->session = open_session(w, 2, 1);
  if (!runs_the_same(w, w->session)) return EXIT_DIFFERS;
  resnet_session_close(&w->session);
#endif
  resnet_model_close(&w->model);
  return EXIT_SAME;
}

static void check_child(work *w) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    (void)alarm(60); /* end a child that waits for threads it does not have */
    _exit(use_in_child(w));
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_false(WIFSIGNALED(status));
  assert_int_equal(WEXITSTATUS(status), EXIT_SAME);
}

static void child_computes_the_same_bits(void **state) {
  (void)state;
  for (uint32_t threads = 1; threads <= 4; threads++) {
    work w = open_work(threads, threads);
    check_child(&w);
    assert_true(runs_the_same(&w, w.session)); /* the parent's threads still work */
    check_child(&w);
    resnet_session_close(&w.session);
    resnet_model_close(&w.model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(child_computes_the_same_bits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
