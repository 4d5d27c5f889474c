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

/* Sort `count` values in ascending order. */
void stats_sort(double *values, size_t count);

/* Return the median of sorted values, or NAN if there are none. */
double stats_sorted_median(const double *values, size_t count);

/* Return the smallest value that at least `percent` % of the sorted values do not exceed,
 * or NAN if there are none. */
double stats_sorted_percentile(const double *values, size_t count, uint32_t percent);

#endif
