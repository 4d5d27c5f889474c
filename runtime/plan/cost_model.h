/* The algorithms that compute convolutions, and a model of what they cost. Costs depend
 * on shapes, on the batch that the model was opened for, and on the CPU class. They do
 * not depend on timing, threads or load, and so neither do scores. */
#ifndef LIBRESNET_RUNTIME_PLAN_COST_MODEL_H
#define LIBRESNET_RUNTIME_PLAN_COST_MODEL_H

#include "runtime/plan/cost_constants.h"
#include "runtime/plan/plan.h"

/* Algorithms are numbered from 0 on: a kernel and, where it has several, its form.
 * PLAN_NO_ALGORITHM: not an algorithm of this library. */
enum { PLAN_NO_ALGORITHM = 255 };

uint32_t plan_algorithm_count(void);

/* Return the algorithm that computes `op`. */
uint32_t plan_algorithm_of(const plan_op *op);

/* Return the algorithm's name, by which plan files identify it: a name means the same in
 * every version of this library. */
const char *plan_algorithm_name(uint32_t algorithm);

/* Return whether the algorithm can compute `conv`, a KERNEL_CONV. */
bool plan_algorithm_applies(uint32_t algorithm, const plan_op *conv);

/* Return whether the options permit the algorithm for `conv`, and so do its weights. */
bool plan_algorithm_permitted(uint32_t algorithm, const plan_op *conv, const plan_options *options);

/* Return whether the options permit algorithms that keep transformed weights. */
bool plan_may_transform(const plan_options *options);

/* An algorithm that could compute a convolution, and what it would cost. */
typedef struct plan_candidate {
  plan_kernel kernel;
  winograd_form form; /* WINOGRAD_FORMS: the kernel has none */
  double cost;        /* per sample; the unit is in cost_constants.h */
  double addition;    /* for adding the shortcut separately, where the kernel cannot */
  double bytes;       /* taken by the weights */
} plan_candidate;

/* Return the cost of the candidate and of what it leaves to another op. */
static inline double plan_candidate_cost(const plan_candidate *c) { return c->cost + c->addition; }

/* Enough for the candidates of any op. */
enum { PLAN_MAX_CANDIDATES = 8 };

/* Predict an algorithm that applies to `conv`. With `adds` the only reader of the result
 * is the addition of a shortcut. */
plan_candidate plan_predict(uint32_t algorithm, const plan_op *conv, bool adds, uint32_t batch);

/* Predict as plan_predict does, with other constants than those of this CPU class. */
plan_candidate plan_predict_with(const plan_cost_constants *constants, uint32_t algorithm,
                                 const plan_op *conv, bool adds, uint32_t batch);

/* List the candidates for `conv`, a KERNEL_CONV, in descending order of their bytes. The
 * last one is the cheapest without transformed weights; the others transform theirs.
 * Return how many. */
uint32_t plan_list_candidates(const plan_op *conv, bool adds, const plan_options *options,
                              plan_candidate candidates[PLAN_MAX_CANDIDATES]);

#endif
