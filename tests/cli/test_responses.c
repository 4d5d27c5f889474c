/* Statistics of responses: what they are of, to which accuracy, and that batches do not
 * matter. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/responses.h"

enum {
  SAMPLES = 7,
  PIXELS = 600,
  CHANNELS = 19,
  VALUES = PIXELS * CHANNELS,
  ALL = SAMPLES * VALUES
};

/* Values of many sizes, with a mean of its own for each channel: its square is 10,000
 * times the smallest variance. */
static float *make_values(void) {
  float *values = malloc(ALL * sizeof *values);
  uint32_t state = 1;
  assert_non_null(values);
  for (int i = 0; i < ALL; i++) {
    state = state * 1664525u + 1013904223u;
    const float random = (float)(state >> 8) / (float)(1 << 24) - 0.5f;
    values[i] = (float)(i % CHANNELS) * 3 - 27 + random;
  }
  return values;
}

static int compare_floats(const void *a, const void *b) {
  const float left = *(const float *)a, right = *(const float *)b;
  return (left > right) - (left < right);
}

static response_summary summary_of(const float *values, uint32_t channels, size_t images,
                                   size_t pixels) {
  response_sums s;
  response_summary out = {0};
  assert_true(response_sums_allocate(&s, channels));
  response_sums_add(&s, values, images, pixels);
  response_sums_summarise(&s, &out);
  response_sums_release(&s);
  return out;
}

/* Against the two-pass formulae, in long double. */
static void test_moments(void **state) {
  (void)state;
  float *values = make_values();
  long double mean = 0, squares = 0;
  uint64_t low = 0;
  float min = values[0], max = values[0];
  for (int i = 0; i < ALL; i++) mean += (long double)values[i] / ALL;
  for (int i = 0; i < ALL; i++) {
    squares += ((long double)values[i] - mean) * ((long double)values[i] - mean) / ALL;
    low += values[i] <= 0;
    min = values[i] < min ? values[i] : min;
    max = values[i] > max ? values[i] : max;
  }
  const response_summary s = summary_of(values, CHANNELS, SAMPLES, PIXELS);
  assert_int_equal(s.values, ALL);
  assert_int_equal(s.channels, CHANNELS);
  assert_true(fabsl(s.mean - mean) < 1e-6L);
  assert_true(fabsl(s.std - sqrtl(squares)) < 1e-6L * sqrtl(squares));
  assert_true(s.min <= (double)min && s.min >= (double)min);
  assert_true(s.max <= (double)max && s.max >= (double)max);
  assert_true(fabs(s.negative - (double)low / ALL) < 1e-15);
  /* the channels around -27 to -3; the one around 0 is not */
  assert_int_equal(s.dead, 9);
  free(values);
}

/* A mean 100,000 times the deviation: sums of squares as they are would leave nothing of
 * it. */
static void test_large_mean(void **state) {
  (void)state;
  float values[1000];
  for (int i = 0; i < 1000; i++) values[i] = 4096 + (i % 2 ? 0.03125f : -0.03125f);
  const response_summary s = summary_of(values, 1, 1, 1000);
  assert_true(fabs(s.mean - 4096) < 1e-9);
  assert_true(fabs(s.std - 0.03125) < 1e-9);
}

/* All values of small responses count, and a percentile is off by a bin at most. */
static void test_percentiles(void **state) {
  (void)state;
  float *values = make_values(), *sorted = malloc(ALL * sizeof *sorted);
  enum { SMALL = 950, COUNT = ALL / SMALL * SMALL };
  assert_non_null(sorted);
  memcpy(sorted, values, COUNT * sizeof *sorted);
  qsort(sorted, COUNT, sizeof *sorted, compare_floats);
  const response_summary s = summary_of(values, CHANNELS, COUNT / SMALL, SMALL / CHANNELS);
  for (int i = 0; i < RESPONSE_PERCENTILES; i++) {
    const double exact = (double)sorted[(size_t)(response_percentile_ranks[i] / 100 * COUNT)];
    assert_true(fabs(s.percentiles[i] - exact) <= fabs(exact) / 64 + 1e-3);
  }
  free(sorted);
  free(values);
}

/* Large responses count some of their values, equally in all channels. Here each channel
 * holds a single value. */
static void test_percentiles_meet_all_channels(void **state) {
  (void)state;
  enum { WIDE = 64, AREA = 64 };
  float *values = malloc((size_t)AREA * WIDE * sizeof *values);
  assert_non_null(values);
  for (int i = 0; i < AREA * WIDE; i++) values[i] = (float)(1 + i % WIDE);
  response_sums sums;
  response_summary s = {0};
  assert_true(response_sums_allocate(&sums, WIDE));
  for (int i = 0; i < 127; i++) response_sums_add(&sums, values, 1, AREA);
  response_sums_summarise(&sums, &s);
  for (int i = 0; i < RESPONSE_PERCENTILES; i++)
    assert_true(fabs(s.percentiles[i] - response_percentile_ranks[i] * 0.64) < 2);
  response_sums_release(&sums);
  free(values);
}

static void assert_same(const response_summary *a, const response_summary *b) {
  assert_int_equal(a->values, b->values);
  assert_memory_equal(&a->mean, &b->mean, sizeof a->mean);
  assert_memory_equal(&a->std, &b->std, sizeof a->std);
  assert_memory_equal(a->percentiles, b->percentiles, sizeof a->percentiles);
  assert_memory_equal(&a->negative, &b->negative, sizeof a->negative);
  assert_int_equal(a->dead, b->dead);
}

/* Any split into batches gives the same bits; so do the same chunks, merged in order. */
static void test_batches_do_not_matter(void **state) {
  (void)state;
  float *values = make_values();
  const response_summary whole = summary_of(values, CHANNELS, SAMPLES, PIXELS);
  for (size_t first = 0; first <= SAMPLES; first++) {
    response_sums s;
    response_summary split = {0};
    assert_true(response_sums_allocate(&s, CHANNELS));
    response_sums_add(&s, values, first, PIXELS);
    response_sums_add(&s, values + first * VALUES, SAMPLES - first, PIXELS);
    response_sums_summarise(&s, &split);
    assert_same(&whole, &split);
    response_sums_release(&s);
  }
  free(values);
}

/* Chunks are counted as the whole is, but for rounding, and where a chunk is empty to the
 * bit. */
static void test_chunks(void **state) {
  (void)state;
  float *values = make_values();
  const response_summary whole = summary_of(values, CHANNELS, SAMPLES, PIXELS);
  for (size_t first = 0; first <= SAMPLES; first++) {
    response_sums total, chunk;
    response_summary merged = {0};
    assert_true(response_sums_allocate(&total, CHANNELS));
    assert_true(response_sums_allocate(&chunk, CHANNELS));
    response_sums_add(&chunk, values, first, PIXELS);
    response_sums_merge(&total, &chunk);
    response_sums_clear(&chunk, first);
    response_sums_add(&chunk, values + first * VALUES, SAMPLES - first, PIXELS);
    response_sums_merge(&total, &chunk);
    response_sums_summarise(&total, &merged);
    assert_int_equal(merged.values, ALL);
    assert_true(fabs(merged.mean - whole.mean) < 1e-12);
    assert_true(fabs(merged.std - whole.std) < 1e-12);
    assert_memory_equal(merged.percentiles, whole.percentiles, sizeof whole.percentiles);
    assert_int_equal(merged.dead, whole.dead);
    assert_true(merged.min <= whole.min && merged.max >= whole.max);
    if (first == 0 || first == SAMPLES) assert_same(&whole, &merged);
    response_sums_release(&total);
    response_sums_release(&chunk);
  }
  free(values);
}

static void test_nothing(void **state) {
  (void)state;
  const response_summary s = summary_of(NULL, 3, 0, 5);
  assert_true(isnan(s.mean) && isnan(s.std) && isnan(s.min) && isnan(s.max) &&
              isnan(s.percentiles[2]));
  assert_int_equal(s.values, 0);
  assert_int_equal(s.dead, 0);
}

/* They harm nothing but themselves. */
static void test_values_of_no_meaning(void **state) {
  (void)state;
  const float values[] = {NAN, INFINITY, -INFINITY, 1e38f, -1e38f, 1e-45f, -0.0f, 0};
  const response_summary s = summary_of(values, 1, 1, 8);
  assert_int_equal(s.values, 8);
  assert_true(isnan(s.mean) && isnan(s.std));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_moments),
      cmocka_unit_test(test_large_mean),
      cmocka_unit_test(test_percentiles),
      cmocka_unit_test(test_percentiles_meet_all_channels),
      cmocka_unit_test(test_batches_do_not_matter),
      cmocka_unit_test(test_chunks),
      cmocka_unit_test(test_nothing),
      cmocka_unit_test(test_values_of_no_meaning),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
