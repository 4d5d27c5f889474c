/* Cost model of convolutions. Costs depend on shapes, on the batch that the model was
 * opened for, and on the class of the CPU's instruction set; not on timing, threads or
 * load, so that scores depend on nothing else. */
#ifndef LIBRESNET_RUNTIME_PLAN_COST_MODEL_H
#define LIBRESNET_RUNTIME_PLAN_COST_MODEL_H

#include "runtime/plan/plan.h"

/* An algorithm that could compute a convolution, and what it would cost. */
typedef struct plan_candidate {
  plan_kernel kernel;
  winograd_form form; /* WINOGRAD_FORMS: of a kernel without forms */
  double cost;        /* per sample; the unit is in cost_constants.h */
  double addition;    /* of adding the shortcut separately, where the kernel cannot */
  double bytes;       /* of weights */
} plan_candidate;

/* Enough for the candidates of any op. */
enum { PLAN_MAX_CANDIDATES = 8 };

/* List the candidates for `conv`, a KERNEL_CONV, in descending order of their bytes. The
 * last one is the cheapest without transformed weights; the others transform theirs. With
 * `adds` the only reader of the result is the addition of a shortcut. Return how many. */
uint32_t plan_list_candidates(const plan_op *conv, bool adds, uint32_t batch,
                              plan_candidate candidates[PLAN_MAX_CANDIDATES]);

#endif
