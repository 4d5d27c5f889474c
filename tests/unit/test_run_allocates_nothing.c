/* resnet_run must not allocate: every malloc and its kin of the process is counted, XNNPACK's and the system's too.
 *
 * Where a sanitizer owns malloc its hooks count; else, with glibc, this program's own malloc does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resnet.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static atomic_bool counting;
static atomic_size_t allocations;

static void count(void) {
  if (atomic_load(&counting)) {
    atomic_fetch_add(&allocations, 1);
  }
}

#if defined(SANITIZED)

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *pointer, size_t size) {
  (void)pointer;
  (void)size;
  count();
}

static void on_free(const volatile void *pointer) {
  if (pointer) {
    count();
  }
}

static int install_hooks(void) { return __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0; }

#elif defined(__GLIBC__)

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t number, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *pointer);
void *malloc(size_t size);
void *calloc(size_t number, size_t size);
void *realloc(void *pointer, size_t size);
void *memalign(size_t alignment, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **out, size_t alignment, size_t size);
void free(void *pointer);

void *malloc(size_t size) {
  count();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count();
  return __libc_calloc(number, size);
}

void *realloc(void *pointer, size_t size) {
  count();
  return __libc_realloc(pointer, size);
}

void *memalign(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out ? 0 : 12; /* ENOMEM */
}

void free(void *pointer) {
  if (pointer) {
    count();
  }
  __libc_free(pointer);
}

static int install_hooks(void) { return 1; }

#else
static int install_hooks(void) { return 0; }
#endif

#include <stdio.h>
#include <stdlib.h>

static void need_hooks(void) {
  if (!install_hooks()) {
    print_message("allocations can't be counted with this C library\n");
    skip();
  }
}

static size_t stop_counting(void) {
  atomic_store(&counting, false);
  return atomic_load(&allocations);
}

static void start_counting(void) {
  atomic_store(&allocations, 0);
  atomic_store(&counting, true);
}

static void counting_sees_an_allocation(void **state) {
  (void)state;
  need_hooks();
  start_counting();
  void *volatile pointer = malloc(100);
  free(pointer);
  assert_int_equal(stop_counting(), 2);
}

static void run_counted(const char *path, uint32_t threads, uint32_t batch, size_t pictures) {
  resnet_error error;
  resnet_model *model = NULL;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_model_info info = {.struct_size = sizeof info};
  resnet_session_options_init(&options);
  options.threads = threads;
  options.batch = batch;
  assert_int_equal(resnet_model_open(path, NULL, &model, &error), RESNET_OK);
  assert_int_equal(resnet_model_get_info(model, &info, &error), RESNET_OK);
  assert_int_equal(resnet_session_open(model, &options, &session, &error), RESNET_OK);
  const size_t floats = (size_t)info.input_channels * info.input_height * info.input_width;
  float *input = calloc(pictures * floats, sizeof(float));
  float *scores = calloc(pictures * info.classes, sizeof(float));
  assert_true(input && scores);
  for (int round = 0; round < 2; round++) {
    start_counting();
    const resnet_status nchw = resnet_run(session, input, RESNET_LAYOUT_NCHW, pictures, scores, &error);
    const resnet_status nhwc = resnet_run(session, input, RESNET_LAYOUT_NHWC, 1, scores, &error);
    const resnet_status refused = resnet_run(session, NULL, RESNET_LAYOUT_NHWC, 1, scores, &error);
    assert_int_equal(stop_counting(), 0);
    assert_int_equal(nchw, RESNET_OK);
    assert_int_equal(nhwc, RESNET_OK);
    assert_int_equal(refused, RESNET_ERROR_ARGUMENT);
  }
  free(scores);
  free(input);
  resnet_session_close(&session);
  resnet_model_close(&model);
}

static void run_allocates_nothing(void **state) {
  (void)state;
  need_hooks();
  run_counted(SOURCE_DIR "/tests/models/resnet8_option_a.onnx", 1, 1, 1);
  run_counted(SOURCE_DIR "/tests/models/resnet8_option_b.onnx", 1, 3, 3);
}

static void run_allocates_nothing_on_two_threads(void **state) {
  (void)state;
  need_hooks();
  run_counted(SOURCE_DIR "/tests/models/resnet8_option_a.onnx", 2, 2, 5);
  run_counted(SOURCE_DIR "/tests/models/resnet8_option_b.onnx", 2, 3, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counting_sees_an_allocation),
      cmocka_unit_test(run_allocates_nothing),
      cmocka_unit_test(run_allocates_nothing_on_two_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
