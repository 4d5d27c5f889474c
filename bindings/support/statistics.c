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
  const uint64_t n = only_a + only_b, fewer = only_a < only_b ? only_a : only_b;
  if (n >= MIN_FOR_CHI2) return erfc(sqrt(stats_mcnemar_chi2(only_a, only_b) / 2));
  double variants = 1, tail = 0; /* ways: binomial coefficient n over i */
  for (uint64_t i = 0; i <= fewer; i++) {
    tail += variants;
    variants *= (double)(n - i) / (double)(i + 1);
  }
  return fmin(1, ldexp(tail, 1 - (int)n));
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

double stats_sorted_percentile(const double *values, size_t count, uint32_t percent) {
  const size_t rank = (count * percent + 99) / 100;
  return count ? values[rank ? rank - 1 : 0] : NAN;
}
