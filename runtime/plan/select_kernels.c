#include "runtime/plan/select_kernels.h"

#include <inttypes.h>
#include <math.h>

#include "loader/base/sort.h"
#include "runtime/kernels/winograd.h"
#include "runtime/kernels/winograd_stride2.h"
#include "runtime/plan/cost_model.h"

/* Winograd weights are up to 4x larger. Cap the growth of all weights for models above
 * large_model, so that they still fit small machines; smaller models always get the
 * fastest kernels. */
static const double large_model = 96e6 /* bytes */, max_growth = 1.42;

/* More bytes of weights must reduce the cost by this factor: they evict others from the
 * caches, and the faster a CPU multiplies the longer it waits for them. */
static const double margin = 1.12;

enum { MAX_SAVINGS = PLAN_MAX_CANDIDATES - 1 /* for one op */ };

/* A step to a candidate with fewer bytes of weights. */
typedef struct saving {
  uint32_t op;
  plan_candidate from, to;
  double cost_per_byte;
} saving;

static void apply(plan_op *op, plan_candidate candidate) {
  op->kernel = candidate.kernel;
  op->form = candidate.form;
  op->cost = candidate.cost;
}

/* Select the best candidate for one op and append the steps from it to fewer bytes to
 * `savings`. Return the bytes of the op's weights, and add those of weights that are not
 * transformed to *plain_bytes. */
static double select_best(plan_op *ops, uint32_t index, bool adds, const plan_options *options,
                          saving *savings, uint32_t *saving_count, double *plain_bytes) {
  plan_candidate c[PLAN_MAX_CANDIDATES];
  const uint32_t count = plan_list_candidates(&ops[index], adds, options, c);
  const uint32_t eligible = options->conv == RESNET_CONV_WINOGRAD ? count - 1 : count;
  uint32_t best = 0;
  for (uint32_t i = 1; i < eligible; i++)
    if (plan_candidate_cost(&c[i]) < plan_candidate_cost(&c[best])) best = i;
  const double max_cost = plan_candidate_cost(&c[best]) * margin;
  for (uint32_t i = best + 1; i < eligible; i++)
    if (plan_candidate_cost(&c[i]) <= max_cost) best = i;
  for (uint32_t i = best + 1, from = best; i < count; i++) {
    const bool plain = i == count - 1;
    if (!plain && plan_candidate_cost(&c[i]) >= plan_candidate_cost(&c[count - 1])) continue;
    const double more_cost = plan_candidate_cost(&c[i]) - plan_candidate_cost(&c[from]);
    savings[(*saving_count)++] =
        (saving){index, c[from], c[i], more_cost / (c[from].bytes - c[i].bytes)};
    from = i;
  }
  apply(&ops[index], c[best]);
  *plain_bytes += c[count - 1].bytes;
  return c[best].bytes;
}

static int by_cost_per_byte(const void *a, const void *b) {
  const saving *x = a, *y = b;
  if (x->cost_per_byte != y->cost_per_byte) return x->cost_per_byte < y->cost_per_byte ? -1 : 1;
  return x->op < y->op ? -1 : x->op > y->op;
}

/* Apply the cheapest savings until all weights take at most `limit` bytes. A step applies
 * only when its op is at the candidate that the step starts from. */
static void save_bytes(plan_op *ops, saving *savings, uint32_t count, double bytes, double limit) {
  sort_items(savings, count, sizeof *savings, by_cost_per_byte);
  for (uint32_t pass = 0; pass < MAX_SAVINGS; pass++)
    for (uint32_t i = 0; i < count && bytes > limit; i++) {
      const saving *s = &savings[i];
      if (ops[s->op].kernel != s->from.kernel || ops[s->op].form != s->from.form) continue;
      apply(&ops[s->op], s->to);
      bytes -= s->from.bytes - s->to.bytes;
    }
}

/* Select by cost. The last candidate's weights are not transformed. */
static resnet_status select_by_cost(plan_op *ops, const bool *adds, uint32_t count,
                                    const plan_options *options, memory *m, resnet_error *error) {
  saving *savings = mem_allocate(m, count, MAX_SAVINGS * sizeof *savings);
  if (!savings) return err_no_memory(error, "the plan");
  double bytes = 0.0, plain_bytes = 0.0;
  uint32_t saving_count = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (ops[i].kernel != KERNEL_CONV) continue;
    bytes += select_best(ops, i, adds[i], options, savings, &saving_count, &plain_bytes);
  }
  if (options->conv == RESNET_CONV_AUTO && plain_bytes > large_model)
    save_bytes(ops, savings, saving_count, bytes, max_growth * plain_bytes);
  mem_release(m, savings);
  return RESNET_OK;
}

/* Give each convolution the algorithm that the plan file names, which may be forged. */
static resnet_status keep_algorithms(plan_op *ops, const bool *adds, uint32_t count,
                                     const plan_options *options, resnet_error *error) {
  const uint32_t *next = options->algorithms;
  for (uint32_t i = 0; i < count; i++) {
    if (ops[i].kernel != KERNEL_CONV) continue;
    const uint32_t algorithm = *next++;
    if (!plan_algorithm_applies(algorithm, &ops[i]) ||
        !plan_algorithm_permitted(algorithm, &ops[i], options))
      return err_fail(error, RESNET_ERROR_FORMAT,
                      "the plan file is not well-formed (convolution %" PRIu32
                      " cannot be computed by '%s'): compile the plan again from its .onnx file",
                      (uint32_t)(next - options->algorithms), plan_algorithm_name(algorithm));
    apply(&ops[i], plan_predict(algorithm, &ops[i], adds[i], options->batch));
  }
  return RESNET_OK;
}

resnet_status plan_select_kernels(plan_op *ops, const bool *adds, uint32_t count,
                                  const plan_options *options, memory *m, resnet_error *error) {
  for (uint32_t i = 0; i < count; i++)
    ops[i].winograd_unsafe = ops[i].winograd_unsafe && plan_may_transform(options) &&
                             (winograd_applies(&ops[i]) || winograd_stem_applies(&ops[i]));
  return options->algorithms ? keep_algorithms(ops, adds, count, options, error)
                             : select_by_cost(ops, adds, count, options, m, error);
}

/* Return the sum of absolute values, in lanes that the compiler may vectorise. */
static double tap_size(const float *weights, size_t channels) {
  enum { LANES = 16 };
  float sums[LANES] = {0};
  size_t k = 0;
  for (; k + LANES <= channels; k += LANES)
    for (size_t lane = 0; lane < LANES; lane++) sums[lane] += fabsf(weights[k + lane]);
  double sum = 0.0;
  for (; k < channels; k++) sum += fabs((double)weights[k]);
  for (size_t lane = 0; lane < LANES; lane++) sum += (double)sums[lane];
  return sum;
}

static bool is_filter_safe(const float *weights, size_t taps, size_t channels) {
  /* A factor of 2^10 between taps costs 10 of a float's 24 bits; 2^60 leaves room for
   * activations and their sums. */
  static const double max_ratio = 1024.0, max_size = 0x1p60, min_size = 0x1p-60;
  double min = INFINITY, max = 0.0;
  for (size_t t = 0; t < taps; t++) {
    const double size = tap_size(weights + t * channels, channels);
    if (size == 0.0) continue; /* a tap of zeros is exact */
    min = fmin(min, size);
    max = fmax(max, size);
  }
  return max == 0.0 || (max <= min * max_ratio && max <= max_size && min >= min_size);
}

/* Return true for filters that Winograd's algorithm might take, by their size. */
static bool has_winograd_size(const graph_node *n) {
  const uint32_t side = n->window.kernel_h;
  return n->op == GRAPH_CONV && n->groups == 1 && n->window.kernel_w == side &&
         (side == 3 || side == 7);
}

void plan_find_winograd_safety(graph *g) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    graph_node *n = &g->nodes[i];
    if (n->winograd_safety != GRAPH_WINOGRAD_UNKNOWN || !has_winograd_size(n)) continue;
    const size_t taps = (size_t)n->window.kernel_h * n->window.kernel_w, filters = n->shape.c;
    const size_t channels = n->weight_count / (taps * filters);
    n->winograd_safety = GRAPH_WINOGRAD_SAFE;
    for (size_t f = 0; f < filters && n->winograd_safety == GRAPH_WINOGRAD_SAFE; f++)
      if (!is_filter_safe(n->weights + f * taps * channels, taps, channels))
        n->winograd_safety = GRAPH_WINOGRAD_UNSAFE;
  }
}
