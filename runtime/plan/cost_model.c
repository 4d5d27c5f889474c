#include "runtime/plan/cost_model.h"

#include <math.h>

#include "runtime/kernels/conv_grouped.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/table.h"
#include "runtime/kernels/winograd.h"
#include "runtime/kernels/winograd_stride2.h"

enum { MAX_SHARING = 4 }; /* samples */

/* A convolution, in the terms of its cost. */
typedef struct layer {
  const plan_op *op;
  const plan_cost_constants *k;
  double taps, pixels; /* in a filter; in the output */
  double in, out;      /* channels of a group */
  double groups;
  double bytes; /* taken by the weights, not transformed */
  /* samples that share one read of the weights: sessions split larger batches */
  double sharing;
} layer;

/* Predict the cost and the bytes of an algorithm. The caller has set kernel and form. */
typedef void predictor(const layer *l, plan_candidate *c);

static double rounded(double x, double unit) {
  return unit * (double)(uint64_t)((x + unit - 1) / unit);
}

/* Return the cost per sample of fetching weights, each of which `rows` rows of a sample
 * use. With few rows the products take less time than the fetching. */
static double fetch_cost(const layer *l, double bytes, double rows) {
  const bool starves = rows * l->sharing < l->k->starving_rows && bytes > l->k->starving_bytes;
  return bytes / l->sharing * (starves ? l->k->starved : l->k->fetched);
}

/* Return the multiply-accumulates of the direct sum, in whole panels. */
static double direct_products(const layer *l) {
  return l->pixels * l->taps * l->in * l->groups * rounded(l->out, l->k->panel);
}

static bool is_depthwise(const layer *l) { return l->in <= 1.0 && l->out <= 1.0; }

/* Return the cost of XNNPACK's depthwise kernels for 9 and 25 taps. With more taps, it
 * computes each channel as a matrix product of one column. */
static double depthwise_products(const layer *l) {
  const double each = l->taps <= 9 ? 3.0 : l->taps <= 25 ? 5.0 : 58.0;
  return l->pixels * l->groups * l->taps * each;
}

static void predict_xnnpack(const layer *l, plan_candidate *c) {
  c->bytes = l->bytes;
  c->cost = (is_depthwise(l) ? depthwise_products(l) : direct_products(l)) +
            l->bytes * l->k->weight / l->sharing;
}

/* Each input is spread once for all products: a vector for each channel of a narrow
 * group. A depthwise output has so few products that its other work counts. */
static void predict_grouped(const layer *l, plan_candidate *c) {
  const double inputs = (double)l->op->in.h * l->op->in.w * l->op->in.c;
  const double outputs = l->pixels * l->groups * l->out;
  c->bytes = l->bytes;
  c->cost = is_depthwise(l) ? outputs * (l->k->depthwise + 2.0 * l->taps)
                            : outputs * l->taps * l->in * l->k->grouped +
                                  inputs * fmin(l->in, 8) * l->k->spread;
}

static void predict_gemm(const layer *l, plan_candidate *c) {
  c->bytes = l->bytes;
  /* a group of no more than a vector is packed as one */
  const double vector = l->k->panel / 2,
               out = l->out <= vector ? vector : rounded(l->out, l->k->panel);
  const double rows = l->pixels * l->taps * l->groups,
               gathered = l->taps > 1 ? rows * rounded(out, l->k->panel) / l->k->panel : 0.0;
  c->cost = rows * l->in * out * l->k->product + gathered * l->k->tap +
            fetch_cost(l, l->bytes, l->pixels);
}

/* Predict Winograd's algorithm with tiles of out_tile outputs: `products` for each tile
 * and pair of channels, with `matrices` of transformed weights. */
static void predict_tiles(const layer *l, plan_candidate *c, winograd_size out_tile,
                          double products, double matrices, double in, double transform) {
  const double h = (double)out_tile.h, w = (double)out_tile.w;
  const double tiles = rounded(l->op->shape.h, h) * rounded(l->op->shape.w, w) / (h * w);
  const double vector = l->k->panel / 2, out = rounded(l->out, vector), lanes = rounded(in, vector);
  const double each = in * out * l->k->product + (lanes + out) * transform;
  c->bytes = matrices * in * out * sizeof(float);
  c->cost = tiles * products * each + fetch_cost(l, c->bytes, tiles);
}

static void predict_winograd(const layer *l, plan_candidate *c) {
  /* the sizes are the same for all instruction sets */
  const simd_winograd_form *f = winograd_find_form(simd_fastest(), c->form);
  const double points = (double)(f->in.h * f->in.w),
               in = (c->kernel == KERNEL_STEM ? 4.0 : 1.0) * l->in;
  predict_tiles(l, c, f->out, points, points, in, l->k->transform);
}

static void predict_winograd_stride2(const layer *l, plan_candidate *c) {
  const double products = (STRIDE2_POINTS + STRIDE2_OUT) * (STRIDE2_POINTS + STRIDE2_OUT);
  predict_tiles(l, c, (winograd_size){STRIDE2_OUT, STRIDE2_OUT}, products, STRIDE2_MATRICES, l->in,
                l->k->split);
}

/* A way to compute some convolutions: a kernel and, where it has several, its form. */
typedef struct algorithm {
  plan_kernel kernel;
  winograd_form form;
  bool (*applies)(const plan_op *conv); /* NULL: always */
  predictor *predict;
} algorithm;

/* Algorithms that keep weights of the file's size. XNNPACK computes any convolution. */
static const algorithm plain[] = {
    {KERNEL_CONV, WINOGRAD_FORMS, NULL, predict_xnnpack},
    {KERNEL_GEMM, WINOGRAD_FORMS, kernel_gemm_applies, predict_gemm},
    {KERNEL_GROUPED, WINOGRAD_FORMS, kernel_grouped_applies, predict_grouped},
};

/* Algorithms that keep transformed weights, those with more bytes first. */
static const algorithm transformed[] = {
    {KERNEL_STEM, WINOGRAD_F5X5_4X4, winograd_stem_applies, predict_winograd},
    {KERNEL_WINOGRAD, WINOGRAD_F4X4_3X3, winograd_applies, predict_winograd},
    {KERNEL_WINOGRAD, WINOGRAD_F4X2_3X3, winograd_applies, predict_winograd},
    {KERNEL_WINOGRAD, WINOGRAD_F2X2_3X3, winograd_applies, predict_winograd},
    {KERNEL_WINOGRAD_STRIDE2, WINOGRAD_FORMS, winograd_stride2_applies, predict_winograd_stride2},
};

enum {
  PLAIN = sizeof plain / sizeof *plain,
  TRANSFORMED = sizeof transformed / sizeof *transformed
};
_Static_assert(TRANSFORMED + 1 <= PLAN_MAX_CANDIDATES, "all transformed ones and a plain one");
_Static_assert(PLAIN + TRANSFORMED <= PLAN_NO_ALGORITHM, "PLAN_NO_ALGORITHM is no row's number");

static const algorithm *row(uint32_t number) {
  return number < PLAIN ? &plain[number] : &transformed[number - PLAIN];
}

uint32_t plan_algorithm_count(void) { return PLAIN + TRANSFORMED; }

uint32_t plan_algorithm_of(const plan_op *op) {
  for (uint32_t i = 0; i < PLAIN + TRANSFORMED; i++)
    if (row(i)->kernel == op->kernel &&
        (row(i)->form == WINOGRAD_FORMS || row(i)->form == op->form))
      return i;
  return PLAN_NO_ALGORITHM;
}

const char *plan_algorithm_name(uint32_t number) {
  static const char *const winograd[WINOGRAD_FORMS] = {[WINOGRAD_F2X2_3X3] = "winograd 2x2",
                                                       [WINOGRAD_F4X2_3X3] = "winograd 4x2",
                                                       [WINOGRAD_F4X4_3X3] = "winograd 4x4"};
  const algorithm *a = row(number);
  return a->kernel == KERNEL_WINOGRAD ? winograd[a->form] : kernel_table[a->kernel]->name;
}

bool plan_algorithm_applies(uint32_t number, const plan_op *conv) {
  const algorithm *a = row(number);
  return !a->applies || a->applies(conv);
}

bool plan_may_transform(const plan_options *options) {
  return options->memory == RESNET_MEMORY_NORMAL &&
         (options->conv == RESNET_CONV_AUTO || options->conv == RESNET_CONV_WINOGRAD);
}

bool plan_algorithm_permitted(uint32_t number, const plan_op *conv, const plan_options *options) {
  if (number >= PLAIN) return plan_may_transform(options) && !conv->winograd_unsafe;
  return options->conv != RESNET_CONV_XNNPACK || row(number)->kernel == KERNEL_CONV;
}

/* Return the constants of this CPU's class. */
static const plan_cost_constants *constants_here(void) {
  return plan_cost_constants_of(simd_fastest()->name);
}

static layer describe_layer(const plan_cost_constants *k, const plan_op *op, uint32_t batch) {
  const double taps = (double)op->window.kernel_h * op->window.kernel_w,
               in = (double)op->in.c / op->groups;
  return (layer){
      .op = op,
      .k = k,
      .taps = taps,
      .pixels = (double)op->shape.h * op->shape.w,
      .in = in,
      .out = (double)op->shape.c / op->groups,
      .groups = op->groups,
      .bytes = taps * in * op->shape.c * sizeof(float),
      .sharing = fmin(batch, MAX_SHARING),
  };
}

static plan_candidate predict(const algorithm *a, const layer *l, bool adds) {
  plan_candidate c = {.kernel = a->kernel, .form = a->form};
  a->predict(l, &c);
  if (adds && !kernel_table[a->kernel]->adds_shortcut)
    c.addition = l->k->addition * l->pixels * l->groups * l->out;
  return c;
}

plan_candidate plan_predict_with(const plan_cost_constants *constants, uint32_t number,
                                 const plan_op *conv, bool adds, uint32_t batch) {
  const layer l = describe_layer(constants, conv, batch);
  return predict(row(number), &l, adds);
}

plan_candidate plan_predict(uint32_t number, const plan_op *conv, bool adds, uint32_t batch) {
  return plan_predict_with(constants_here(), number, conv, adds, batch);
}

uint32_t plan_list_candidates(const plan_op *conv, bool adds, const plan_options *options,
                              plan_candidate candidates[PLAN_MAX_CANDIDATES]) {
  const layer l = describe_layer(constants_here(), conv, options->batch);
  uint32_t count = 0;
  for (uint32_t i = PLAIN; i < PLAIN + TRANSFORMED; i++)
    if (plan_algorithm_applies(i, conv) && plan_algorithm_permitted(i, conv, options))
      candidates[count++] = predict(row(i), &l, adds);
  plan_candidate *best = &candidates[count];
  *best = predict(&plain[0], &l, adds);
  for (uint32_t i = 1; i < PLAIN; i++) {
    if (!plan_algorithm_applies(i, conv) || !plan_algorithm_permitted(i, conv, options)) continue;
    const plan_candidate c = predict(&plain[i], &l, adds);
    if (plan_candidate_cost(&c) < plan_candidate_cost(best)) *best = c;
  }
  return count + 1;
}
