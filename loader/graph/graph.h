/* The canonical residual graph: what the loader makes and the runtime reads.
 *
 * Every input of a node comes before the node. A node has one output, an activation of
 * shape (n,h,w,c); the batch n is not part of the graph. ONNX has many ways to write a
 * network, the graph has one: batch normalisation is folded into the convolution before
 * it, a ReLU is fused into its producer if nothing else reads the value before it, fully
 * connected layers are GRAPH_LINEAR over (h,w,c), and option-A shortcuts are
 * GRAPH_SUBSAMPLE.
 */
#ifndef LIBRESNET_LOADER_GRAPH_GRAPH_H
#define LIBRESNET_LOADER_GRAPH_GRAPH_H

#include "loader/base/error.h"
#include "loader/base/memory.h"
#include "resnet.h"

/* Limits of the loader; graph_check enforces them for a graph from a plan file. */
enum {
  GRAPH_MAX_SIDE = 65535,          /* height, width, number of channels */
  GRAPH_MAX_WINDOW = 1024,         /* kernel side and stride */
  GRAPH_MAX_NODES = 20000,         /* ONNX nodes; ResNet-152 has fewer than 2,000 */
  GRAPH_MAX_ACTIVATION = INT32_MAX /* elements of all activations of one image together */
};

/* Operators: see ops.def. */
typedef enum graph_op {
#define GRAPH_OP(NAME, name, inputs, fields, check, kernel) GRAPH_##NAME,
#include "loader/graph/ops.def"
  GRAPH_OP_COUNT
} graph_op;

/* Groups of a node's fields that an operator uses. */
enum {
  GRAPH_USES_NONE = 0,
  GRAPH_USES_WEIGHTS = 1 << 0,
  GRAPH_USES_WINDOW = 1 << 1,
  GRAPH_USES_GROUPS = 1 << 2,
  GRAPH_USES_CLAMP = 1 << 3,
  GRAPH_USES_SUBSAMPLING = 1 << 4,
  GRAPH_USES_COUNT_PADDING = 1 << 5,
  GRAPH_USES_SIGMOID = 1 << 6,
  GRAPH_USES_BORDER = 1 << 7,
  GRAPH_USES_SCALAR = 1 << 8,
  GRAPH_USES_ORDER = 1 << 9,
  GRAPH_USES_NORM = 1 << 10
};

/* A row of ops.def. */
typedef struct graph_op_row {
  const char *name; /* "CONV" */
  uint32_t inputs;
  unsigned fields; /* GRAPH_USES_... */
} graph_op_row;

extern const graph_op_row graph_op_rows[GRAPH_OP_COUNT];

/* Return whether the operator uses the fields `use`, a GRAPH_USES_... */
bool graph_op_uses(graph_op op, unsigned use);

typedef struct graph_shape {
  uint32_t h, w, c; /* each at least 1 */
} graph_shape;

/* Window of a convolution or a pool. Every size is at least 1, kernel and stride are at
 * most GRAPH_MAX_WINDOW, the dilated kernel fits the padded input, pads are smaller than
 * the dilated kernel, and the output size follows from them. */
typedef struct graph_window {
  uint32_t kernel_h, kernel_w;
  uint32_t stride_h, stride_w;
  uint32_t dilation_h, dilation_w;
  uint32_t pad_top, pad_left, pad_bottom, pad_right;
} graph_window;

/* Whether Winograd's algorithm keeps its precision with a convolution's weights. The
 * loader leaves it unknown; the runtime finds it out (runtime/plan/select_kernels.h). */
typedef enum graph_winograd_safety {
  GRAPH_WINOGRAD_UNKNOWN,
  GRAPH_WINOGRAD_SAFE,
  GRAPH_WINOGRAD_UNSAFE
} graph_winograd_safety;

/* Content of the borders that GRAPH_PAD adds. */
typedef enum graph_pad_mode {
  GRAPH_PAD_CONSTANT, /* the node's scalar */
  GRAPH_PAD_REFLECT,  /* mirrored at the outermost pixel; pads < height, width */
  GRAPH_PAD_EDGE      /* the outermost pixel */
} graph_pad_mode;

/* What GRAPH_L2_NORMALIZE divides by; s: the sum of squares; e: the node's scalar. */
typedef enum graph_norm_mode {
  GRAPH_NORM_ZERO,      /* sqrt(s); the output is 0 where that is 0 */
  GRAPH_NORM_MIN,       /* max(sqrt(s), e) */
  GRAPH_NORM_ADD,       /* sqrt(s) + e */
  GRAPH_NORM_ADD_SQUARE /* sqrt(s + e) */
} graph_norm_mode;

typedef struct graph_node {
  graph_op op;
  char *name;   /* of the ONNX node; of the convolution if others were fused into it */
  char *output; /* ONNX tensor that its output equals: of the last node fused */
  uint32_t input[2];
  uint32_t input_count;
  graph_shape shape; /* of the output */
  graph_window window;
  uint32_t groups;    /* divides input and output channels */
  bool count_padding; /* the divisor is kernel_h * kernel_w at the border, too */
  bool sigmoid;
  graph_pad_mode pad_mode;
  bool channels_last; /* the output's order is (h,w,c), else (c,h,w) */
  graph_norm_mode norm_mode;
  float scalar; /* the operator's one number, finite; its meaning: see ops.def */
  uint32_t stride_h, stride_w, channels_before;
  float clamp_min, clamp_max; /* -INFINITY and INFINITY: not clamped */
  float *weights;             /* weight_count finite floats; shapes: see ops.def */
  size_t weight_count;
  /* bias_count finite floats: one for each channel; CHANNEL_CONV: 1; PRELU: none */
  float *bias;
  size_t bias_count;
  bool weights_borrowed; /* weights and bias are not the node's to release */
  graph_winograd_safety winograd_safety;
  uint32_t block; /* index into blocks, or RESNET_NO_INDEX */
} graph_node;

/* A residual block: its nodes are adjacent, and their `block` is its index. */
typedef struct graph_block {
  char *name; /* "stage2.block1" */
  resnet_shortcut shortcut;
  uint32_t source; /* node whose output enters the block */
  uint32_t add;    /* node whose output leaves it: the addition; plain pair: the last */
} graph_block;

/* Something about the file that its user should know, although it runs: what was found,
 * where, and what to do. */
typedef struct graph_diagnostic {
  resnet_severity severity;
  char *message;
} graph_diagnostic;

/* What the graph shows of the values that it takes as input. */
typedef enum graph_evidence_kind {
  GRAPH_EVIDENCE_NONE = 0,       /* nothing: a layer reads the input */
  GRAPH_EVIDENCE_VALUES = 1,     /* constants that fit one preprocessing only */
  GRAPH_EVIDENCE_NORMALISED = 2, /* statistics of images that were normalised before */
  GRAPH_EVIDENCE_UNKNOWN = 3     /* constants that fit no known preprocessing */
} graph_evidence_kind;

/* Evidence of how images become inputs: what the graph computes on its input before the
 * first layer. */
typedef struct graph_evidence {
  graph_evidence_kind kind;
  /* With GRAPH_EVIDENCE_VALUES: inputs are (pixel / scale - mean) / std, of BGR images if
   * `bgr`; scale and std are above 0. */
  bool bgr;
  float scale, mean[3], std[3];
  char *text; /* the node and its constants; NULL: GRAPH_EVIDENCE_NONE */
} graph_evidence;

typedef struct graph {
  memory *memory; /* owner of everything below */
  graph_node *nodes;
  uint32_t node_count;
  uint32_t output;      /* node whose output is the scores, of shape (1,1,scores) */
  resnet_scores scores; /* what they are */
  graph_block *blocks;
  uint32_t block_count;
  char *name, *producer; /* never NULL */
  uint32_t opset;
  char **labels;        /* label_count strings, or NULL */
  uint32_t label_count; /* 0 or graph_class_count() */
  bool labels_replaced; /* a plan file has labels of the caller in place of the graph's */
  graph_diagnostic *diagnostics;
  uint32_t diagnostic_count;
  bool has_preprocess; /* `preprocess` is from the file's metadata */
  resnet_preprocess preprocess;
  graph_evidence evidence;
} graph;

/* Release everything that *g holds and zero it. An all-zero graph is allowed. */
void graph_release(graph *g);

/* Release the labels. */
void graph_release_labels(graph *g);

/* Release `count` nodes and the array itself. */
void graph_release_nodes(memory *m, graph_node *nodes, uint32_t count);

/* Add a diagnostic. All after the first GRAPH_MAX_DIAGNOSTICS are dropped. */
enum { GRAPH_MAX_DIAGNOSTICS = 32 };
resnet_status graph_add_diagnostic(graph *g, resnet_error *error, resnet_severity severity,
                                   const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

/* Return whether node `index` continues a branch of a block towards its source: it has
 * one input, or multiplies its first input by a gate that nodes with one input each
 * compute from that. The first input leads back. */
bool graph_continues_branch(const graph *g, uint32_t index);

/* Return the kind of the shortcut from node `source` to node `end`, which continues at
 * every node; RESNET_SHORTCUT_NONE: none of the known kinds. */
resnet_shortcut graph_shortcut_kind(const graph *g, uint32_t source, uint32_t end);

/* Return whether each window of a pool has a tap inside the input: one that covers only
 * padding has no value. The output's size follows from the window. */
bool graph_pool_has_taps(const graph_window *w, graph_shape in, graph_shape out);

/* Return how many classes `count` scores of this kind rank: see resnet_model_info. */
uint32_t graph_class_count(resnet_scores scores, uint32_t count);

/* Return whether one score gives the probabilities of two classes. */
bool graph_is_binary(resnet_scores scores);

/* Take an embedding of `count` numbers as logits: there are as many labels. A map,
 * powers, normalised vectors, and scaled probabilities stay an embedding. */
void graph_take_as_classes(graph *g, uint32_t count);

/* Return whether every number is finite. */
bool graph_all_finite(const float *numbers, size_t count);

#endif
