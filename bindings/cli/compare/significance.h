/* Tests of what a comparison seems to show. A claim is made only if its p is below
 * COMPARE_SIGNIFICANT; otherwise no difference is shown. */
#ifndef RESNET_CLI_COMPARE_SIGNIFICANCE_H
#define RESNET_CLI_COMPARE_SIGNIFICANCE_H

#include "cli/compare/comparison.h"

#define COMPARE_SIGNIFICANT 0.05

/* The outcome of a test of two groups of numbers. */
typedef enum compare_order {
  COMPARE_SMALLER = -1, /* those of the first group are shown to be smaller */
  COMPARE_UNKNOWN = 0,  /* no difference is shown */
  COMPARE_LARGER = 1
} compare_order;

/* Layers `first` to `last`, counted from 1, of two models of equal depth: in how many the
 * response of the one is smaller or larger, and the p of the sign test. */
typedef struct layer_range {
  uint32_t first, last, smaller, larger;
  double p;
  compare_order order;
} layer_range;

/* A residual model against a plain one. Both halves count as one family of tests: each p
 * is doubled before it decides. */
typedef struct layer_comparison {
  layer_range all, halves[2];
  double median_ratio; /* NAN: the responses are unknown */
} layer_comparison;

/* Compare two models with the same number of figure layers. */
layer_comparison compare_layers(const model_summary *residual, const model_summary *plain);

/* Return true if a plain and a residual model can be compared layer by layer. */
bool compare_is_layer_pair(const model_summary *plain, const model_summary *residual);

/* Return the two-sided p of the rank-sum test (Mann and Whitney, Annals of Mathematical
 * Statistics 18, 1947), which asks whether the values of `a` tend to be larger than those
 * of `b`. Values that are not finite do not count. Exact for up to 40 values, ties
 * included; a normal approximation with corrections for ties and continuity for more.
 * NAN: a group is empty. */
double compare_rank_sum_p(const double *a, size_t a_count, const double *b, size_t b_count);

/* Two groups of numbers: the layers' deviations or the blocks' ratios of two models. */
typedef struct group_comparison {
  double a_median, b_median, p;
  compare_order order; /* how a compares with b */
} group_comparison;

group_comparison compare_layer_groups(const model_summary *a, const model_summary *b);
group_comparison compare_ratio_groups(const model_summary *a, const model_summary *b);

/* Return the accuracy of the best constant answer: the share of the largest class. NAN:
 * there are no images. */
double compare_chance(const model_summary *n);

/* Return the one-sided p of the binomial test that a model is no better than chance. */
double compare_chance_p(const model_summary *n);

/* Return true if the model is shown to be better than chance. Others are not compared
 * with the paper, which is about trained networks. */
bool compare_is_trained(const model_summary *n);

/* Fill mcnemar_holm of all pairs, which are one family of tests. */
void compare_adjust_pairs(comparison *c);

#endif
