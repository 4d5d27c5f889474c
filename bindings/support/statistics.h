/* Statistics that commands share. */
#ifndef RESNET_SUPPORT_STATISTICS_H
#define RESNET_SUPPORT_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

typedef struct interval {
  double low, high;
} interval;

/* part / whole; NAN of nothing. */
double share(uint64_t part, uint64_t whole);

/* Wilson's 95 % interval of a proportion (E. B. Wilson, JASA 22, 1927); NAN of
 * nothing. */
interval wilson_interval(uint64_t part, uint64_t whole);

/* McNemar's test (Q. McNemar, Psychometrika 12, 1947) of two classifiers on the same
 * pictures, of which only_a and only_b are right for one alone: chi squared with Edwards'
 * continuity correction, and the probability of a difference this large between equals:
 * from chi squared with one degree of freedom, or, where the two are fewer than 25, from
 * the binomial distribution itself, both sides. */
double mcnemar_chi2(uint64_t only_a, uint64_t only_b);
double mcnemar_p(uint64_t only_a, uint64_t only_b);

/* Sort `count` values, least first. */
void sort_values(double *values, size_t count);

/* Of sorted values; NAN of none. The percentile is the least that at least `percent` % of
 * them do not exceed. */
double sorted_median(const double *values, size_t count);
double sorted_percentile(const double *values, size_t count, uint32_t percent);

#endif
