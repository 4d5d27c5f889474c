/* The memory that XNNPACK allocates for a session counts in the budget: it is summed
 * before any of it is allocated. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <string.h>

#include "plan_network.h"
#include "runtime/api/session.h"
#include "sanitized.h"

#if defined(__GLIBC__) && !defined(SANITIZED)
#include <malloc.h>
#include <stdlib.h>

static size_t allocated(void) {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/* A convolution of `kernel`, `stride`, `channels` and `groups`, over `size` pixels a
 * side, `count` times in a row. */
typedef struct layers {
  uint32_t kernel, stride, channels, groups, size, count;
} layers;

static buffer make(const layers *l) {
  network n = {0};
  char dims[64], attributes[96], from[16] = "x", to[16];
  (void)snprintf(dims, sizeof dims, "N,%u,%u,%u", l->channels, l->size, l->size);
  n.input = dims;
  char weights[64];
  (void)snprintf(weights, sizeof weights, "%u,%u,%u,%u", l->channels, l->channels / l->groups,
                 l->kernel, l->kernel);
  const uint32_t pad = l->kernel / 2;
  (void)snprintf(attributes, sizeof attributes, "pads=%u,%u,%u,%u strides=%u,%u group=%u", pad, pad,
                 pad, pad, l->stride, l->stride, l->groups);
  add_random(&n, "w", weights, 1);
  char inputs[40];
  for (uint32_t i = 0; i < l->count; i++) {
    (void)snprintf(to, sizeof to, "c%u", i);
    (void)snprintf(inputs, sizeof inputs, "%s,w", from);
    add(&n, "Conv", inputs, to, attributes);
    memcpy(from, to, sizeof from);
  }
  add(&n, "GlobalAveragePool", from, "g", "");
  add(&n, "Flatten", "g", "y", "");
  return finish(&n);
}

static const layers kinds[] = {
    {3, 1, 8, 1, 32, 20},  {3, 1, 64, 64, 28, 20}, {5, 1, 33, 33, 20, 8}, {4, 1, 17, 17, 9, 8},
    {7, 2, 6, 6, 64, 3},   {9, 1, 16, 16, 24, 4},  {1, 2, 8, 1, 30, 3},   {1, 1, 8, 1, 30, 20},
    {3, 1, 32, 8, 14, 20}, {11, 1, 4, 2, 24, 4},   {3, 1, 300, 1, 1, 2},
};

static resnet_model *open_xnnpack(const buffer *file, uint64_t budget) {
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.conv = RESNET_CONV_XNNPACK;
  options.max_memory_bytes = budget;
  return plan_open(file, &options);
}

/* The memory that goes through the caller's functions, as malloc counts it. */
static size_t hooked;

static void *hook_allocate(void *context, size_t size) {
  const size_t before = allocated();
  void *block = malloc(size);
  *(size_t *)context += allocated() - before;
  return block;
}

static void hook_release(void *context, void *pointer) {
  const size_t before = allocated();
  free(pointer);
  *(size_t *)context -= before - allocated();
}

/* What a session counts for XNNPACK's operators is at least what they allocate, and not
 * many times as much. */
static void tables_count_in_the_budget(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    buffer file = make(&kinds[i]);
    resnet_session *session = NULL;
    resnet_model_options options;
    resnet_model_options_init(&options);
    options.conv = RESNET_CONV_XNNPACK;
    options.allocator = (resnet_allocator){&hooked, hook_allocate, hook_release};
    resnet_model *model = plan_open(&file, &options);
    const size_t before = allocated() - hooked;
    assert_int_equal(resnet_session_open(model, NULL, &session, NULL), RESNET_OK);
    const size_t used = allocated() - hooked - before, counted = session->executor.reserved;
    if (counted < used || counted > 8 * used)
      print_message("kind %zu allocates %zu bytes and counts %zu\n", i, used, counted);
    assert_in_range(counted, used, 8 * used);
    resnet_session_close(&session);
    resnet_model_close(&model);
    buffer_release(&file);
  }
}

/* 200 layers whose tables take 1 MB each, within a budget for half of them. */
static void refusal_comes_before_the_tables(void **state) {
  (void)state;
  const layers deep = {3, 1, 1, 1, 120, 200};
  buffer file = make(&deep);
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.conv = RESNET_CONV_XNNPACK;
  options.max_memory_bytes = UINT64_C(100) << 20;
  resnet_model *model = NULL;
  resnet_error error;
  const size_t before = allocated();
  assert_int_equal(resnet_model_open_memory(file.data, file.size, &options, &model, &error),
                   RESNET_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "max_memory_bytes"));
  assert_true(allocated() - before < (size_t)1 << 20);
  buffer_release(&file);
}

/* Two sessions fit, a third does not, until one is closed. */
static void sessions_share_the_budget(void **state) {
  (void)state;
  const layers few = {3, 1, 1, 1, 120, 20};
  buffer file = make(&few);
  resnet_model *model = open_xnnpack(&file, UINT64_C(60) << 20);
  resnet_session *sessions[3] = {NULL, NULL, NULL};
  resnet_error error;
  assert_int_equal(resnet_session_open(model, NULL, &sessions[0], NULL), RESNET_OK);
  assert_int_equal(resnet_session_open(model, NULL, &sessions[1], NULL), RESNET_OK);
  const size_t before = allocated();
  assert_int_equal(resnet_session_open(model, NULL, &sessions[2], &error), RESNET_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "close other sessions"));
  assert_true(allocated() - before < (size_t)1 << 16);
  resnet_session_close(&sessions[0]);
  assert_int_equal(resnet_session_open(model, NULL, &sessions[2], NULL), RESNET_OK);
  for (size_t i = 0; i < 3; i++) resnet_session_close(&sessions[i]);
  resnet_model_close(&model);
  buffer_release(&file);
}
#else
static void skipped(void **state) {
  (void)state;
  print_message("skipped: only glibc without sanitizers counts what was allocated\n");
  skip();
}
#define tables_count_in_the_budget skipped
#define refusal_comes_before_the_tables skipped
#define sessions_share_the_budget skipped
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tables_count_in_the_budget),
      cmocka_unit_test(refusal_comes_before_the_tables),
      cmocka_unit_test(sessions_share_the_budget),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
