/* Every allocation fails once: while a model is opened or saved, and while sessions are
 * opened, run and classify. The call fails with RESNET_ERROR_MEMORY, nothing leaks, and
 * the next call succeeds. First the caller's allocator fails, then malloc itself, below
 * XNNPACK. */
#include "malloc_watch.h"

#include <stdlib.h>
#include <string.h>

#include "every_kernel.h"

enum { SAMPLES = 2, SIDE = 40 };

/* A caller's use of a model, from the file's bytes to the predictions. */
typedef struct use {
  const buffer *file;
  resnet_model_options options;
  uint32_t threads;
  bool saves;
} use;

static uint8_t pixels[SIDE * SIDE * 3];

static resnet_status label(resnet_session *session, const resnet_model *model,
                           resnet_error *error) {
  const resnet_model_info info = plan_info(model);
  resnet_prediction best[1];
  const resnet_image image = {pixels, SIDE, SIDE - 3, SIDE * 3, RESNET_PIXELS_RGB};
  if (info.input_channels != 3 || info.classes == 0) return RESNET_OK;
  return resnet_classify(session, &image, 1, 1, best, error);
}

static void ignore(void *user, const resnet_response *response) {
  (void)user;
  (void)response;
}

/* Observe and ablate. If the session's own plan cannot be made, the session stays as it
 * was, and runs. */
static resnet_status use_lens(resnet_session *session, const resnet_model *model,
                              resnet_error *error) {
  resnet_status status = resnet_session_observe(session, ignore, NULL, error);
  if (status == RESNET_OK && plan_info(model).block_count)
    status = resnet_session_skip(session, 0, RESNET_SKIP_BRANCH, 0, error);
  return status;
}

static resnet_status run_session(resnet_session *session, const resnet_model *model,
                                 resnet_error *error) {
  enum { MAX_SCORES = 512 };
  static float input[SAMPLES * 3 * 32 * 32], scores[SAMPLES * MAX_SCORES];
  assert_in_range(plan_info(model).score_count, 1, MAX_SCORES);
  resnet_status status = resnet_run(session, input, RESNET_LAYOUT_NCHW, SAMPLES, scores, error);
  /* it allocates nothing, so nothing can fail */
  assert_int_equal(status, RESNET_OK);
  const resnet_status lens = use_lens(session, model, error);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NCHW, SAMPLES, scores, NULL),
                   RESNET_OK);
  return lens == RESNET_OK ? label(session, model, error) : lens;
}

static resnet_status use_model(const use *u, const resnet_model *model, resnet_error *error) {
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = u->threads;
  options.batch = SAMPLES;
  resnet_status status = resnet_session_open(model, &options, &session, error);
  assert_int_equal(status == RESNET_OK, session != NULL);
  if (status == RESNET_OK) status = run_session(session, model, error);
  resnet_session_close(&session);
  if (status == RESNET_OK && u->saves)
    status = resnet_model_save(model, plan_path("survivor"), error);
  return status;
}

static resnet_status use_all(const use *u, resnet_error *error) {
  resnet_model *model = NULL;
  resnet_status status =
      resnet_model_open_memory(u->file->data, u->file->size, &u->options, &model, error);
  assert_int_equal(status == RESNET_OK, model != NULL);
  if (status == RESNET_OK) status = use_model(u, model, error);
  resnet_model_close(&model);
  return status;
}

static use new_use(const buffer *file, const resnet_preprocess *fit) {
  use u = {.file = file, .threads = 1, .saves = true};
  resnet_model_options_init(&u.options);
  u.options.keep_weights = 1;
  u.options.preprocess = fit;
  return u;
}

/* Return a preprocessing that accepts images of any size. */
static resnet_preprocess fitting(void) {
  resnet_preprocess fit;
  assert_int_equal(resnet_preprocess_preset("imagenet", &fit, NULL), RESNET_OK);
  return fit;
}

/* ---- the caller's allocator -------------------------------------------------------- */

typedef struct counter {
  size_t calls, fail_at, live;
  bool ever_after; /* fail all from fail_at on, not only that one */
} counter;

static void *count_allocate(void *context, size_t size) {
  counter *c = context;
  c->calls++;
  if (c->ever_after ? c->calls >= c->fail_at : c->calls == c->fail_at) return NULL;
  c->live++;
  return malloc(size);
}

static void count_release(void *context, void *pointer) {
  counter *c = context;
  if (pointer) c->live--;
  free(pointer);
}

/* Return whether the n-th allocation was reached. */
static bool survive(use *u, size_t n, bool ever_after) {
  counter c = {.fail_at = n, .ever_after = ever_after};
  resnet_error error;
  u->options.allocator = (resnet_allocator){&c, count_allocate, count_release};
  const resnet_status status = use_all(u, &error);
  assert_int_equal(c.live, 0);
  if (status != RESNET_OK && status != RESNET_ERROR_MEMORY)
    fail_msg("allocation %zu: %s", n, error.message);
  assert_int_equal(status == RESNET_ERROR_MEMORY, c.calls >= n);
  return c.calls >= n;
}

static void the_callers_allocations_may_fail(void **state) {
  (void)state;
  for (size_t i = 0; i < EVERY_KERNEL_FILES; i++) {
    buffer file = every_kernel_file(i);
    const resnet_preprocess fit = fitting();
    use u = new_use(&file, &fit);
    size_t n = 1;
    while (survive(&u, n, false)) n++;
    assert_true(n > 100);
    u.saves = false;
    for (n = 1; survive(&u, n, true);) n += 7;
    buffer_release(&file);
  }
}

/* ---- malloc ------------------------------------------------------------------------ */

/* Return whether the n-th allocation was reached. */
static bool survive_malloc(const use *u, size_t n) {
  resnet_error error;
  watch_start(n);
  const resnet_status status = use_all(u, &error);
  watch_stop();
  const size_t allocations = atomic_load(&watched_allocations),
               releases = atomic_load(&watched_releases);
  const size_t succeeded = allocations - (n <= allocations ? 1 : 0);
  if (status != RESNET_OK && status != RESNET_ERROR_MEMORY)
    fail_msg("allocation %zu: %s", n, error.message);
  if (releases != succeeded)
    fail_msg("allocation %zu: %zu succeeded, %zu were released", n, succeeded, releases);
  return n <= allocations;
}

/* Sessions have one thread: pthreadpool does not check whether a thread could be
 * started. */
static void xnnpacks_allocations_may_fail(void **state) {
  (void)state;
  if (!WATCH_CAN_FAIL || !watch_install()) {
    print_message(
        "skipped: malloc cannot be made to fail with this C library, or under a sanitizer\n");
    skip();
  }
  for (size_t i = 0; i < EVERY_KERNEL_FILES; i++) {
    buffer file = every_kernel_file(i);
    const resnet_preprocess fit = fitting();
    use u = new_use(&file, &fit);
    resnet_error error;
    u.saves = false;
    /* what XNNPACK allocates once per process */
    assert_int_equal(use_all(&u, &error), RESNET_OK);
    size_t n = 1;
    while (survive_malloc(&u, n)) n++;
    assert_true(n > 100);
    buffer_release(&file);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_callers_allocations_may_fail),
      cmocka_unit_test(xnnpacks_allocations_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
