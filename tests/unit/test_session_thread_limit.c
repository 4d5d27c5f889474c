/* A session whose threads the system does not start is refused, without waiting for
 * them. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "plan_network.h"
#include "sanitized.h"

#if !defined(SANITIZED)
/* that may still be started; those that end do not count */
static atomic_int threads_left;

/* Replace the C library's function for this program, the library and pthreadpool. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument) {
  int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  void *found = dlsym(RTLD_NEXT, "pthread_create");
  memcpy(&real, &found, sizeof real);
  if (atomic_fetch_sub(&threads_left, 1) <= 0) return EAGAIN;
  return real(thread, attributes, start, argument);
}

static resnet_status open_session(uint32_t threads, int limit, resnet_error *error) {
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = threads;
  buffer file = plan_mixed_network();
  resnet_model *model = plan_open(&file, NULL);
  atomic_store(&threads_left, limit);
  const resnet_status status = resnet_session_open(model, &options, &session, error);
  assert_int_equal(status == RESNET_OK, session != NULL);
  resnet_session_close(&session);
  resnet_model_close(&model);
  buffer_release(&file);
  return status;
}

static void too_few_threads_are_refused(void **state) {
  (void)state;
  resnet_error error;
  for (int limit = 0; limit < 3; limit++) {
    assert_int_equal(open_session(4, limit, &error), RESNET_ERROR_SYSTEM);
    assert_non_null(strstr(error.message, "4 threads cannot be started"));
  }
  assert_int_equal(open_session(1, 0, &error), RESNET_OK);
  assert_int_equal(open_session(4, 100, &error), RESNET_OK);
}
#else
static void too_few_threads_are_refused(void **state) {
  (void)state;
  print_message("skipped: a sanitizer starts the threads\n");
  skip();
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(too_few_threads_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
