/* Constants of the cost model: what each step of a convolution costs on a CPU class.
 * tests/bench/calibrate.py measures them and prints this table's rows. */
#ifndef LIBRESNET_RUNTIME_PLAN_COST_CONSTANTS_H
#define LIBRESNET_RUNTIME_PLAN_COST_CONSTANTS_H

/* The unit of cost is one multiply-accumulate of XNNPACK's convolution at full speed. */
typedef struct plan_cost_constants {
  const char *simd; /* name of the instruction set of our kernels */
  /* output channels that XNNPACK's and our kernels compute at once */
  double panel;
  double product;   /* a multiply-accumulate of our own gemm */
  double tap;       /* in it, a tap of a pixel and a panel, beside its products */
  double grouped;   /* a multiply-accumulate of our grouped convolution */
  double spread;    /* spreading an input once for one of its group's channels */
  double depthwise; /* an output of our depthwise convolution, beside its products */
  double transform; /* transforming a value of a tile, in or out */
  double split;     /* the same with stride 2, after the parity split */
  double addition;  /* adding a value of a shortcut separately */
  double weight;    /* reading a byte of weights in XNNPACK */
  double fetched;   /* prefetching a byte of weights in our gemm */
  double starved;   /* the same, if memory is the bottleneck */
  /* Memory is the bottleneck where fewer rows than this use each weight, and the weights
   * have more bytes than this. */
  double starving_rows, starving_bytes;
} plan_cost_constants;

/* Return the constants of the instruction set `simd`; those of the portable set for a
 * name without a row. */
const plan_cost_constants *plan_cost_constants_of(const char *simd);

#endif
