/* Statistics that several commands use. */
#ifndef RESNET_SUPPORT_STATISTICS_H
#define RESNET_SUPPORT_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

typedef struct stats_interval {
  double low, high;
} stats_interval;

/* Return part / whole, or NAN if `whole` is 0. */
double stats_share(uint64_t part, uint64_t whole);

/* Return Wilson's 95 % interval of a proportion (E. B. Wilson, JASA 22, 1927), or NAN to
 * NAN if `whole` is 0. */
stats_interval stats_wilson_interval(uint64_t part, uint64_t whole);

/* McNemar's test (Q. McNemar, Psychometrika 12, 1947) of two classifiers on the same
 * images. only_a and only_b count the images that only one of them gets right.
 *
 * chi2: chi squared with Edwards' continuity correction
 * p:    the two-sided probability of a difference this large between equal classifiers:
 *       from chi squared with one degree of freedom, or from the binomial distribution
 *       if only_a + only_b is below 25 */
double stats_mcnemar_chi2(uint64_t only_a, uint64_t only_b);
double stats_mcnemar_p(uint64_t only_a, uint64_t only_b);

/* Return the two-sided p of the exact sign test: the probability of a split at least as
 * uneven as `a` to `b` if both sides are equally likely. Leave ties out. 0 to 0: 1. */
double stats_sign_p(uint64_t a, uint64_t b);

/* Return the probability of at least `successes` in `trials` of probability `p`. */
double stats_binomial_tail(uint64_t successes, uint64_t trials, double p);

/* Replace the p values of a family of tests by those of Holm (Scandinavian Journal of
 * Statistics 6, 1979). The values must be sorted in ascending order. */
void stats_holm(double *p, size_t count);

/* Return the 95 % interval of the difference of two proportions on the same images,
 * (only_a - only_b) / images (Bonett and Price, Journal of Educational and Behavioral
 * Statistics 37, 2012), or NAN to NAN if `images` is 0. */
stats_interval stats_paired_interval(uint64_t only_a, uint64_t only_b, uint64_t images);

/* Sort `count` values in ascending order. */
void stats_sort(double *values, size_t count);

/* Return the median of sorted values, or NAN if there are none. */
double stats_sorted_median(const double *values, size_t count);

/* Return an interval of sorted values that holds the median of their distribution with a
 * probability of at least 1 - `alpha`: two order statistics, which assume no shape. NAN
 * to NAN: there are too few values. */
stats_interval stats_sorted_median_interval(const double *values, size_t count, double alpha);

/* Return the smallest value that at least `percent` % of the sorted values do not exceed,
 * or NAN if there are none. */
double stats_sorted_percentile(const double *values, size_t count, uint32_t percent);

#endif
