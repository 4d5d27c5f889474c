#include "runtime/plan/cost_model.h"

#include "runtime/kernels/gemm.h"
#include "runtime/kernels/winograd.h"

/* Measured on an AMD Zen 4 with AVX-512, one thread, ResNet-18 and -50. The unit is one
 * multiply-accumulate of XNNPACK's direct convolution. */
static const double product_cost = 1.02;  /* a multiply-accumulate of our own gemm */
static const double transform_cost = 8.0; /* transforming a value of a tile, in or out */
static const double addition_cost = 7.0;  /* adding a value of a shortcut separately */
static const double weight_cost = 1.2;    /* reading a byte of weights in XNNPACK */
static const double fetched_cost = 0.5;   /* prefetching a byte of weights in our gemm */
static const double starved_cost = 1.2;   /* the same, if memory is the bottleneck */
/* Memory is the bottleneck for layers with more bytes of weights than this... */
static const double starving_bytes = 24.0 * 1024 * 1024;
/* ...and, with stride 2, where fewer rows use each weight, with more than this. */
static const double starving_stride2 = 4.0 * 1024 * 1024;
/* Output channels that XNNPACK's and our kernels compute at once. */
static const double panel = 32;

enum { MAX_SHARING = 4 }; /* samples */

static double rounded(double x, double unit) {
  return unit * (double)(uint64_t)((x + unit - 1) / unit);
}

/* Return the samples that share one read of the weights: sessions split larger
 * batches. */
static double sharing(uint32_t batch) { return batch < MAX_SHARING ? batch : MAX_SHARING; }

/* Return the cost per sample of fetching weights. */
static double fetch_cost(double bytes, double starving, uint32_t batch) {
  const double samples = sharing(batch);
  return bytes / samples * (bytes > starving * samples ? starved_cost : fetched_cost);
}

plan_candidate plan_cost_plain(const plan_op *op, bool adds, uint32_t batch) {
  const double taps = (double)op->window.kernel_h * op->window.kernel_w,
               in = (double)op->in.c / op->groups;
  const double out = op->groups * rounded((double)op->shape.c / op->groups, panel);
  const double pixels = (double)op->shape.h * op->shape.w, product = pixels * taps * in * out;
  const double bytes = taps * in * op->shape.c * sizeof(float),
               addition = adds ? addition_cost * pixels * out : 0.0;
  const plan_candidate direct = {KERNEL_CONV, WINOGRAD_FORMS,
                                 product + bytes * weight_cost / sharing(batch), bytes};
  const plan_candidate gemm = {KERNEL_GEMM, WINOGRAD_FORMS,
                               product * product_cost + fetch_cost(bytes, starving_bytes, batch),
                               bytes};
  return kernel_gemm_applies(op) && gemm.cost < direct.cost + addition ? gemm : direct;
}

/* Return the cost of a Winograd algorithm with tiles of out_tile outputs: `products` for
 * each tile and pair of channels, with `matrices` of transformed weights. */
static plan_candidate winograd_candidate(const plan_op *op, winograd_size out_tile, double products,
                                         double matrices, double in, double starving,
                                         uint32_t batch) {
  const double h = (double)out_tile.h, w = (double)out_tile.w;
  const double tiles = rounded(op->shape.h, h) * rounded(op->shape.w, w) / (h * w);
  const double out = rounded(op->shape.c, panel / 2), lanes = rounded(in, panel / 2);
  const double bytes = matrices * in * out * sizeof(float);
  const double each = in * out * product_cost + (lanes + out) * transform_cost;
  return (plan_candidate){.cost = tiles * products * each + fetch_cost(bytes, starving, batch),
                          .bytes = bytes};
}

plan_candidate plan_cost_winograd(const plan_op *op, winograd_form form, uint32_t batch) {
  /* the sizes are the same for all instruction sets */
  const simd_winograd_form *f = winograd_find_form(simd_fastest(), form);
  const bool stem = form == WINOGRAD_F5X5_4X4;
  const double points = (double)(f->in.h * f->in.w), in = (stem ? 4.0 : 1.0) * op->in.c;
  plan_candidate candidate =
      winograd_candidate(op, f->out, points, points, in, starving_bytes, batch);
  candidate.kernel = stem ? KERNEL_STEM : KERNEL_WINOGRAD;
  candidate.form = form;
  return candidate;
}

plan_candidate plan_cost_winograd_stride2(const plan_op *op, uint32_t batch) {
  const double products = (STRIDE2_POINTS + STRIDE2_OUT) * (STRIDE2_POINTS + STRIDE2_OUT);
  plan_candidate candidate =
      winograd_candidate(op, (winograd_size){STRIDE2_OUT, STRIDE2_OUT}, products, STRIDE2_MATRICES,
                         op->in.c, starving_stride2, batch);
  candidate.kernel = KERNEL_WINOGRAD_STRIDE2;
  candidate.form = WINOGRAD_FORMS;
  return candidate;
}
