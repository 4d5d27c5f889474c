/* The Python binding's table of responses: what it gathers, that it gathers what the
 * program does, and that it says what it cannot. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resnet_python.h"
#include "support/responses.h"

enum { SAMPLES = 50, HEIGHT = 3, WIDTH = 5, CHANNELS = 4, VALUES = HEIGHT * WIDTH * CHANNELS };

static const resnet_python_place places[] = {{2, RESNET_POINT_OUTPUT, CHANNELS},
                                             {2, RESNET_POINT_RESPONSE, CHANNELS},
                                             {0, RESNET_POINT_SHORTCUT, 1}};
enum { PLACES = sizeof places / sizeof places[0] };

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

/* Allocations that are left before one fails; negative: all succeed. */
static int allocations_left = -1;

void *__wrap_calloc(size_t count, size_t size) {
  if (allocations_left == 0) return NULL;
  if (allocations_left > 0) allocations_left--;
  return __real_calloc(count, size);
}

static void fill(float *values) {
  uint32_t state = 7;
  for (int i = 0; i < SAMPLES * VALUES; i++) {
    state = state * 1664525u + 1013904223u;
    values[i] = (float)(state >> 8) / (float)(1 << 24) - 0.5f;
  }
}

static resnet_python_table *open_table(void) {
  resnet_python_table *table;
  resnet_error error;
  assert_int_equal(resnet_python_table_open(places, PLACES, &table, &error), RESNET_OK);
  assert_int_equal(error.status, RESNET_OK);
  assert_string_equal(error.message, "");
  return table;
}

static void observe(resnet_python_table *table, uint32_t op, resnet_point point, const float *data,
                    uint32_t batch, uint32_t channels) {
  const resnet_response response = {.op = op,
                                    .point = point,
                                    .batch = batch,
                                    .height = HEIGHT,
                                    .width = WIDTH,
                                    .channels = channels,
                                    .data = data};
  resnet_python_table_observe(table, &response);
}

/* The samples of a chunk, a few at a time. */
static void observe_chunk(resnet_python_table *table, const float *values, size_t from,
                          size_t end) {
  resnet_python_table_clear(table, from);
  while (from < end) {
    const size_t batch = end - from < 3 ? end - from : 3;
    observe(table, 2, RESNET_POINT_OUTPUT, values + from * VALUES, (uint32_t)batch, CHANNELS);
    from += batch;
  }
}

/* Chunk by chunk, as the program does: the same bits. */
static void test_same_as_program(void **state) {
  (void)state;
  static float values[SAMPLES * VALUES];
  fill(values);
  resnet_python_table *total = open_table(), *part = open_table();
  response_sums sums, chunk;
  response_summary expected = {0};
  resnet_python_row rows[PLACES];
  assert_true(response_sums_allocate(&sums, CHANNELS) && response_sums_allocate(&chunk, CHANNELS));
  const size_t step = resnet_python_table_chunk(SAMPLES);
  for (size_t from = 0; from < SAMPLES; from += step) {
    const size_t end = SAMPLES - from < step ? SAMPLES : from + step;
    response_sums_clear(&chunk, from);
    response_sums_add(&chunk, values + from * VALUES, end - from, HEIGHT * WIDTH);
    response_sums_merge(&sums, &chunk);
    observe_chunk(part, values, from, end);
    assert_int_equal(resnet_python_table_merge(total, part, NULL), RESNET_OK);
  }
  response_sums_summarise(&sums, &expected);
  assert_int_equal(resnet_python_table_rows(total, rows, PLACES, NULL), RESNET_OK);
  assert_int_equal(rows[0].values, SAMPLES * VALUES);
  assert_memory_equal(&rows[0].mean, &expected.mean, sizeof(double));
  assert_memory_equal(&rows[0].std, &expected.std, sizeof(double));
  assert_memory_equal(rows[0].percentiles, expected.percentiles, sizeof rows[0].percentiles);
  assert_true(rows[0].height == HEIGHT && rows[0].width == WIDTH && rows[0].channels == CHANNELS);
  assert_true(rows[1].values == 0 && isnan(rows[1].mean) && rows[1].height == 0);
  response_sums_release(&sums);
  response_sums_release(&chunk);
  resnet_python_table_close(&total);
  resnet_python_table_close(&part);
  assert_null(part);
}

/* As compare has always cut them: whole batches of 8, some 64 of them, none larger than
 * 160 samples. */
static void test_chunks(void **state) {
  (void)state;
  static const size_t cases[][2] = {{0, 8},       {1, 8},         {511, 8},       {1023, 8},
                                    {1024, 16},   {5120, 80},     {10000, 152},   {10239, 152},
                                    {10240, 160}, {1000000, 160}, {SIZE_MAX, 160}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(resnet_python_table_chunk(cases[i][0]), cases[i][1]);
}

/* Responses of other places are none of its business. */
static void test_other_places(void **state) {
  (void)state;
  static const float values[VALUES];
  resnet_python_table *table = open_table();
  resnet_python_row rows[PLACES];
  observe(table, 0, RESNET_POINT_OUTPUT, values, 1, CHANNELS);
  observe(table, 1, RESNET_POINT_SHORTCUT, values, 1, 1);
  observe(table, UINT32_MAX, RESNET_POINT_CLASS_MAP, values, 1, CHANNELS);
  assert_int_equal(resnet_python_table_rows(table, rows, PLACES, NULL), RESNET_OK);
  for (int i = 0; i < PLACES; i++) {
    assert_int_equal(rows[i].values, 0);
    assert_true(rows[i].op == places[i].op && rows[i].point == places[i].point);
  }
  resnet_python_table_close(&table);
}

/* An observer cannot fail: the next call does. */
static void test_wrong_channels(void **state) {
  (void)state;
  static const float values[VALUES];
  resnet_python_table *table = open_table(), *other = open_table();
  resnet_python_row rows[PLACES];
  resnet_error error;
  observe(table, 0, RESNET_POINT_SHORTCUT, values, 1, CHANNELS);
  assert_int_equal(resnet_python_table_rows(table, rows, PLACES, &error), RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(error.message, "op 0 had 4 channels"));
  assert_int_equal(resnet_python_table_merge(other, table, &error), RESNET_ERROR_ARGUMENT);
  assert_int_equal(resnet_python_table_merge(table, other, NULL), RESNET_ERROR_ARGUMENT);
  resnet_python_table_clear(table, 0);
  assert_int_equal(resnet_python_table_merge(other, table, &error), RESNET_OK);
  resnet_python_table_close(&table);
  resnet_python_table_close(&other);
}

static void test_refusals(void **state) {
  (void)state;
  static const resnet_python_place twice[] = {{1, RESNET_POINT_OUTPUT, 2},
                                              {1, RESNET_POINT_OUTPUT, 2}};
  static const resnet_python_place bad[] = {{RESNET_NO_INDEX, RESNET_POINT_OUTPUT, 1},
                                            {0, (resnet_point)4, 1},
                                            {0, RESNET_POINT_OUTPUT, 0}};
  resnet_python_table *table = NULL, *other = open_table();
  resnet_python_row rows[PLACES];
  resnet_error error;
  assert_int_equal(resnet_python_table_open(places, PLACES, NULL, &error), RESNET_ERROR_ARGUMENT);
  assert_int_equal(resnet_python_table_open(NULL, 1, &table, &error), RESNET_ERROR_ARGUMENT);
  assert_int_equal(resnet_python_table_open(places, 0, &table, NULL), RESNET_ERROR_ARGUMENT);
  assert_int_equal(resnet_python_table_open(twice, 2, &table, &error), RESNET_ERROR_ARGUMENT);
  assert_null(table);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(resnet_python_table_open(&bad[i], 1, &table, &error), RESNET_ERROR_ARGUMENT);
  assert_int_equal(resnet_python_table_open(twice, 1, &table, NULL), RESNET_OK);
  assert_int_equal(resnet_python_table_merge(table, other, &error), RESNET_ERROR_ARGUMENT);
  assert_int_equal(resnet_python_table_merge(table, NULL, &error), RESNET_ERROR_ARGUMENT);
  assert_int_equal(resnet_python_table_rows(table, rows, PLACES, &error), RESNET_ERROR_ARGUMENT);
  assert_int_equal(resnet_python_table_rows(other, NULL, PLACES, &error), RESNET_ERROR_ARGUMENT);
  resnet_python_table_close(&table);
  resnet_python_table_close(&table);
  resnet_python_table_close(NULL);
  resnet_python_table_close(&other);
}

/* If any allocation fails, the call fails and leaks nothing (checked by the asan
 * preset). */
static void test_no_memory(void **state) {
  (void)state;
  resnet_python_table *table = NULL;
  resnet_error error;
  int failures = 0;
  for (;; failures++) {
    allocations_left = failures;
    const resnet_status status = resnet_python_table_open(places, PLACES, &table, &error);
    allocations_left = -1;
    if (status == RESNET_OK) break;
    assert_int_equal(status, RESNET_ERROR_MEMORY);
    assert_null(table);
  }
  assert_int_equal(failures, 3 + 3 * PLACES);
  resnet_python_table_close(&table);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_as_program), cmocka_unit_test(test_chunks),
      cmocka_unit_test(test_other_places),    cmocka_unit_test(test_wrong_channels),
      cmocka_unit_test(test_refusals),        cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
