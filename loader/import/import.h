/* Lowering: ONNX nodes, one after the other in file order, become constants or nodes of
 * the graph.
 *
 * Every ONNX tensor is a `value`. It is either a constant (an initialiser, or what
 * folding computed) or a view of an activation: a graph node's output with the dimensions
 * that ONNX gives it, its elements in (n,c,h,w) or in (n,h,w,c) order. So Flatten,
 * Reshape, Squeeze and Unsqueeze move no data, and neither does a Transpose between the
 * two orders: the graph has one order of its own.
 */
#ifndef LIBRESNET_LOADER_IMPORT_IMPORT_H
#define LIBRESNET_LOADER_IMPORT_IMPORT_H

#include "loader/graph/graph.h"
#include "loader/load.h"
#include "loader/onnx/external_data.h"
#include "onnx.pb-c.h"

enum {
  MAX_RANK = 8,
  /* elements that an operator may make out of little, e.g. ConstantOfShape */
  MAX_FOLDED = 1 << 16,
  /* elements of all constants that nodes make; VGG-16's classifier, transposed, has
   * 1.2e8 */
  MAX_COMPUTED = 1 << 28
};

/* Floats that the lowering releases, unless the graph takes them over. */
typedef struct float_block {
  float *floats;
  uint32_t users; /* tensors and values that look at it */
  struct float_block *next;
} float_block;

/* A constant. The data belong to the lowering. */
typedef struct tensor {
  const char *name; /* for messages */
  bool is_float;    /* else integers, booleans included */
  uint32_t rank;
  int64_t dims[MAX_RANK];
  size_t count;
  float *floats;
  float_block *block; /* that floats is; NULL: integers */
  int64_t *ints;
  bool *is_batch; /* per integer: it stands for the batch size; NULL: none does */
  /* its first dimension, 1 here, is the batch: the same numbers for every picture */
  bool for_batch;
} tensor;

typedef enum value_kind { VALUE_UNKNOWN, VALUE_TENSOR, VALUE_ACTIVATION } value_kind;

enum { ORIGIN_INITIALIZER = 0, ORIGIN_INPUT = 1, ORIGIN_NODE = 2 /* plus the node's index */ };

typedef struct value {
  const char *name;
  size_t origin;
  value_kind kind;
  Onnx__TensorProto *initializer; /* moved to `tensor` when it is first used */
  tensor *tensor;
  size_t readers; /* inputs of nodes that name it */
  bool live;      /* it leads to the scores */
  uint32_t node;  /* VALUE_ACTIVATION: index in the graph */
  uint32_t rank;
  int64_t dims[MAX_RANK]; /* dims[0] is the batch and means nothing */
  /* elements in (n,h,w,c) order; means nothing where there is one pixel */
  bool channels_last;
  /* a gate (1,1,c) that Expand gave the dimensions of a picture */
  bool expanded;
  /* borders still to be put around it: see operators_pad.c */
  uint32_t pad_top, pad_left, pad_bottom, pad_right;
  /* the borders are of the lowest number, else of zeros */
  bool pad_lowest;
  /* the Pad node that asked for them */
  const char *pad_name;
} value;

/* What a draft of the graph knows beyond graph.h. */
typedef struct draft {
  /* per output channel, still to be applied: of AFFINE, and of what took one over; or
   * NULL */
  double *scale, *shift;
  /* nodes that read it and lead to the scores; 0: it is dropped */
  uint32_t readers;
} draft;

typedef struct lowering {
  memory *memory;
  resnet_error *error;
  const load_options *options;
  external_files *files; /* that tensors may stand in */
  const Onnx__GraphProto *source;
  int64_t opset;
  int64_t batch; /* the file's, where it is fixed; 0: symbolic */
  graph *graph;  /* nodes has room for node_capacity */
  draft *drafts; /* one for each node of the graph */
  uint32_t node_capacity;
  value *values;
  value **by_name; /* sorted by name, then origin */
  size_t value_count;
  /* all memory that is released when lowering ends: a list */
  void *scratch;
  float_block *blocks;         /* the same for the floats of constants */
  const Onnx__NodeProto *node; /* the one being lowered */
  size_t node_index;
  uint64_t computed;        /* elements of the constants that nodes made so far */
  value *scores;            /* what the caller chose, or the only graph output */
  bool channels_last_input; /* the file declares its input (n,h,w,c) */
  /* the caller asked for another input size than the file's */
  bool resized;
} lowering;

/* Lower `model` into *l->graph, one node for each ONNX node that computes something. */
resnet_status lower_model(lowering *l, const Onnx__ModelProto *model);
/* canonical.c: drop what does not lead to the scores, fold batch normalisations, fuse
 * clamps. */
resnet_status fuse_nodes(lowering *l);
/* blocks.c: find and name the residual blocks, put the nodes in their order. */
resnet_status arrange_blocks(lowering *l);
void lowering_release(lowering *l);
/* Something of the node's leads to the scores. */
bool is_live(const lowering *l, const Onnx__NodeProto *node);

/* Memory that lasts as long as the lowering; NULL as mem_allocate. */
void *scratch_allocate(lowering *l, size_t count, size_t size);

/* lint.c: add to the graph's diagnostics what the file looks to be wrong in, though it could
 * be lowered. */
resnet_status find_faults(lowering *l);

/* ---- refusing: "node 'x' (Conv, opset 13): ..." ------------------------------------ */

resnet_status refuse(const lowering *l, resnet_status status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* Well-formed, but not accepted. */
#define unsupported(l, ...) refuse(l, RESNET_ERROR_UNSUPPORTED, __VA_ARGS__)
/* Contradicts itself or ONNX. */
#define invalid(l, ...) refuse(l, RESNET_ERROR_FORMAT, __VA_ARGS__)

/* The node's name, or that of its first output where it has none. */
const char *node_name(const Onnx__NodeProto *node);

/* ---- attributes.c: of the current node --------------------------------------------- */

bool has_attribute(const lowering *l, const char *name);
resnet_status get_int(const lowering *l, const char *name, int64_t fallback, int64_t *out);
resnet_status get_float(const lowering *l, const char *name, float fallback, float *out);
/* *values is NULL and *count 0 where the attribute is absent. */
resnet_status get_ints(const lowering *l, const char *name, const int64_t **values, size_t *count);
resnet_status get_floats(const lowering *l, const char *name, const float **values, size_t *count);
/* Index in the NULL-terminated list of accepted words; `fallback` where the attribute is
 * absent. */
resnet_status get_word(const lowering *l, const char *name, const char *const *words,
                       size_t fallback, size_t *out);
resnet_status get_tensor(lowering *l, const char *name, tensor **out);
/* Attribute `to` of Cast: an element type; a word before opset 6. */
resnet_status get_type(const lowering *l, int64_t *type);
/* Refuse names outside the list (separated by blanks) and names given twice. */
resnet_status check_attributes(const lowering *l, const char *accepted);

/* ---- values.c ---------------------------------------------------------------------- */

/* Collect and sort all names; refuse duplicates. */
resnet_status values_collect(lowering *l);
value *values_find(const lowering *l, const char *name);
/* sort_nodes.c: put the file's nodes behind what they read, where they are not. */
resnet_status sort_nodes(lowering *l);
/* The current node's input is named (not left out, not ""). */
bool has_input(const lowering *l, size_t index);
/* The value of an input that is named; refuses what has not been computed. Constants come
 * with their tensor read. */
resnet_status get_value(lowering *l, size_t index, value **out);
/* A constant; *out is NULL where the input is absent. `what` says what it is, e.g.
 * "weights". */
resnet_status get_constant(lowering *l, size_t index, const char *what, const tensor **out);
/* Refuses a constant that has the batch for a dimension, as get_constant does. */
resnet_status check_batchless(const lowering *l, const value *v);
/* An integer list without batch sizes in it (rank 0 or 1). */
resnet_status get_integers(lowering *l, size_t index, const char *what, const tensor **out);
/* An activation in any view; borders that were to be put around it are. */
resnet_status get_activation(lowering *l, size_t index, value **out);
/* The same, but they go on waiting. */
resnet_status get_waiting(lowering *l, size_t index, value **out);
/* As get_activation, and it may be an expanded gate. */
resnet_status get_factor(lowering *l, size_t index, value **out);
/* An activation that is a picture: viewed as (n,c,h,w). Borders may still be to be put
 * around it where `allow_pads`. */
resnet_status get_image(lowering *l, size_t index, bool allow_pads, value **out);
/* The same, and it may be viewed as (n,h,w,c). */
resnet_status get_picture(lowering *l, size_t index, bool allow_pads, value **out);
graph_shape value_shape(const lowering *l, const value *v);
/* Two activations of one shape, seen with the same dimensions; and then also their
 * elements come in one order. */
bool seen_alike(const lowering *l, const value *a, const value *b);
bool of_one_order(const lowering *l, const value *a, const value *b);
/* Which of the view's axes are the channels; false: they are not an axis of their own. */
bool find_channels(const lowering *l, const value *v, uint32_t *axis);
/* The same for what get_picture gave: 1 or 3. */
uint32_t picture_channels(const lowering *l, const value *v);
bool has_borders(const value *v);
/* operators_pad.c: put the borders around `v` that wait in it. */
resnet_status put_borders(lowering *l, value *v);

/* The current node's first output; NULL where it names none. */
value *get_result(const lowering *l);
/* Make it ... */
resnet_status set_tensor(lowering *l, tensor *t);
/* The graph's node `index`, viewed as (n,c,h,w). */
resnet_status set_activation(lowering *l, uint32_t index);
/* Another view of `v`. */
resnet_status set_view(lowering *l, const value *v, uint32_t rank, const int64_t *dims);
resnet_status set_same(lowering *l, const value *v);

/* Append a node that reads `input` (RESNET_NO_INDEX: none) to the graph and make it the
 * current node's result. NULL: *status says why. */
graph_node *add_node(lowering *l, graph_op op, uint32_t input, graph_shape shape,
                     resnet_status *status);
/* The same for a node of another name than the current node's, whose result it does not
 * become. */
graph_node *append_node(lowering *l, graph_op op, uint32_t input, graph_shape shape,
                        const char *name, const char *output, resnet_status *status);
/* The same for a node that keeps the shape and the view of `x`. */
graph_node *add_elementwise(lowering *l, graph_op op, const value *x, resnet_status *status);
/* The same for a node that makes a picture of another shape of the picture `x`, viewed in
 * x's order. */
graph_node *add_pictured(lowering *l, graph_op op, const value *x, graph_shape shape,
                         resnet_status *status);

/* An AFFINE node over the channels of x, scale 1 and shift 0; NULL: *status says why. */
draft *add_affine(lowering *l, const value *x, resnet_status *status);
/* `count` floats of bias, or zeros where t is NULL; scaled. */
resnet_status make_bias(lowering *l, graph_node *n, const tensor *t, size_t count, double scale);
/* A Conv whose weights have one side: operators_gate.c. */
resnet_status lower_channel_conv(lowering *l, const tensor *weights);

/* ---- tensors.c --------------------------------------------------------------------- */

/* Element type, dimensions and amount of data agree; data outside of the file are
 * allowed, and named as they must be.
 */
resnet_status tensor_check(const lowering *l, const Onnx__TensorProto *t);
/* A checked tensor's numbers: floats of any width become float, integers and booleans
 * int64_t. `proto` loses its raw data: large weights stand in memory once. */
resnet_status tensor_read(lowering *l, Onnx__TensorProto *proto, tensor **out);
/* A tensor of given type and dimensions, all zero; NULL: *status says why. */
tensor *tensor_new(lowering *l, bool is_float, uint32_t rank, const int64_t *dims,
                   resnet_status *status);
/* The floats of the current node's constant input `index` in a block of the graph's own:
 * the constant's, which then has none any more, where nothing else reads them, else a
 * copy. NULL as mem_allocate. */
float *take_floats(lowering *l, size_t index);
/* The same numbers with other dimensions. */
tensor *tensor_alias(lowering *l, const tensor *t, uint32_t rank, const int64_t *dims,
                     resnet_status *status);
/* Copy one element, the batch mark included; allocates the marks where the target has
 * none yet. */
bool tensor_copy_element(lowering *l, tensor *to, size_t to_index, const tensor *from,
                         size_t from_index);
bool tensor_is_batch(const tensor *t, size_t index);
bool tensor_has_batch(const tensor *t);
resnet_status check_finite(const lowering *l, const tensor *t, const char *what);

/* ---- shapes.c ---------------------------------------------------------------------- */

/* Index of an axis that may count from the end, for a tensor of `rank` dimensions. */
resnet_status resolve_axis(const lowering *l, int64_t axis, uint32_t rank, uint32_t *out);
/* Axes of Squeeze, Unsqueeze, Reduce...: an attribute before opset `input_since`, then
 * input 1. None: *count is 0. */
resnet_status read_axes(lowering *l, int64_t input_since, const int64_t **axes, size_t *count);
/* The same as bits; refuses axes outside of `rank` and axes named twice. */
resnet_status mask_axes(const lowering *l, const int64_t *axes, size_t count, uint32_t rank,
                        uint32_t *mask);
/* The dimensions that Reshape asks for; activations keep their batch in front. */
resnet_status reshape_tensor(lowering *l, const tensor *t, const tensor *target, bool zero_copies,
                             int64_t *dims);
resnet_status reshape_view(lowering *l, const value *v, const tensor *target, bool zero_copies,
                           int64_t *dims);

/* Attribute auto_pad, and its words. */
typedef enum auto_pad { PAD_NOTSET, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_VALID } auto_pad;
extern const char *const auto_pad_names[];
resnet_status get_auto_pad(const lowering *l, auto_pad *mode);

/* Attributes kernel_shape (or `kernel` where not NULL), strides, dilations, pads,
 * auto_pad, ceil_mode to a checked window and output size. Borders that wait in `v` are
 * added to its own. Where a convolution pads by more than its kernel reaches, the borders
 * are put there: `v`, the caller's copy, then becomes what is to be read. */
typedef struct window_request {
  const int64_t *kernel;
  bool accepts_dilation;
  bool refuses_overhang; /* a window that ceil_mode lets stand over the border */
} window_request;
resnet_status read_window(lowering *l, value *v, const window_request *request,
                          graph_window *window, graph_shape *out);

typedef struct slice_range {
  int64_t start, end, step; /* as they stand in the file */
} slice_range;
/* Of Slice: a range for every axis; axes that the node does not name get the whole. */
resnet_status read_slices(lowering *l, uint32_t rank, slice_range ranges[MAX_RANK]);
/* Clamp a range to `dim` as ONNX says; returns the number of elements. */
int64_t resolve_slice(slice_range *range, int64_t dim);

/* ---- operators.c ------------------------------------------------------------------- */

typedef resnet_status (*operator_handler)(lowering *l);

/* How one operator is read over a range of opsets. */
typedef struct operator_row {
  const char *name;
  int since, until; /* opsets */
  size_t inputs_min, inputs_max;
  operator_handler lower; /* some input is an activation; NULL: not accepted */
  operator_handler fold;  /* all inputs are constants; NULL: not accepted */
  const char *attributes; /* accepted names */
} operator_row;

/* The table, by name, then opset: what the loader goes by, and what the README's table is
 * made from. */
const operator_row *operator_rows(size_t *count);

/* Lower the current node. */
resnet_status lower_node(lowering *l);

/* Handlers of activations, by file; those of operators that move no data take constants,
 * too. */
resnet_status lower_conv(lowering *l);
resnet_status lower_batch_normalization(lowering *l);
resnet_status lower_relu(lowering *l);
resnet_status lower_clip(lowering *l);
resnet_status lower_min_max(lowering *l);
resnet_status lower_arithmetic(lowering *l);
resnet_status lower_sum(lowering *l);
resnet_status lower_softmax(lowering *l);
resnet_status lower_sigmoid(lowering *l);
resnet_status lower_hard_sigmoid(lowering *l);
resnet_status lower_hard_swish(lowering *l);
resnet_status lower_scale(lowering *l);
resnet_status lower_expand(lowering *l);
resnet_status lower_gemm(lowering *l);
resnet_status lower_matmul(lowering *l);
resnet_status lower_max_pool(lowering *l);
resnet_status lower_average_pool(lowering *l);
resnet_status lower_global_average_pool(lowering *l);
resnet_status lower_global_max_pool(lowering *l);
resnet_status lower_reduce(lowering *l);
resnet_status lower_identity(lowering *l);
resnet_status lower_dropout(lowering *l);
resnet_status lower_cast(lowering *l);
resnet_status lower_cast_like(lowering *l);
resnet_status lower_concat(lowering *l);
resnet_status lower_flatten(lowering *l);
resnet_status lower_reshape(lowering *l);
resnet_status lower_squeeze(lowering *l);
resnet_status lower_unsqueeze(lowering *l);
resnet_status lower_transpose(lowering *l);
resnet_status lower_slice(lowering *l);
resnet_status lower_gather(lowering *l);
resnet_status lower_pad(lowering *l);

/* Handlers of constants: fold.c and fold_arithmetic.c. */
resnet_status fold_constant(lowering *l);
resnet_status fold_shape(lowering *l);
resnet_status fold_gather(lowering *l);
resnet_status fold_slice(lowering *l);
resnet_status fold_concat(lowering *l);
resnet_status fold_transpose(lowering *l);
resnet_status fold_constant_of_shape(lowering *l);
resnet_status fold_expand(lowering *l);
resnet_status fold_range(lowering *l);
resnet_status fold_tile(lowering *l);
resnet_status fold_cast(lowering *l);
resnet_status fold_cast_like(lowering *l);
resnet_status fold_arithmetic(lowering *l);
resnet_status fold_function(lowering *l);
resnet_status fold_where(lowering *l);

#endif
