/* The plan: a flat list of ops that a graph is lowered to. Immutable once built, shared
 * by all sessions of a model.
 *
 * Ops are sorted in the order they run in: op i reads outputs of earlier ops only. The
 * plan fixes the place of every output in the arena for one sample; a session for a batch
 * of n multiplies offsets and sizes by n. */
#ifndef LIBRESNET_RUNTIME_PLAN_PLAN_H
#define LIBRESNET_RUNTIME_PLAN_PLAN_H

#include "loader/graph/graph.h"

/* Rows of the kernel table. */
typedef enum plan_kernel {
#define PLAN_KERNEL(NAME, name) KERNEL_##NAME,
#include "runtime/plan/kernels.def"
  KERNEL_COUNT
} plan_kernel;

/* Tile shapes of Winograd's algorithm: outputs of a tile, then the filter
 * (runtime/kernels/simd/winograd.h). */
typedef enum winograd_form {
  WINOGRAD_F2X2_3X3,
  WINOGRAD_F4X2_3X3,
  WINOGRAD_F4X4_3X3,
  WINOGRAD_F5X5_4X4, /* 7x7 or 8x8 with stride 2, after a parity split of the input */
  WINOGRAD_FORMS
} winograd_form;

struct plan_file_packed; /* runtime/plan_file/read.h */

/* Weights of one op in its kernel's layout, bias included. All zero: not packed yet.
 * Immutable after packing. */
typedef struct plan_packed_weights {
  void *data;
  size_t size; /* bytes */
  /* the entry of the model's plan file that holds them; NULL: they are the plan's own */
  struct plan_file_packed *in_file;
} plan_packed_weights;

typedef struct plan_op {
  plan_kernel kernel;
  uint32_t input[2]; /* ops */
  uint32_t input_count;
  graph_shape in;      /* of input[0], as the kernel sees it */
  graph_shape shape;   /* of the output */
  graph_window window; /* convolutions, MAX_POOL, AVERAGE_POOL, CHANNEL_CONV, PAD */
  uint32_t groups;     /* CONV, GROUPED */
  winograd_form form;  /* WINOGRAD, STEM */
  /* CONV: Winograd's algorithm fits the shape, but not the weights (select_kernels.h) */
  bool winograd_unsafe;
  bool count_padding;        /* AVERAGE_POOL */
  bool sigmoid;              /* SCALE, MULTIPLY */
  graph_pad_mode pad_mode;   /* PAD */
  bool channels_last;        /* FLATTEN */
  graph_norm_mode norm_mode; /* L2_NORMALIZE */
  float scalar;              /* as the graph has it, see ops.def */
  /* ADD of an option-A shortcut, and SUBSAMPLE: the source's pixel (i * stride_h,
   * j * stride_w) is added from channel `channels_before` on. source_shape is the shape
   * of the shortcut's source. */
  bool subsampled;
  uint32_t stride_h, stride_w, channels_before;
  graph_shape source_shape;
  float clamp_min, clamp_max;
  /* As in the graph. Released after packing, unless borrowed or read by the kernel. */
  float *weights, *bias;
  size_t weight_count, bias_count;
  bool weights_borrowed;      /* the model's plan_file owns weights and bias */
  plan_packed_weights packed; /* of kernels that pack */
  size_t arena_offset;        /* of the output, in floats per sample */
  uint64_t parameters, macs;
  double cost;              /* predicted (cost_model.h); 0: not a convolution */
  uint32_t layer;           /* layer number from 1 (plan_op_is_layer); 0: none */
  uint32_t block;           /* or RESNET_NO_INDEX */
  resnet_shortcut shortcut; /* that it adds or computes */
  bool gates;               /* part of a SCALE's gate, computed from the scaled tensor */
  bool blurs;               /* depthwise, the same fixed filter for all channels */
  char *name, *output, *detail;
} plan_op;

/* Settings that change the plan of a graph. */
typedef struct plan_options {
  resnet_conv conv;
  resnet_memory memory;
  uint32_t batch; /* never 0 */
  /* one for each convolution, in the order of nodes (cost_model.h), as in a plan file;
   * NULL: the cost model chooses */
  const uint32_t *algorithms;
} plan_options;

typedef struct plan_block {
  char *name;
  resnet_shortcut shortcut;
  uint32_t source; /* op whose output enters the block */
  uint32_t first_op, last_op, convs;
} plan_block;

typedef struct plan {
  memory *memory; /* allocator of everything below */
  plan_op *ops;
  uint32_t op_count;
  uint32_t output; /* op that computes the scores */
  plan_block *blocks;
  uint32_t block_count;
  uint32_t conv_layers;
  uint64_t parameters, macs;
  size_t arena_floats;      /* per sample */
  size_t arena_lower_bound; /* max over the ops of the floats per sample alive at once */
} plan;

/* Release everything that `p` owns and zero it; an all-zero plan is allowed. */
void plan_release(plan *p);

/* Release the op's unpacked weights after packing, unless they are borrowed. */
void plan_op_release_weights(plan_op *op, memory *m);

/* Return how many bytes of weights and biases the op's kernel reads. */
size_t plan_op_weights_bytes(const plan_op *op);

/* Return true for the layers that papers count: convolutions and fully connected layers
 * that are neither projections, nor part of a gate, nor a blur filter. */
bool plan_op_is_layer(const plan_op *op);

/* Return the floats per sample of a shape. The loader has checked that this does not
 * overflow. */
size_t plan_shape_floats(graph_shape shape);

/* Return "none", "identity", "projection", "option A" or "pool"; else "unknown". */
const char *plan_shortcut_name(resnet_shortcut shortcut);

#endif
