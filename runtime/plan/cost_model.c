#include "runtime/plan/cost_model.h"

#include "runtime/kernels/gemm.h"
#include "runtime/kernels/winograd.h"

/* Measured on an AMD Zen 4 with AVX-512, one thread, ResNet-18 and -50; what matters is
 * their ratio to one multiply-accumulate. */
/* output channels that XNNPACK's and our kernels compute at once */
static const double panel = 32,
                    /* a multiply-accumulate of our own matrix products; XNNPACK's
                     * costs 1 */
    product_cost = 1.02,
                    /* transforming one value of one tile, in or out */
    transform_cost = 8.0,
                    /* adding one value of the shortcut in a pass of its own */
    addition_cost = 7.0, weight_cost = 1.2, /* XNNPACK's reading a byte of weights */
    /* our reading a byte of weights, fetched ahead of its use... */
    fetched_cost = 0.5,
                    /* ...and where memory brings them slower than they are used up: */
    starved_cost = 1.2,
                    /* for layers with more weights than this... */
    starving_bytes = 24.0 * 1024 * 1024,
                    /* ...or this with stride 2, where fewer rows meet each weight */
    starving_strided = 4.0 * 1024 * 1024;

enum { most_sharing = 4 }; /* pictures */

static double rounded(double x, double unit) {
  return unit * (double)(uint64_t)((x + unit - 1) / unit);
}

/* Pictures of a batch that share what is read of the weights: sessions work through
 * larger ones in portions. */
static double sharing(uint32_t batch) { return batch < most_sharing ? batch : most_sharing; }

/* What a picture takes of reading so many bytes. */
static double fetched(double bytes, double starving, uint32_t batch) {
  const double pictures = sharing(batch);
  return bytes / pictures * (bytes > starving * pictures ? starved_cost : fetched_cost);
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
                               product * product_cost + fetched(bytes, starving_bytes, batch),
                               bytes};
  return kernel_gemm_applies(op) && gemm.cost < direct.cost + addition ? gemm : direct;
}

/* Tiles of out_tile, each with so many products for each pair of channels, by so many
 * matrices of weights. */
static plan_candidate transformed(const plan_op *op, winograd_size out_tile, double products,
                                  double matrices, double in, double starving, uint32_t batch) {
  const double h = (double)out_tile.h, w = (double)out_tile.w;
  const double tiles = rounded(op->shape.h, h) * rounded(op->shape.w, w) / (h * w);
  const double out = rounded(op->shape.c, panel / 2), lanes = rounded(in, panel / 2);
  const double bytes = matrices * in * out * sizeof(float);
  const double each = in * out * product_cost + (lanes + out) * transform_cost;
  return (plan_candidate){.cost = tiles * products * each + fetched(bytes, starving, batch),
                          .bytes = bytes};
}

plan_candidate plan_cost_winograd(const plan_op *op, winograd_form form, uint32_t batch) {
  /* the sizes are the same for all instruction sets */
  const simd_winograd_form *f = winograd_find_form(simd_fastest(), form);
  const bool stem = form == WINOGRAD_F5X5_4X4;
  const double points = (double)(f->in.h * f->in.w), in = (stem ? 4.0 : 1.0) * op->in.c;
  plan_candidate way = transformed(op, f->out, points, points, in, starving_bytes, batch);
  way.kernel = stem ? KERNEL_STEM : KERNEL_WINOGRAD;
  way.form = form;
  return way;
}

plan_candidate plan_cost_winograd_stride2(const plan_op *op, uint32_t batch) {
  const double products = (STRIDE2_POINTS + STRIDE2_OUT) * (STRIDE2_POINTS + STRIDE2_OUT);
  plan_candidate way = transformed(op, (winograd_size){STRIDE2_OUT, STRIDE2_OUT}, products,
                                   STRIDE2_MATRICES, op->in.c, starving_strided, batch);
  way.kernel = KERNEL_WINOGRAD_STRIDE2;
  way.form = WINOGRAD_FORMS;
  return way;
}
