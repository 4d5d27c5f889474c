/* Tests and intervals of `resnet compare`. Expected numbers were computed with Python's
 * exact fractions, or follow from counting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "cli/compare/comparison.h"
#include "cli/compare/significance.h"
#include "support/statistics.h"

static void expect_near(double found, double wanted) {
  if (!(fabs(found - wanted) <= 1e-9 * (1e-3 + fabs(wanted))))
    print_error("%.12g is not %.12g\n", found, wanted);
  assert_true(fabs(found - wanted) <= 1e-9 * (1e-3 + fabs(wanted)));
}

static void sign_tests_are_exact(void **state) {
  (void)state;
  expect_near(stats_sign_p(0, 0), 1);
  expect_near(stats_sign_p(3, 3), 1);
  expect_near(stats_sign_p(0, 1), 1);
  expect_near(stats_sign_p(0, 6), 2.0 / 64);
  expect_near(stats_sign_p(1, 7), 2 * 9.0 / 256);
  expect_near(stats_sign_p(7, 1), 2 * 9.0 / 256);
  expect_near(stats_sign_p(29, 26), 0.7877061896700435);
  expect_near(stats_sign_p(2, 26), 3.032386302947998e-06);
  expect_near(stats_sign_p(900, 1100), 8.457089535503927e-06);
}

static void chance_is_binomial(void **state) {
  (void)state;
  expect_near(stats_binomial_tail(0, 10, 0.1), 1);
  expect_near(stats_binomial_tail(10, 10, 0.5), 1.0 / 1024);
  expect_near(stats_binomial_tail(3, 10, 0.1), 0.0701908264);
  expect_near(stats_binomial_tail(1070, 10000, 0.1), 0.01078412598920319);
  expect_near(stats_binomial_tail(5, 10, 1), 1);
  expect_near(stats_binomial_tail(1, 10, 0), 0);
}

static void holm_adjusts_a_family(void **state) {
  (void)state;
  double p[] = {0.01, 0.02, 0.03, 0.9};
  static const double wanted[] = {0.04, 0.06, 0.06, 0.9};
  stats_holm(p, 4);
  for (size_t i = 0; i < 4; i++) expect_near(p[i], wanted[i]);
}

static void paired_intervals_hold_the_difference(void **state) {
  (void)state;
  const stats_interval none = stats_paired_interval(0, 0, 0);
  assert_true(isnan(none.low) && isnan(none.high));
  const stats_interval i = stats_paired_interval(30, 10, 98); /* 31, 11 of 100 */
  expect_near(i.low, 0.2 - 1.959963984540054 * sqrt((0.42 - 0.04) / 100));
  expect_near(i.high, 0.2 + 1.959963984540054 * sqrt((0.42 - 0.04) / 100));
  const stats_interval equal = stats_paired_interval(0, 0, 10);
  assert_true(equal.low < 0 && equal.high > 0);
}

static void medians_have_an_interval_if_there_are_enough_values(void **state) {
  (void)state;
  double values[101];
  for (int i = 0; i < 101; i++) values[i] = i;
  assert_true(isnan(stats_sorted_median_interval(values, 0, 0.05).low));
  assert_true(isnan(stats_sorted_median_interval(values, 5, 0.05).low));
  const stats_interval six = stats_sorted_median_interval(values, 6, 0.05);
  assert_true(six.low == 0 && six.high == 5);
  const stats_interval all = stats_sorted_median_interval(values, 101, 0.05);
  assert_true(all.low == 40 && all.high == 60);
}

static void rank_sums_are_tested(void **state) {
  (void)state;
  static const double a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8, NAN}, ties[] = {1, 1, 2, 2};
  expect_near(compare_rank_sum_p(a, 4, b, 5), 2.0 / 70);
  expect_near(compare_rank_sum_p(b, 5, a, 4), 2.0 / 70);
  expect_near(compare_rank_sum_p(ties, 4, ties, 4), 1);
  assert_true(isnan(compare_rank_sum_p(a, 0, b, 5)));
  double many[60], more[70];
  for (int i = 0; i < 60; i++) many[i] = (i * 37) % 60 / 7;
  for (int i = 0; i < 70; i++) more[i] = (i * 29) % 70 / 7 + 1;
  expect_near(compare_rank_sum_p(many, 60, more, 70), 0.0012226386394214325);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sign_tests_are_exact),
      cmocka_unit_test(chance_is_binomial),
      cmocka_unit_test(holm_adjusts_a_family),
      cmocka_unit_test(paired_intervals_hold_the_difference),
      cmocka_unit_test(medians_have_an_interval_if_there_are_enough_values),
      cmocka_unit_test(rank_sums_are_tested),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
