/* Constants: initialisers, and what folding computes. */
#ifndef LIBRESNET_LOADER_IMPORT_CONSTANTS_H
#define LIBRESNET_LOADER_IMPORT_CONSTANTS_H

#include "loader/import/context.h"

enum {
  MAX_RANK = 8,
  /* elements of a constant that an operator makes out of little, e.g. ConstantOfShape */
  MAX_FOLDED = 1 << 16,
  /* elements of all constants that nodes make; the transposed classifier of VGG-16 has
   * 1.2e8 */
  MAX_COMPUTED = 1 << 28
};

/* The context owns the data. */
typedef struct constant {
  const char *name; /* for messages */
  bool is_float;    /* else integers, booleans included */
  uint32_t rank;
  int64_t dims[MAX_RANK];
  size_t count;
  float *floats;
  float_block *block; /* holds `floats`; NULL for integers */
  int64_t *ints;
  bool *is_batch; /* by integer: it is the symbolic batch size; NULL: none is */
  /* dimension 0 is 1 and is the batch: the same numbers for every sample */
  bool for_batch;
} constant;

/* Check that element type, dimensions and amount of data agree. External data must be
 * named correctly; they are not read. */
resnet_status constant_check(const import_context *ctx, const Onnx__TensorProto *t);

/* Read a checked tensor: floats of any width become float, integers and booleans int64_t.
 * Takes the raw data out of `proto`, so that large weights are in memory once. */
resnet_status constant_read(import_context *ctx, Onnx__TensorProto *proto, constant **out);

/* Return a zeroed constant; NULL: *status has the reason. */
constant *constant_new(import_context *ctx, bool is_float, uint32_t rank, const int64_t *dims,
                       resnet_status *status);

/* Return the same numbers with other dimensions; NULL: *status has the reason. */
constant *constant_alias(import_context *ctx, const constant *t, uint32_t rank, const int64_t *dims,
                         resnet_status *status);

/* Copy one element and its batch mark. False: no memory for the target's first mark. */
bool constant_copy_element(import_context *ctx, constant *to, size_t to_index, const constant *from,
                           size_t from_index);

/* Return whether the integer at `index`, or any integer, is the symbolic batch size. */
bool constant_is_batch(const constant *t, size_t index);
bool constant_has_batch(const constant *t);

/* Refuse infinities and NaNs. `what` names the constant in the message, e.g.
 * "weights". */
resnet_status constant_check_finite(const import_context *ctx, const constant *t, const char *what);

#endif
