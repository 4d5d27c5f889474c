/* The flat op plan: what a graph is lowered to. Immutable once built, shared by all
 * sessions of a model.
 *
 * Ops stand in the order they run in. Op i reads the outputs of earlier ops and writes
 * its own; where an output lies in the arena is fixed here, per picture: a session for a
 * batch of n multiplies offsets and sizes by n.
 */
#ifndef LIBRESNET_RUNTIME_PLAN_PLAN_H
#define LIBRESNET_RUNTIME_PLAN_PLAN_H

#include "loader/graph/graph.h"
#include "runtime/kernels/simd/winograd.h"
#include "runtime/kernels/xnnpack_weights.h"

/* Rows of the kernel table, in its order (runtime/kernels/table.c). */
typedef enum plan_kernel {
  KERNEL_INPUT,
  KERNEL_CONV,
  /* a conv, with its shortcut's addition where input_count is 2 */
  KERNEL_WINOGRAD,
  KERNEL_STEM,             /* a conv */
  KERNEL_WINOGRAD_STRIDED, /* a conv */
  /* a conv, with its shortcut's addition where input_count is 2 */
  KERNEL_GEMM,
  KERNEL_ADD,
  KERNEL_SUBSAMPLE,
  KERNEL_AFFINE,
  KERNEL_CLAMP,
  KERNEL_MAX_POOL,
  KERNEL_AVERAGE_POOL,
  KERNEL_GLOBAL_AVERAGE_POOL,
  KERNEL_SOFTMAX,
  KERNEL_LOG_SOFTMAX,
  KERNEL_SIGMOID,
  KERNEL_SCALE,
  KERNEL_MULTIPLY, /* a SCALE whose gate is a picture */
  KERNEL_CHANNEL_CONV,
  KERNEL_PAD,
  KERNEL_COUNT
} plan_kernel;

typedef struct plan_op {
  plan_kernel kernel;
  uint32_t input[2];
  uint32_t input_count;
  graph_shape in;    /* of input[0], as the kernel sees it */
  graph_shape shape; /* of the output */
  /* CONV, WINOGRAD, MAX_POOL, AVERAGE_POOL, CHANNEL_CONV, PAD */
  graph_window window;
  uint32_t groups;    /* CONV */
  winograd_form form; /* WINOGRAD, STEM */
  /* CONV: Winograd's algorithm would have been tried, but the weights forbid it
   * (choose.h) */
  bool uneven;
  bool count_padding;      /* AVERAGE_POOL */
  bool sigmoid;            /* SCALE, MULTIPLY */
  graph_pad_mode pad_mode; /* PAD */
  float pad_value;
  /* ADD of an option-A shortcut, and SUBSAMPLE: the source's pixel (i * stride_h, j *
   * stride_w) is added from channel `channels_before` on; source_shape is that of the
   * shortcut's source. */
  bool subsampled;
  uint32_t stride_h, stride_w, channels_before;
  graph_shape source_shape;
  float clamp_min, clamp_max;
  /* as the graph has them; gone after packing unless borrowed or read by the kernel */
  float *weights, *bias;
  size_t weight_count, bias_count;
  /* weights and bias belong to the model's plan_file: they are not the plan's to
   * release */
  bool weights_borrowed;
  weights_slot packed; /* of kernels that pack, with the bias inside */
  size_t arena_offset; /* of the output, in floats per picture */
  uint64_t parameters, macs;
  double cost; /* predicted, runtime/plan/cost_model.h; 0: not weighed */
  /* place among the plan's layers (op_is_layer), from 1; 0: it is none */
  uint32_t layer;
  uint32_t block;           /* or RESNET_NO_INDEX */
  resnet_shortcut shortcut; /* that it adds or computes */
  /* it computes the gate of a SCALE from what that scales */
  bool gates;
  /* a depthwise CONV with one fixed filter for all channels: it was not trained */
  bool blurs;
  char *name, *output, *detail;
} plan_op;

/* What the numbers are that the net's last op computes (classify.c). */
resnet_scores scores_kind(const plan_op *last);

/* What a plan depends on besides its graph. */
typedef struct plan_options {
  resnet_conv conv;
  resnet_memory memory;
  uint32_t batch; /* never 0 */
} plan_options;

typedef struct plan_block {
  char *name;
  resnet_shortcut shortcut;
  uint32_t source; /* op whose output enters it */
  uint32_t first_op, last_op, convs;
} plan_block;

typedef struct plan {
  memory *memory; /* all below was allocated from it */
  plan_op *ops;
  uint32_t op_count;
  uint32_t output; /* op whose output are the scores */
  plan_block *blocks;
  uint32_t block_count;
  uint32_t conv_layers;
  uint64_t parameters, macs;
  size_t arena_floats;      /* per picture */
  size_t arena_lower_bound; /* floats per picture alive at once, at most */
} plan;

/* Lower `g`. Takes over its weights and names (g is left without them, still to be
 * released by the caller). On failure *out is all zero. */
resnet_status plan_build(plan *out, memory *m, graph *g, const plan_options *options,
                         resnet_error *error);

/* Fix every op's arena_offset: buffers are reused by lifetime, kernels that work in place
 * share their input's buffer.
 */
resnet_status plan_memory(plan *p, resnet_error *error);

void plan_release(plan *p);

/* For kernels that have packed the op's weights: release what is not kept. */
void op_release_weights(plan_op *op, memory *m);

/* Bytes that the op's kernel reads of weights and biases. */
size_t op_weights_bytes(const plan_op *op);

/* True for the layers that the papers count: convolutions and fully connected layers that
 * are neither projections nor part of a gate nor a filter against aliasing. */
bool op_is_layer(const plan_op *op);

/* Floats per picture of a shape; shapes were checked by the loader, so that this does not
 * overflow. */
size_t shape_floats(graph_shape shape);

#endif
