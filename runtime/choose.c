#include "runtime/choose.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/cost.h"
#include "runtime/kernels/winograd.h"

/* Transformed weights are up to four times as large. A net with many weights may grow by so much in all, so that what
 * runs in a process of its own on a small machine goes on to do so; a smaller net gets what is fastest. */
static const double large_net = 96e6 /* bytes */, growth = 1.42;

/* A way to compute op `op` with fewer bytes of weights, and what each byte less costs. */
typedef struct saving {
  uint32_t op;
  conv_way from, to;
  double price;
} saving;

static void take(plan_op *op, conv_way way) {
  op->kernel = way.kernel;
  op->tile = way.tile;
  op->cost = way.cost;
}

static void add_saving(saving *savings, uint32_t *count, uint32_t op, conv_way from, conv_way to) {
  if (to.bytes >= from.bytes) return;
  savings[(*count)++] = (saving){op, from, to, (to.cost - from.cost) / (from.bytes - to.bytes)};
}

/* The cheapest way for one op; its savings, at most two, are appended. Returns the bytes of its weights. */
static double choose(plan_op *ops, uint32_t index, bool adds, bool forced, saving *savings, uint32_t *count) {
  plan_op *op = &ops[index];
  const conv_way plain = cost_plain(op, adds);
  conv_way best = plain;
  if (winograd_stem_applies(op)) {
    const conv_way stem = cost_stem(op);
    if (forced || stem.cost < best.cost) best = stem;
  }
  if (winograd_applies(op)) {
    const conv_way large = cost_winograd(op, 4), small = cost_winograd(op, 2);
    const conv_way faster = small.cost < large.cost ? small : large;
    if (forced || faster.cost < best.cost) best = faster;
    if (best.tile == 4 && small.cost < plain.cost) {
      add_saving(savings, count, index, best, small);
      add_saving(savings, count, index, small, plain);
    } else if (best.tile != 0) {
      add_saving(savings, count, index, best, plain);
    }
  }
  take(op, best);
  return best.bytes;
}

static int by_price(const void *a, const void *b) {
  const saving *x = a, *y = b;
  if (x->price != y->price) return x->price < y->price ? -1 : 1;
  return x->op < y->op ? -1 : x->op > y->op;
}

/* The cheapest savings first, until the weights take no more than `limit` bytes. */
static void save_bytes(plan_op *ops, saving *savings, uint32_t count, double bytes, double limit) {
  qsort(savings, count, sizeof *savings, by_price);
  for (uint32_t i = 0; i < count && bytes > limit; i++) {
    const saving *s = &savings[i];
    if (ops[s->op].kernel != s->from.kernel || ops[s->op].tile != s->from.tile) continue;
    take(&ops[s->op], s->to);
    bytes -= s->from.bytes - s->to.bytes;
  }
}

resnet_status choose_kernels(plan_op *ops, const bool *adds, uint32_t count, resnet_conv wanted, resnet_memory mode,
                             memory *m, resnet_error *error) {
  saving *savings = memory_allocate(m, count, 2 * sizeof *savings);
  if (!savings) return fail_memory(error, "the plan");
  const bool direct = wanted == RESNET_CONV_DIRECT || mode == RESNET_MEMORY_SMALL;
  double bytes = 0.0, plain_bytes = 0.0;
  uint32_t saving_count = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (ops[i].kernel != KERNEL_CONV) continue;
    const conv_way plain = cost_plain(&ops[i], adds[i]);
    plain_bytes += plain.bytes;
    if (!direct && !ops[i].uneven) {
      bytes += choose(ops, i, adds[i], wanted == RESNET_CONV_WINOGRAD, savings, &saving_count);
    } else {
      take(&ops[i], plain);
      bytes += plain.bytes;
    }
  }
  if (wanted == RESNET_CONV_AUTO && plain_bytes > large_net)
    save_bytes(ops, savings, saving_count, bytes, growth * plain_bytes);
  memory_release(m, savings);
  return RESNET_OK;
}

bool weights_uneven(const float *weights, size_t filters, size_t taps, size_t channels) {
  /* A factor of 2^10 between taps costs 10 of a float's 24 bits; 2^60 leaves room for activations and their sums. */
  static const double most_unlike = 1024.0, largest = 0x1p60, smallest = 0x1p-60;
  for (size_t f = 0; f < filters; f++) {
    double least = INFINITY, most = 0.0;
    for (size_t t = 0; t < taps; t++, weights += channels) {
      double sum = 0.0;
      for (size_t k = 0; k < channels; k++) sum += fabs((double)weights[k]);
      if (sum == 0.0) continue; /* a tap that is not there disturbs nobody */
      least = fmin(least, sum);
      most = fmax(most, sum);
    }
    if (most > 0.0 && (most > least * most_unlike || most > largest || least < smallest)) return true;
  }
  return false;
}
