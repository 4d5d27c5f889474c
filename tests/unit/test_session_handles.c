/* Handles that are closed in an unusual order, and calls whose arguments are wrong. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan_network.h"

/* ---- order of closing -------------------------------------------------------------- */

static size_t blocks; /* allocated through the hooks */

static void *hook_allocate(void *context, size_t size) {
  void *block = malloc(size);
  *(size_t *)context += block != NULL;
  return block;
}

static void hook_release(void *context, void *pointer) {
  --*(size_t *)context;
  free(pointer);
}

static void sessions_outlive_the_model(void **state) {
  (void)state;
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.allocator = (resnet_allocator){&blocks, hook_allocate, hook_release};
  buffer file = plan_mixed_network();
  resnet_model *model = plan_open(&file, &options);
  const resnet_model_info info = plan_info(model);
  resnet_session *first = NULL, *second = NULL;
  assert_int_equal(resnet_session_open(model, NULL, &first, NULL), RESNET_OK);
  assert_int_equal(resnet_session_open(model, NULL, &second, NULL), RESNET_OK);
  const size_t floats = (size_t)info.input_height * info.input_width * info.input_channels;
  float *input = calloc(floats, sizeof *input), *before = calloc(info.classes, sizeof *before),
        *after = calloc(info.classes, sizeof *after);
  assert_int_equal(resnet_run(first, input, RESNET_LAYOUT_NCHW, 1, before, NULL), RESNET_OK);
  resnet_model_close(&model);
  assert_null(model);
  assert_int_equal(resnet_run(second, input, RESNET_LAYOUT_NCHW, 1, after, NULL), RESNET_OK);
  assert_memory_equal(before, after, info.classes * sizeof *before);
  resnet_session_close(&second);
  assert_int_equal(resnet_session_skip(first, RESNET_NO_INDEX, RESNET_SKIP_NONE, 0, NULL),
                   RESNET_OK);
  assert_true(blocks > 0);
  resnet_session_close(&first);
  assert_int_equal(blocks, 0);
  free(input);
  free(before);
  free(after);
  buffer_release(&file);
}

/* A session that cannot be opened keeps nothing of the model. */
static void a_failed_session_keeps_nothing(void **state) {
  (void)state;
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.allocator = (resnet_allocator){&blocks, hook_allocate, hook_release};
  buffer file = plan_mixed_network();
  resnet_model *model = plan_open(&file, &options);
  resnet_session_options wrong;
  resnet_session_options_init(&wrong);
  wrong.threads = 1000;
  resnet_session *session = NULL;
  assert_int_equal(resnet_session_open(model, &wrong, &session, NULL), RESNET_ERROR_ARGUMENT);
  resnet_model_close(&model);
  assert_int_equal(blocks, 0);
  buffer_release(&file);
}

/* ---- wrong arguments --------------------------------------------------------------- */

typedef struct handles {
  buffer file;
  resnet_model *model;
  resnet_session *session;
  resnet_error error;
} handles;

static int open_handles(void **state) {
  handles *h = calloc(1, sizeof *h);
  h->file = plan_mixed_network();
  h->model = plan_open(&h->file, NULL);
  assert_int_equal(resnet_session_open(h->model, NULL, &h->session, NULL), RESNET_OK);
  *state = h;
  return 0;
}

static int close_handles(void **state) {
  handles *h = *state;
  resnet_session_close(&h->session);
  resnet_model_close(&h->model);
  buffer_release(&h->file);
  free(h);
  return 0;
}

/* Check that the call was refused and that the message names this argument alone. */
static void names(const handles *h, resnet_status status, const char *argument) {
  assert_int_equal(status, RESNET_ERROR_ARGUMENT);
  assert_int_equal(h->error.status, RESNET_ERROR_ARGUMENT);
  const char *found = strstr(h->error.message, argument);
  if (!found) print_message("'%s' is not in: %s\n", argument, h->error.message);
  assert_non_null(found);
  assert_null(strstr(h->error.message, " or `"));
}

static void run_names_the_argument(void **state) {
  handles *h = *state;
  float one[1] = {0};
  const resnet_layout nchw = RESNET_LAYOUT_NCHW;
  names(h, resnet_run(NULL, one, nchw, 1, one, &h->error), "resnet_run: `session`");
  names(h, resnet_run(h->session, NULL, nchw, 1, one, &h->error), "`input`");
  names(h, resnet_run(h->session, one, nchw, 1, NULL, &h->error), "`scores`");
  names(h, resnet_run(h->session, one, nchw, 0, one, &h->error), "`batch`");
  names(h, resnet_run(h->session, one, nchw, SIZE_MAX, one, &h->error), "`batch`");
  names(h, resnet_run(h->session, one, nchw, SIZE_MAX / sizeof(float), one, &h->error), "`batch`");
  names(h, resnet_run(h->session, one, (resnet_layout)7, 1, one, &h->error), "layout 7");
}

static void session_names_the_argument(void **state) {
  handles *h = *state;
  resnet_session *session = NULL;
  resnet_session_options o;
  names(h, resnet_session_open(NULL, NULL, &session, &h->error), "resnet_session_open: `model`");
  names(h, resnet_session_open(h->model, NULL, NULL, &h->error), "`session`");
  resnet_session_options_init(&o);
  o.threads = 257;
  names(h, resnet_session_open(h->model, &o, &session, &h->error), "threads is 257: use 0");
  resnet_session_options_init(&o);
  o.batch = 65537;
  names(h, resnet_session_open(h->model, &o, &session, &h->error), "batch is 65537: use 0");
  resnet_session_options_init(&o);
  o.observe = (resnet_observe)9;
  names(h, resnet_session_open(h->model, &o, &session, &h->error), "observe is 9");
  names(h, resnet_session_observe(NULL, NULL, NULL, &h->error), "`session`");
  names(h, resnet_session_skip(NULL, 0, RESNET_SKIP_NONE, 0, &h->error), "`session`");
}

/* Open the model with one switch at 2. */
static void switch_is_named(handles *h, size_t offset, const char *argument) {
  resnet_model *model = NULL;
  resnet_model_options o;
  resnet_model_options_init(&o);
  memcpy((char *)&o + offset, &(uint32_t){2}, sizeof(uint32_t));
  const void *bytes = h->file.data;
  names(h, resnet_model_open_memory(bytes, h->file.size, &o, &model, &h->error), argument);
  assert_null(model);
}

static void switches_are_named(void **state) {
  handles *h = *state;
  switch_is_named(h, offsetof(resnet_model_options, keep_weights), "keep_weights is 2: use 0");
  switch_is_named(h, offsetof(resnet_model_options, external_data), "external_data is 2: use 0");
  switch_is_named(h, offsetof(resnet_model_options, borrow), "borrow is 2: use 0");
}

/* A session beyond the budget is a limit, not a failed allocation; only a session of
 * several samples can be made smaller. */
static void session_beyond_the_budget_is_a_limit(void **state) {
  handles *h = *state;
  for (uint32_t batch = 1; batch <= 64; batch += 63) {
    size_t refused = 0;
    resnet_status status = RESNET_ERROR_LIMIT;
    for (uint64_t budget = 20000; status != RESNET_OK; budget += 512) {
      resnet_model *model = NULL;
      resnet_session *session = NULL;
      resnet_model_options o;
      resnet_model_options_init(&o);
      o.max_memory_bytes = budget;
      const void *bytes = h->file.data;
      if (resnet_model_open_memory(bytes, h->file.size, &o, &model, NULL) != RESNET_OK) continue;
      const resnet_session_options wanted = {
          .struct_size = sizeof wanted, .threads = 1, .batch = batch};
      status = resnet_session_open(model, &wanted, &session, &h->error);
      if (status != RESNET_OK) {
        refused++;
        assert_int_equal(status, RESNET_ERROR_LIMIT);
        assert_non_null(strstr(h->error.message, "max_memory_bytes"));
        if (batch == 1) assert_null(strstr(h->error.message, "smaller batch"));
      }
      resnet_session_close(&session);
      resnet_model_close(&model);
    }
    if (batch > 1) assert_true(refused > 0);
  }
}

static void model_names_the_argument(void **state) {
  handles *h = *state;
  resnet_model *model = NULL;
  names(h, resnet_model_open(NULL, NULL, &model, &h->error), "resnet_model_open: `path`");
  names(h, resnet_model_open("x", NULL, NULL, &h->error), "`model`");
  names(h, resnet_model_open_memory(NULL, 1, NULL, &model, &h->error), "`bytes`");
  names(h, resnet_model_open_memory("x", 1, NULL, NULL, &h->error), "`model`");
  names(h, resnet_model_save(NULL, "x", &h->error), "resnet_model_save: `model`");
  names(h, resnet_model_save(h->model, NULL, &h->error), "`path`");
}

static void facts_name_the_argument(void **state) {
  handles *h = *state;
  resnet_model_info info = {.struct_size = sizeof info};
  resnet_op op = {.struct_size = sizeof op};
  resnet_block block = {.struct_size = sizeof block};
  names(h, resnet_model_get_info(NULL, &info, &h->error), "resnet_model_get_info: `model`");
  names(h, resnet_model_get_info(h->model, NULL, &h->error), "resnet_model_get_info: `info`");
  names(h, resnet_plan_op(NULL, 0, &op, &h->error), "resnet_plan_op: `model`");
  names(h, resnet_plan_op(h->model, 0, NULL, &h->error), "resnet_plan_op: `op`");
  names(h, resnet_plan_block(NULL, 0, &block, &h->error), "resnet_plan_block: `model`");
  names(h, resnet_plan_block(h->model, 0, NULL, &h->error), "resnet_plan_block: `block`");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sessions_outlive_the_model),
      cmocka_unit_test(a_failed_session_keeps_nothing),
      cmocka_unit_test_setup_teardown(run_names_the_argument, open_handles, close_handles),
      cmocka_unit_test_setup_teardown(session_names_the_argument, open_handles, close_handles),
      cmocka_unit_test_setup_teardown(switches_are_named, open_handles, close_handles),
      cmocka_unit_test_setup_teardown(session_beyond_the_budget_is_a_limit, open_handles,
                                      close_handles),
      cmocka_unit_test_setup_teardown(model_names_the_argument, open_handles, close_handles),
      cmocka_unit_test_setup_teardown(facts_name_the_argument, open_handles, close_handles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
