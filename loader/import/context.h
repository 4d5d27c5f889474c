/* The state of one import, shared by all files of import/ and passes/: the graph so far,
 * the ONNX node at hand, scratch memory, and refusals. */
#ifndef LIBRESNET_LOADER_IMPORT_CONTEXT_H
#define LIBRESNET_LOADER_IMPORT_CONTEXT_H

#include "loader/base/work.h"
#include "loader/graph/graph.h"
#include "loader/onnx/external_data.h"
#include "onnx.pb-c.h"

typedef struct value value;

enum { IMPORT_MAX_TERMS = 1024 /* inputs of one Sum */ };

/* What the caller chose. */
typedef struct import_options {
  uint32_t input_height, input_width; /* 0: the file's; 224 where it has none */
  const char *output; /* name of the graph output with the scores; NULL: the only one */
} import_options;

/* The floats of constants. Released with the context, unless a graph node took them
 * over. */
typedef struct float_block {
  float *floats;
  uint32_t users; /* constants and values that refer to it */
  struct float_block *next;
} float_block;

/* A per-channel scale and shift that the fusion pass has yet to apply to a graph node.
 * Both are NULL for the identity. */
typedef struct pending_affine {
  double *scale, *shift;
  bool normalises; /* a BatchNormalization, even if all its scales are equal */
  /* Statistics that a batch normalisation learned from up to 3 channels, or NULL. */
  double *mean, *deviation;
} pending_affine;

typedef struct import_context {
  memory *memory;
  work_budget *work;
  resnet_error *error;
  import_options options;
  external_files *files; /* with weights outside of the model file */
  const Onnx__GraphProto *source;
  int64_t opset;
  int64_t batch; /* the file's fixed batch size; 0: symbolic */

  graph *graph; /* its `nodes` has room for node_capacity */
  uint32_t node_capacity;
  pending_affine *affines; /* by graph node */
  /* by graph node: its readers that lead to the scores; 0: dropped */
  uint32_t *readers;
  /* by graph node: the map of a selection of channels (op_channels.h), or NULL */
  const struct channel_map **selections;

  value *values;
  value **by_name; /* sorted by name, then origin */
  size_t value_count;
  value *scores; /* the output chosen by the caller, or the only one */

  const Onnx__NodeProto *node; /* the ONNX node at hand */
  size_t node_index;

  bool input_is_rearranged; /* the graph reorders or repeats its input's channels */
  bool channels_last_input; /* the file declares its input as (n,h,w,c) */
  bool input_is_bytes;      /* and as uint8 */
  bool resized;             /* the caller asked for another input size than the file's */

  void *scratch; /* list of blocks, released with the context */
  float_block *blocks;
} import_context;

/* Release everything but the graph. */
void import_release(import_context *ctx);

/* Allocate zeroed memory that lasts as long as the context; NULL as mem_allocate. */
void *import_scratch(import_context *ctx, size_t count, size_t size);

/* Spend `steps` (work.h) for each of `count` things; refuse the node at hand, by name, if
 * they exceed the budget. */
resnet_status import_spend(const import_context *ctx, uint64_t count, uint64_t steps);

/* Return the node's name, or that of its first output if it has none. */
const char *import_node_name(const Onnx__NodeProto *node);

/* Fail with `status` and the message "node 'x' (Conv, opset 13): ...". */
resnet_status import_refuse(const import_context *ctx, resnet_status status, const char *format,
                            ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* Refuse what is valid ONNX but not supported. */
#define unsupported(ctx, ...) import_refuse(ctx, RESNET_ERROR_UNSUPPORTED, __VA_ARGS__)
/* Refuse what contradicts itself or the ONNX standard. */
#define invalid(ctx, ...) import_refuse(ctx, RESNET_ERROR_FORMAT, __VA_ARGS__)

#endif
