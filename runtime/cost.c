#include "runtime/cost.h"

#include "runtime/kernels/gemm.h"

/* Measured on an AMD Zen 4 with AVX-512, one thread, ResNet-18 and -50; what matters is their ratio to one
 * multiply-accumulate. */
static const double panel = 32,          /* output channels that XNNPACK's and our kernels compute at once */
    product_cost = 1.02,                 /* a multiply-accumulate of our own matrix products; XNNPACK's costs 1 */
    transform_cost = 8.0,                /* transforming one value of one tile, in or out */
    addition_cost = 7.0,                 /* adding one value of the shortcut in a pass of its own */
    weight_cost = 1.2,                   /* XNNPACK's reading a byte of weights */
    fetched_cost = 0.5,                  /* our reading a byte of weights, fetched ahead of its use... */
    starved_cost = 1.2,                  /* ...and where memory brings them slower than they are used up: */
    starving_bytes = 24.0 * 1024 * 1024; /* for layers with more weights than this */

static double rounded(double x, double unit) { return unit * (double)(uint64_t)((x + unit - 1) / unit); }

static double fetched(double bytes) { return bytes * (bytes > starving_bytes ? starved_cost : fetched_cost); }

conv_way cost_plain(const plan_op *op, bool adds) {
  const double taps = (double)op->window.kernel_h * op->window.kernel_w, in = (double)op->in.c / op->groups;
  const double out = op->groups * rounded((double)op->shape.c / op->groups, panel);
  const double pixels = (double)op->shape.h * op->shape.w, product = pixels * taps * in * out;
  const double bytes = taps * in * op->shape.c * sizeof(float), addition = adds ? addition_cost * pixels * out : 0.0;
  const conv_way direct = {KERNEL_CONV, 0, product + bytes * weight_cost, bytes};
  const conv_way gemm = {KERNEL_GEMM, 0, product * product_cost + fetched(bytes), bytes};
  return gemm_applies(op) && gemm.cost < direct.cost + addition ? gemm : direct;
}

/* With taps x taps weights, `in` input channels. */
static conv_way winograd(const plan_op *op, plan_kernel kernel, uint32_t tile, uint32_t taps, double in) {
  const double tiles = rounded(op->shape.h, tile) * rounded(op->shape.w, tile) / (tile * tile);
  const double side = tile + taps - 1, points = side * side;
  const double out = rounded(op->shape.c, panel / 2), lanes = rounded(in, panel / 2);
  const double bytes = points * in * out * sizeof(float);
  const double each = in * out * product_cost + (lanes + out) * transform_cost;
  return (conv_way){kernel, tile, tiles * points * each + fetched(bytes), bytes};
}

conv_way cost_winograd(const plan_op *op, uint32_t tile) {
  return winograd(op, KERNEL_WINOGRAD, tile, 3, (double)op->in.c);
}

conv_way cost_stem(const plan_op *op) { return winograd(op, KERNEL_STEM, 5, 4, 4.0 * op->in.c); }
