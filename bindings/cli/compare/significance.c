#include "cli/compare/significance.h"

#include <math.h>
#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/memory.h"
#include "support/statistics.h"

/* Up to this number of values, the rank-sum test is exact. */
enum { MAX_EXACT = 40 };

/* ---- layers of equal depth ---- */

static compare_order order_of(uint32_t smaller, uint32_t larger, double p) {
  if (!(p < COMPARE_SIGNIFICANT)) return COMPARE_UNKNOWN;
  return smaller > larger ? COMPARE_SMALLER : COMPARE_LARGER;
}

/* Test layers from `first` up to, not including, `end`, counted from 0. `tests`: number
 * of tests in the family. */
static layer_range test_range(const double *ratios, uint32_t first, uint32_t end, uint32_t tests) {
  layer_range r = {.first = first + 1, .last = end};
  for (uint32_t i = first; i < end; i++) {
    r.smaller += ratios[i] < 1;
    r.larger += ratios[i] > 1;
  }
  r.p = stats_sign_p(r.smaller, r.larger);
  r.order = order_of(r.smaller, r.larger, r.p * tests);
  return r;
}

layer_comparison compare_layers(const model_summary *residual, const model_summary *plain) {
  const uint32_t count = compare_figure_layers(residual);
  double *ratios = cli_allocate(count, sizeof *ratios);
  layer_comparison l;
  for (uint32_t i = 0; i < count; i++)
    ratios[i] = compare_layer_std(residual, i) / compare_layer_std(plain, i);
  l.all = test_range(ratios, 0, count, 1);
  l.halves[0] = test_range(ratios, 0, count / 2, 2);
  l.halves[1] = test_range(ratios, count / 2, count, 2);
  l.median_ratio = compare_median(ratios, count);
  free(ratios);
  return l;
}

bool compare_is_layer_pair(const model_summary *plain, const model_summary *residual) {
  const uint32_t layers = compare_figure_layers(residual);
  return !plain->residual && residual->residual && layers > 0 &&
         compare_figure_layers(plain) == layers;
}

/* ---- groups of unequal size ---- */

typedef struct ranked {
  double value;
  bool in_a;
  uint32_t rank; /* twice the mean rank of equal values */
} ranked;

static int compare_values(const void *a, const void *b) {
  const double left = ((const ranked *)a)->value, right = ((const ranked *)b)->value;
  return (left > right) - (left < right);
}

static size_t add_group(ranked *all, size_t count, const double *values, size_t own, bool in_a) {
  for (size_t i = 0; i < own; i++)
    if (isfinite(values[i])) all[count++] = (ranked){values[i], in_a, 0};
  return count;
}

/* Set the ranks of sorted values. Return the sum of t^3 - t over groups of t equal
 * values. */
static double set_ranks(ranked *all, size_t count) {
  double ties = 0;
  for (size_t i = 0, end; i < count; i = end) {
    for (end = i + 1; end < count && !(all[end].value > all[i].value); end++) continue;
    for (size_t k = i; k < end; k++) all[k].rank = (uint32_t)(i + end + 1);
    const double equal = (double)(end - i);
    ties += equal * equal * equal - equal;
  }
  return ties;
}

/* Return the share of all choices of `chosen` ranks whose sum is at least as far from the
 * mean as `sum`. */
static double exact_p(const ranked *all, size_t count, size_t chosen, uint32_t sum) {
  enum { MAX_SUM = MAX_EXACT * (MAX_EXACT + 1) };
  double(*ways)[MAX_SUM + 1] = cli_allocate(chosen + 1, sizeof *ways);
  ways[0][0] = 1;
  for (size_t i = 0; i < count; i++)
    for (size_t k = i + 1 < chosen ? i + 1 : chosen; k > 0; k--)
      for (uint32_t s = all[i].rank; s <= MAX_SUM; s++) ways[k][s] += ways[k - 1][s - all[i].rank];
  const double mean = (double)chosen * (double)(count + 1), distance = fabs((double)sum - mean);
  double extreme = 0, every = 0;
  for (uint32_t s = 0; s <= MAX_SUM; s++) {
    every += ways[chosen][s];
    if (fabs(s - mean) >= distance) extreme += ways[chosen][s];
  }
  free(ways);
  return extreme / every;
}

static double normal_p(double a, double b, double ties, uint32_t sum) {
  const double n = a + b, variance = a * b / 12 * (n + 1 - ties / (n * (n - 1)));
  if (!(variance > 0)) return 1;
  /* The ranks are doubled. */
  const double distance = fabs(sum / 2.0 - a * (n + 1) / 2) - 0.5;
  return erfc(fmax(0, distance) / sqrt(2 * variance));
}

double compare_rank_sum_p(const double *a, size_t a_count, const double *b, size_t b_count) {
  ranked *all = cli_allocate(a_count + b_count, sizeof *all);
  const size_t in_a = add_group(all, 0, a, a_count, true);
  const size_t count = add_group(all, in_a, b, b_count, false);
  double p = NAN;
  if (in_a > 0 && count > in_a) {
    qsort(all, count, sizeof *all, compare_values);
    const double ties = set_ranks(all, count);
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += all[i].in_a ? all[i].rank : 0;
    p = count <= MAX_EXACT ? exact_p(all, count, in_a, sum)
                           : normal_p((double)in_a, (double)(count - in_a), ties, sum);
  }
  free(all);
  return p;
}

typedef double *(*list_function)(const model_summary *n, size_t *count);

static group_comparison compare_groups(const model_summary *a, const model_summary *b,
                                       list_function list) {
  size_t a_count, b_count;
  double *left = list(a, &a_count), *right = list(b, &b_count);
  group_comparison g = {.p = compare_rank_sum_p(left, a_count, right, b_count)};
  g.a_median = compare_median(left, a_count);
  g.b_median = compare_median(right, b_count);
  /* With unlike shapes, ranks and medians may disagree: then nothing is shown. */
  if (g.p < COMPARE_SIGNIFICANT)
    g.order = g.a_median < g.b_median   ? COMPARE_SMALLER
              : g.a_median > g.b_median ? COMPARE_LARGER
                                        : COMPARE_UNKNOWN;
  free(left);
  free(right);
  return g;
}

group_comparison compare_layer_groups(const model_summary *a, const model_summary *b) {
  return compare_groups(a, b, compare_list_layer_stds);
}

group_comparison compare_ratio_groups(const model_summary *a, const model_summary *b) {
  return compare_groups(a, b, compare_list_ratios);
}

/* ---- accuracy ---- */

double compare_chance(const model_summary *n) {
  const size_t classes = n->loaded.info.classes;
  uint64_t largest = 0;
  for (size_t truth = 0; n->confusion && truth < classes; truth++) {
    uint64_t images = 0;
    for (size_t answer = 0; answer < classes; answer++)
      images += n->confusion[truth * classes + answer];
    if (images > largest) largest = images;
  }
  return stats_share(largest, n->images);
}

double compare_chance_p(const model_summary *n) {
  return n->images ? stats_binomial_tail(n->top1, n->images, compare_chance(n)) : NAN;
}

bool compare_is_trained(const model_summary *n) {
  return compare_chance_p(n) < COMPARE_SIGNIFICANT;
}

static int compare_p(const void *a, const void *b) {
  const double left = (*(pair_summary *const *)a)->mcnemar_p;
  const double right = (*(pair_summary *const *)b)->mcnemar_p;
  return (left > right) - (left < right);
}

void compare_adjust_pairs(comparison *c) {
  pair_summary **order = cli_allocate(c->pair_count, sizeof(pair_summary *));
  double *p = cli_allocate(c->pair_count, sizeof *p);
  for (uint32_t i = 0; i < c->pair_count; i++) order[i] = &c->pairs[i];
  qsort(order, c->pair_count, sizeof(pair_summary *), compare_p);
  for (uint32_t i = 0; i < c->pair_count; i++) p[i] = order[i]->mcnemar_p;
  stats_holm(p, c->pair_count);
  for (uint32_t i = 0; i < c->pair_count; i++) order[i]->mcnemar_holm = p[i];
  free(order);
  free(p);
}
