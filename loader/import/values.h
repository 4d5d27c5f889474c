/* The named values of an ONNX graph.
 *
 * A value is either a constant or a view of an activation. A view is the output of a
 * graph node with the dimensions that ONNX gives it, in (n,c,h,w) or (n,h,w,c) order.
 * Flatten, Reshape, Squeeze, Unsqueeze and a Transpose between the two orders therefore
 * move no data: the graph has its own fixed order.
 */
#ifndef LIBRESNET_LOADER_IMPORT_VALUES_H
#define LIBRESNET_LOADER_IMPORT_VALUES_H

#include "loader/import/constants.h"

typedef enum value_kind {
  VALUE_UNKNOWN,
  VALUE_CONSTANT,
  VALUE_ACTIVATION,
  VALUE_NORM /* one norm over the channels for each pixel: see op_norm.c */
} value_kind;

/* What a VALUE_NORM is. */
typedef enum norm_stage {
  NORM_SQUARES, /* the sum of squares */
  NORM_ROOT,    /* its root */
  NORM_INVERSE  /* the reciprocal of that */
} norm_stage;

/* plus the node's index */
enum { ORIGIN_INITIALIZER = 0, ORIGIN_INPUT = 1, ORIGIN_NODE = 2 };

struct value {
  const char *name;
  size_t origin;
  value_kind kind;
  Onnx__TensorProto *initializer; /* read into `constant` on first use */
  constant *constant;
  size_t readers; /* inputs of ONNX nodes that name it */
  bool live;      /* leads to the scores */

  /* VALUE_ACTIVATION, and VALUE_NORM of one */
  uint32_t node; /* index in the graph */
  uint32_t rank;
  int64_t dims[MAX_RANK]; /* dims[0], the batch, is not used */
  bool channels_last;     /* (n,h,w,c) order; no meaning for a single pixel */
  bool expanded;          /* a gate (1,1,c) that Expand gave the dimensions of an image */
  bool batch_last;        /* a vector that was transposed to (features,n) */
  bool exchanged;         /* ONNX has it as (c,n,h,w); dims are those of (n,c,h,w) */

  /* VALUE_NORM only */
  norm_stage stage;
  graph_norm_mode norm_mode; /* how norm_epsilon is used, if it is not 0 */
  double norm_epsilon;

  /* Deferred padding around height and width: see padding.h. */
  uint32_t pad_top, pad_left, pad_bottom, pad_right;
  bool pad_lowest;           /* with the lowest number, else with zeros */
  const char *pad_node_name; /* the Pad node that asked for it */
};

/* Collect and sort all names; refuse duplicates. */
resnet_status value_collect(import_context *ctx);

/* Return the value of this name, or NULL. */
value *value_find(const import_context *ctx, const char *name);

/* Return whether some output of the node leads to the scores. */
bool value_node_is_live(const import_context *ctx, const Onnx__NodeProto *node);

/* ---- inputs of the node at hand ---------------------------------------------------- */

/* Return whether the input is named: neither left out nor "". */
bool value_has_input(const import_context *ctx, size_t index);

/* Get the value of a named input; refuse what has not been computed. The data of
 * constants are read. */
resnet_status value_get(import_context *ctx, size_t index, value **out);

/* Get a constant; *out is NULL if the input is absent. `what` names it in messages, e.g.
 * "weights". */
resnet_status value_get_constant(import_context *ctx, size_t index, const char *what,
                                 const constant **out);

/* Get a list of integers (rank 0 or 1) without symbolic batch sizes, or NULL. */
resnet_status value_get_integers(import_context *ctx, size_t index, const char *what,
                                 const constant **out);

/* Refuse a constant that has the batch for a dimension, as value_get_constant does. */
resnet_status value_check_no_batch(const import_context *ctx, const value *v);

/* Get an activation in any view, its padding materialised. */
resnet_status value_get_activation(import_context *ctx, size_t index, value **out);

/* Get an activation in any view, whose padding may stay deferred. */
resnet_status value_get_deferred(import_context *ctx, size_t index, value **out);

/* Get an activation as value_get_activation does; it may be (features,n). */
resnet_status value_get_transposed(import_context *ctx, size_t index, value **out);

/* Get an activation as value_get_activation does; it may be an expanded gate. */
resnet_status value_get_factor(import_context *ctx, size_t index, value **out);

/* Get an activation that is viewed as an image (n,c,h,w). Its padding may stay deferred
 * if `allow_pads`. */
resnet_status value_get_nchw(import_context *ctx, size_t index, bool allow_pads, value **out);

/* Get an activation that is viewed as an image, (n,c,h,w) or (n,h,w,c). */
resnet_status value_get_image(import_context *ctx, size_t index, bool allow_pads, value **out);

/* Return the floats of constant input `index` in a block that the graph may own: the
 * constant's own block if nothing else reads it (the constant then has none), else a
 * copy. NULL as mem_allocate. */
float *value_take_floats(import_context *ctx, size_t index);

/* ---- activations ------------------------------------------------------------------- */

/* Return the shape of the activation's graph node. */
graph_shape value_shape(const import_context *ctx, const value *v);

/* Return whether two activations have equal shapes and equal dimensions in ONNX. */
bool value_same_shape_as_viewed(const import_context *ctx, const value *a, const value *b);

/* Return whether the elements of two activations, equal as above, come in one order. */
bool value_same_layout(const import_context *ctx, const value *a, const value *b);

/* Find the view's axis that holds the channels. False: no axis holds all of them. */
bool value_find_channels(const import_context *ctx, const value *v, uint32_t *axis);

/* Return the channel axis of a value from value_get_image: 1 or 3. */
uint32_t value_channel_axis(const import_context *ctx, const value *v);

/* ---- the first output of the node at hand ------------------------------------------ */

/* Return it, or NULL if the node names none. */
value *value_result(const import_context *ctx);

/* Make it a constant. */
resnet_status value_set_constant(import_context *ctx, constant *t);

/* Make it graph node `index`, viewed as (n,c,h,w). */
resnet_status value_set_activation(import_context *ctx, uint32_t index);

/* Make it another view of the graph node of `v`. */
resnet_status value_set_view(import_context *ctx, const value *v, uint32_t rank,
                             const int64_t *dims);

/* Make it equal to `v`. */
resnet_status value_set_same(import_context *ctx, const value *v);

#endif
