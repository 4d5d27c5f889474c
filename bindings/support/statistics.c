#include "support/statistics.h"

#include <math.h>
#include <stdlib.h>

/* Below this number of discordant images, chi squared is a poor approximation. */
enum { MIN_FOR_CHI2 = 25 };

double stats_share(uint64_t part, uint64_t whole) {
  return whole ? (double)part / (double)whole : NAN;
}

stats_interval stats_wilson_interval(uint64_t part, uint64_t whole) {
  const double z = 1.959963984540054;
  const double n = (double)whole, p = stats_share(part, whole);
  if (whole == 0) return (stats_interval){NAN, NAN};
  const double centre = p + z * z / (2 * n);
  const double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  const double scale = 1 + z * z / n;
  return (stats_interval){fmax(0, (centre - half) / scale), fmin(1, (centre + half) / scale)};
}

double stats_mcnemar_chi2(uint64_t only_a, uint64_t only_b) {
  const double a = (double)only_a, b = (double)only_b;
  if (only_a + only_b == 0) return 0;
  const double difference = fmax(0, fabs(a - b) - 1);
  return difference * difference / (a + b);
}

double stats_mcnemar_p(uint64_t only_a, uint64_t only_b) {
  if (only_a + only_b >= MIN_FOR_CHI2) return erfc(sqrt(stats_mcnemar_chi2(only_a, only_b) / 2));
  return stats_sign_p(only_a, only_b);
}

/* Return the probability of exactly `k` of `n` trials. Logarithms keep the binomial
 * coefficient finite. */
static double binomial(uint64_t k, uint64_t n, double p) {
  const double i = (double)k, all = (double)n;
  return exp(lgamma(all + 1) - lgamma(i + 1) - lgamma(all - i + 1) + i * log(p) +
             (all - i) * log1p(-p));
}

double stats_sign_p(uint64_t a, uint64_t b) {
  const uint64_t n = a + b, fewer = a < b ? a : b;
  double tail = 0;
  for (uint64_t i = 0; i <= fewer; i++) tail += binomial(i, n, 0.5);
  return fmin(1, 2 * tail);
}

double stats_binomial_tail(uint64_t successes, uint64_t trials, double p) {
  if (successes == 0 || p >= 1) return 1;
  if (p <= 0) return 0;
  double tail = 0;
  for (uint64_t i = successes; i <= trials; i++) tail += binomial(i, trials, p);
  return fmin(1, tail);
}

void stats_holm(double *p, size_t count) {
  double least = 0;
  for (size_t i = 0; i < count; i++) {
    least = fmax(least, fmin(1, p[i] * (double)(count - i)));
    p[i] = least;
  }
}

stats_interval stats_paired_interval(uint64_t only_a, uint64_t only_b, uint64_t images) {
  const double z = 1.959963984540054;
  if (images == 0) return (stats_interval){NAN, NAN};
  const double n = (double)images + 2;
  const double a = ((double)only_a + 1) / n, b = ((double)only_b + 1) / n;
  const double half = z * sqrt((a + b - (a - b) * (a - b)) / n);
  return (stats_interval){fmax(-1, a - b - half), fmin(1, a - b + half)};
}

static int compare_values(const void *a, const void *b) {
  const double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

void stats_sort(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare_values);
}

double stats_sorted_median(const double *values, size_t count) {
  return count ? (values[(count - 1) / 2] + values[count / 2]) / 2 : NAN;
}

stats_interval stats_sorted_median_interval(const double *values, size_t count, double alpha) {
  size_t cut = 0; /* values to leave out at each end */
  double tail = 0;
  while (cut < count / 2 && 2 * (tail += binomial(cut, count, 0.5)) <= alpha) cut++;
  if (cut == 0) return (stats_interval){NAN, NAN};
  return (stats_interval){values[cut - 1], values[count - cut]};
}

double stats_sorted_percentile(const double *values, size_t count, uint32_t percent) {
  const size_t rank = (count * percent + 99) / 100;
  return count ? values[rank ? rank - 1 : 0] : NAN;
}
