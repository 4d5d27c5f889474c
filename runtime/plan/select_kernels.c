#include "runtime/plan/select_kernels.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/kernels/winograd.h"
#include "runtime/plan/cost_model.h"

/* Transformed weights are up to four times as large. A net with many weights may grow by
 * so much in all, so that what runs in a process of its own on a small machine goes on to
 * do so; a smaller net gets what is fastest. */
static const double large_net = 96e6 /* bytes */, growth = 1.42;

/* More weights must be worth it by so much: they push others out of the caches, and the
 * faster a CPU multiplies the more it waits for them. */
static const double premium = 1.12;

/* A way to compute op `op` with fewer bytes of weights, and what each byte less costs. */
typedef struct saving {
  uint32_t op;
  plan_candidate from, to;
  double price;
} saving;

static void take(plan_op *op, plan_candidate way) {
  op->kernel = way.kernel;
  op->form = way.form;
  op->cost = way.cost;
}

/* Ways to compute `op` in descending order of their weights; the last is without
 * transformed ones. */
static uint32_t list_ways(const plan_op *op, bool adds, const plan_options *options,
                          plan_candidate ways[WINOGRAD_FORMS + 1]) {
  uint32_t count = 0;
  if (winograd_stem_applies(op))
    ways[count++] = plan_cost_winograd(op, WINOGRAD_F5X5_4X4, options->batch);
  if (winograd_applies(op)) {
    ways[count++] = plan_cost_winograd(op, WINOGRAD_F4X4_3X3, options->batch);
    ways[count++] = plan_cost_winograd(op, WINOGRAD_F4X2_3X3, options->batch);
    ways[count++] = plan_cost_winograd(op, WINOGRAD_F2X2_3X3, options->batch);
  }
  if (winograd_strided_applies(op)) ways[count++] = plan_cost_winograd_stride2(op, options->batch);
  ways[count++] = plan_cost_plain(op, adds, options->batch);
  return count;
}

/* The cheapest way for one op; the steps from there to fewer bytes are appended to the
 * savings. Returns the bytes of its weights. */
static double choose(plan_op *ops, uint32_t index, bool adds, const plan_options *options,
                     saving *savings, uint32_t *count) {
  plan_candidate ways[WINOGRAD_FORMS + 1];
  const uint32_t way_count = list_ways(&ops[index], adds, options, ways),
                 candidates = options->conv == RESNET_CONV_WINOGRAD ? way_count - 1 : way_count;
  uint32_t best = 0;
  for (uint32_t i = 1; i < candidates; i++)
    if (ways[i].cost < ways[best].cost) best = i;
  const double cheap = ways[best].cost * premium;
  for (uint32_t i = best + 1; i < candidates; i++)
    if (ways[i].cost <= cheap) best = i;
  for (uint32_t i = best + 1, from = best; i < way_count; i++) {
    const bool plain = i == way_count - 1;
    if (!plain && ways[i].cost >= ways[way_count - 1].cost) continue;
    const double price = (ways[i].cost - ways[from].cost) / (ways[from].bytes - ways[i].bytes);
    savings[(*count)++] = (saving){index, ways[from], ways[i], price};
    from = i;
  }
  take(&ops[index], ways[best]);
  return ways[best].bytes;
}

static int by_price(const void *a, const void *b) {
  const saving *x = a, *y = b;
  if (x->price != y->price) return x->price < y->price ? -1 : 1;
  return x->op < y->op ? -1 : x->op > y->op;
}

/* The cheapest savings first, until the weights take no more than `limit` bytes. A step
 * counts once its op has got to where the step begins. */
static void save_bytes(plan_op *ops, saving *savings, uint32_t count, double bytes, double limit) {
  qsort(savings, count, sizeof *savings, by_price);
  for (uint32_t pass = 0; pass < WINOGRAD_FORMS; pass++)
    for (uint32_t i = 0; i < count && bytes > limit; i++) {
      const saving *s = &savings[i];
      if (ops[s->op].kernel != s->from.kernel || ops[s->op].form != s->from.form) continue;
      take(&ops[s->op], s->to);
      bytes -= s->from.bytes - s->to.bytes;
    }
}

resnet_status plan_select_kernels(plan_op *ops, const bool *adds, uint32_t count,
                                  const plan_options *options, memory *m, resnet_error *error) {
  saving *savings = mem_allocate(m, count, WINOGRAD_FORMS * sizeof *savings);
  if (!savings) return err_no_memory(error, "the plan");
  const bool direct = options->conv == RESNET_CONV_DIRECT || options->memory == RESNET_MEMORY_SMALL;
  double bytes = 0.0, plain_bytes = 0.0;
  uint32_t saving_count = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (ops[i].kernel != KERNEL_CONV) continue;
    const plan_candidate plain = plan_cost_plain(&ops[i], adds[i], options->batch);
    ops[i].winograd_unsafe = ops[i].winograd_unsafe && !direct &&
                             (winograd_applies(&ops[i]) || winograd_stem_applies(&ops[i]));
    plain_bytes += plain.bytes;
    if (!direct && !ops[i].winograd_unsafe) {
      bytes += choose(ops, i, adds[i], options, savings, &saving_count);
    } else {
      take(&ops[i], plain);
      bytes += plain.bytes;
    }
  }
  if (options->conv == RESNET_CONV_AUTO && plain_bytes > large_net)
    save_bytes(ops, savings, saving_count, bytes, growth * plain_bytes);
  mem_release(m, savings);
  return RESNET_OK;
}

/* Sum of absolute values, in lanes that the compiler may compute at once. */
static double size_of_tap(const float *weights, size_t channels) {
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

static bool filter_is_even(const float *weights, size_t taps, size_t channels) {
  /* A factor of 2^10 between taps costs 10 of a float's 24 bits; 2^60 leaves room for
   * activations and their sums. */
  static const double most_unlike = 1024.0, largest = 0x1p60, smallest = 0x1p-60;
  double least = INFINITY, most = 0.0;
  for (size_t t = 0; t < taps; t++) {
    const double size = size_of_tap(weights + t * channels, channels);
    if (size == 0.0) continue; /* a tap that is not there disturbs nobody */
    least = fmin(least, size);
    most = fmax(most, size);
  }
  return most == 0.0 || (most <= least * most_unlike && most <= largest && least >= smallest);
}

/* Of the sizes that Winograd's algorithm takes, whatever else it wants. */
static bool evenness_matters(const graph_node *n) {
  const uint32_t side = n->window.kernel_h;
  return n->op == GRAPH_CONV && n->groups == 1 && n->window.kernel_w == side &&
         (side == 3 || side == 7);
}

void plan_find_winograd_safety(graph *g) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    graph_node *n = &g->nodes[i];
    if (n->winograd_safety != GRAPH_WINOGRAD_UNKNOWN || !evenness_matters(n)) continue;
    const size_t taps = (size_t)n->window.kernel_h * n->window.kernel_w, filters = n->shape.c;
    const size_t channels = n->weight_count / (taps * filters);
    n->winograd_safety = GRAPH_WINOGRAD_SAFE;
    for (size_t f = 0; f < filters && n->winograd_safety == GRAPH_WINOGRAD_SAFE; f++)
      if (!filter_is_even(n->weights + f * taps * channels, taps, channels))
        n->winograd_safety = GRAPH_WINOGRAD_UNSAFE;
  }
}
