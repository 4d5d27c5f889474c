#include "runtime/cost.h"

/* Measured on an AMD Zen 4 and a Zen 5 with AVX-512; what matters is their ratio to one multiply-accumulate. */
static const double panel = 32,       /* output channels that XNNPACK's and our kernels compute at once */
    product_cost = 1.1,               /* a multiply-accumulate of Winograd's small matrices */
    transform_cost = 14.0,            /* transforming one value of one tile, in or out */
    cached_byte_cost = 1.0,           /* reading a byte of weights from L2 or L3 */
    memory_byte_cost = 3.0,           /* reading a byte of weights from memory */
    cache_bytes = 16.0 * 1024 * 1024; /* weights of a layer beyond this come from memory */

static double rounded(double x, double unit) { return unit * (double)(uint64_t)((x + unit - 1) / unit); }

static double weights_cost(double floats) {
  const double bytes = floats * sizeof(float);
  return bytes * (bytes > cache_bytes ? memory_byte_cost : cached_byte_cost);
}

bool winograd_applies(const plan_op *conv) {
  const graph_window *w = &conv->window;
  return conv->groups == 1 && w->kernel_h == 3 && w->kernel_w == 3 && w->stride_h == 1 && w->stride_w == 1 &&
         w->dilation_h == 1 && w->dilation_w == 1;
}

double cost_direct(const plan_op *conv) {
  const double taps = (double)conv->window.kernel_h * conv->window.kernel_w, in = (double)conv->in.c / conv->groups;
  const double out = conv->groups * rounded((double)conv->shape.c / conv->groups, panel);
  return (double)conv->shape.h * conv->shape.w * taps * in * out + weights_cost(taps * in * conv->shape.c);
}

double cost_winograd(const plan_op *conv) {
  const double tiles = rounded(conv->shape.h, 4) * rounded(conv->shape.w, 4) / 16, points = 36;
  const double in = conv->in.c, out = rounded(conv->shape.c, panel / 2), lanes = rounded(in, panel / 2);
  return tiles * points * (in * out * product_cost + (lanes + out) * transform_cost) + weights_cost(points * in * out);
}
