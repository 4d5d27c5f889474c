/* The canonical residual graph: the loader's one product and the runtime's one input.
 *
 * Nodes stand in an order in which every input comes before its reader. Every node has
 * one output, an activation of shape (n,h,w,c); the batch n is not part of the graph.
 * What ONNX spells in many ways stands here in one: batch normalisation is folded into
 * the convolution before it, a ReLU into its producer where nothing else reads the value
 * before it, fully connected layers are GRAPH_LINEAR over (h,w,c), option-A shortcuts are
 * GRAPH_SUBSAMPLE.
 */
#ifndef LIBRESNET_LOADER_GRAPH_GRAPH_H
#define LIBRESNET_LOADER_GRAPH_GRAPH_H

#include "loader/base/error.h"
#include "loader/base/memory.h"
#include "resnet.h"

/* What the loader accepts, and what graph_check demands of a graph from a plan file. */
enum {
  GRAPH_MAX_SIDE = 65535,  /* largest height, width, number of channels */
  GRAPH_MAX_WINDOW = 1024, /* largest kernel side and stride */
  GRAPH_MAX_NODES = 20000, /* ONNX nodes; ResNet-152 with all its plumbing has fewer than 2,000 */
  GRAPH_MAX_ACTIVATION = INT32_MAX /* elements of one image's activations, all together */
};

typedef enum graph_op {
  GRAPH_INPUT, /* the net's input, (h,w,c) */
  GRAPH_CONV,  /* convolution + bias, clamped */
  /* y[o] = bias[o] + sum over (h,w,c) of weights[o][h][w][c] * x[h][w][c]; output
   * (1,1,o) */
  GRAPH_LINEAR,
  /* input[0] + input[1], clamped; input[0] is the residual branch, input[1] the
   * shortcut */
  GRAPH_ADD,
  /* option A: y[i][j][before + k] = x[i * stride_h][j * stride_w][k]; other channels 0 */
  GRAPH_SUBSAMPLE,
  /* y[c] = weights[c] * x[c] + bias[c], clamped: batch normalisation that can't be
   * folded */
  GRAPH_AFFINE,
  GRAPH_CLAMP, /* min(max(x, clamp_min), clamp_max) on its own */
  GRAPH_MAX_POOL,
  GRAPH_AVERAGE_POOL,
  GRAPH_GLOBAL_AVERAGE_POOL, /* output (1,1,c) */
  GRAPH_SOFTMAX,             /* over the channels */
  GRAPH_LOG_SOFTMAX,
  GRAPH_SIGMOID, /* 1 / (1 + exp(-x)), element by element */
  /* Squeeze-and-excitation: input[0] (h,w,c) times its gate, input[1] (1,1,c), channel by
   * channel, clamped; with `sigmoid` the gate is 1 / (1 + exp(-input[1])). A gate (h,w,c)
   * multiplies element by element: swish (SiLU) is a picture with itself for its gate and
   * `sigmoid`. */
  GRAPH_SCALE,
  /* ECA's convolution along the channels, (1,1,c) to (1,1,c), zeros outside: y[i] =
   * bias[0] + sum over k of weights[k] * x[i + k - window.pad_left], window.kernel_w
   * weights */
  GRAPH_CHANNEL_CONV,
  /* borders around height and width, as wide as window's pads; the rest of window is 0 */
  GRAPH_PAD,
  GRAPH_OP_COUNT
} graph_op;

typedef struct graph_shape {
  uint32_t h, w, c; /* each at least 1 */
} graph_shape;

/* Window of a convolution or a pool, checked by the loader: every size >= 1, h and w of
 * kernel and stride <= 1024, dilated kernel <= padded input, pads < dilated kernel,
 * output size as computed from them. */
typedef struct graph_window {
  uint32_t kernel_h, kernel_w;
  uint32_t stride_h, stride_w;
  uint32_t dilation_h, dilation_w;
  uint32_t pad_top, pad_left, pad_bottom, pad_right;
} graph_window;

/* Whether the taps of a convolution's filters are alike enough in size for algorithms
 * that mix them. Not the loader's to say: the runtime leaves here what it found
 * (runtime/plan/select_kernels.h). */
typedef enum graph_winograd_safety {
  GRAPH_WINOGRAD_UNKNOWN,
  GRAPH_WINOGRAD_SAFE,
  GRAPH_WINOGRAD_UNSAFE
} graph_winograd_safety;

/* What GRAPH_PAD puts into its borders. */
typedef enum graph_pad_mode {
  GRAPH_PAD_CONSTANT, /* pad_value, a finite number */
  /* what lies as far inside of the outermost pixel; pads < height and width */
  GRAPH_PAD_REFLECT,
  GRAPH_PAD_EDGE /* the outermost pixel */
} graph_pad_mode;

typedef struct graph_node {
  graph_op op;
  /* ONNX node that it stands for: of the convolution, where batch norm and ReLU were
   * fused into it */
  char *name;
  char *output; /* ONNX tensor that its output equals (of the last node fused) */
  uint32_t input[2];
  uint32_t input_count;
  graph_shape shape;   /* of the output */
  graph_window window; /* CONV, MAX_POOL, AVERAGE_POOL */
  uint32_t groups;     /* CONV: divides input and output channels */
  /* AVERAGE_POOL: the divisor is kernel_h * kernel_w even at the border */
  bool count_padding;
  bool sigmoid;            /* SCALE */
  graph_pad_mode pad_mode; /* PAD */
  float pad_value;
  uint32_t stride_h, stride_w, channels_before; /* SUBSAMPLE */
  /* CONV, ADD, AFFINE, CLAMP, LINEAR, SCALE: -INFINITY and INFINITY where there is
   * none */
  float clamp_min, clamp_max;
  /* CONV: (o,kernel_h,kernel_w,input channels / groups); LINEAR: (o,h,w,c); AFFINE: (c);
   * CHANNEL_CONV: (kernel_w). All finite. */
  float *weights;
  size_t weight_count;
  /* CONV, LINEAR: o floats, never NULL; AFFINE: c floats; CHANNEL_CONV: 1. All finite. */
  float *bias;
  size_t bias_count;
  /* weights and bias belong to somebody else, who keeps them longer; the loader's never
   * do */
  bool weights_borrowed;
  graph_winograd_safety winograd_safety; /* CONV */
  uint32_t block;                        /* index into blocks, or RESNET_NO_INDEX */
} graph_node;

/* Nodes of a block are those whose `block` is its index; they stand next to each other in
 * the node order. */
typedef struct graph_block {
  char *name; /* "stage2.block1" */
  resnet_shortcut shortcut;
  uint32_t source; /* node whose output enters the block */
  /* node that adds the shortcut; in a plain pair: its last node. Its output is the
   * block's */
  uint32_t add;
} graph_block;

/* Something about the file that its user should know, though it runs: what was found,
 * where, and what to do. */
typedef struct graph_diagnostic {
  resnet_severity severity;
  char *message;
} graph_diagnostic;

typedef struct graph {
  memory *memory; /* all below was allocated from it */
  graph_node *nodes;
  uint32_t node_count;
  uint32_t output; /* node whose output are the scores; shape (1,1,classes) */
  graph_block *blocks;
  uint32_t block_count;
  char *name, *producer; /* never NULL */
  uint32_t opset;
  /* label_count strings, or NULL; label_count is 0 or the number of classes */
  char **labels;
  uint32_t label_count;
  graph_diagnostic *diagnostics;
  uint32_t diagnostic_count;
  bool has_preprocess; /* the file's metadata said how pictures are prepared */
  resnet_preprocess preprocess;
} graph;

/* Release all that *g holds and zero it; an all-zero graph is allowed. */
void graph_release(graph *g);

/* Release `count` nodes and the array itself. */
void graph_release_nodes(memory *m, graph_node *nodes, uint32_t count);

/* Note something about the file, up to GRAPH_MAX_DIAGNOSTICS times; more are dropped. */
enum { GRAPH_MAX_DIAGNOSTICS = 32 };
resnet_status graph_add_diagnostic(graph *g, resnet_error *error, resnet_severity severity,
                                   const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

/* Every number is finite. */
bool graph_all_finite(const float *numbers, size_t count);

#endif
