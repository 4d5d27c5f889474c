/* Constants: initialisers, and what folding computes. */
#ifndef LIBRESNET_LOADER_IMPORT_CONSTANTS_H
#define LIBRESNET_LOADER_IMPORT_CONSTANTS_H

#include "loader/import/context.h"

enum { MAX_RANK = 8 };

/* Whether all numbers are 0. */
typedef enum constant_zeros { CONSTANT_UNKNOWN, CONSTANT_ZERO, CONSTANT_NOT_ZERO } constant_zeros;

/* The context owns the data. */
typedef struct constant {
  const char *name; /* for messages */
  int32_t type;     /* ONNX_FLOAT ... */
  bool is_float;    /* else integers, booleans included */
  uint32_t rank;
  int64_t dims[MAX_RANK];
  size_t count;
  float *floats;
  float_block *block; /* holds `floats`; NULL for integers */
  double *doubles;    /* ONNX_DOUBLE: the numbers themselves, `floats` has them rounded */
  int64_t *ints;
  bool *is_batch; /* by integer: it is the symbolic batch size; NULL: none is */
  /* dimension 0 is 1 and is the batch: the same numbers for every sample */
  bool for_batch;
  constant_zeros zeros; /* see constant_is_zero */
} constant;

/* Check that element type, dimensions and amount of data agree. External data must be
 * named correctly; they are not read. */
resnet_status constant_check(const import_context *ctx, const Onnx__TensorProto *t);

/* Read a checked tensor: floats of any width become float, integers and booleans int64_t.
 * Takes the raw data out of `proto`, so that large weights are in memory once. */
resnet_status constant_read(import_context *ctx, Onnx__TensorProto *proto, constant **out);

/* Compute the number of elements. False: a dimension is negative, or the product of the
 * others than 0 is too large for strides. */
bool constant_count(const int64_t *dims, size_t rank, size_t *count);

/* Return a zeroed constant of an accepted type; NULL: *status has the reason. */
constant *constant_new(import_context *ctx, int32_t type, uint32_t rank, const int64_t *dims,
                       resnet_status *status);

/* Return the same numbers with other dimensions; NULL: *status has the reason. */
constant *constant_alias(import_context *ctx, const constant *t, uint32_t rank, const int64_t *dims,
                         resnet_status *status);

/* Set an element of a constant of floats, rounded to its type. */
void constant_set_float(constant *t, size_t index, double number);

/* Copy `count` elements to a constant of the same type, with their batch marks. False: no
 * memory for the target's first mark. */
bool constant_copy(import_context *ctx, constant *to, size_t to_index, const constant *from,
                   size_t from_index, size_t count);

/* Return whether the integer at `index`, or any integer, is the symbolic batch size. */
bool constant_is_batch(const constant *t, size_t index);
bool constant_has_batch(const constant *t);

/* Return whether it is of floats, and all of them are 0. It is looked at once. */
bool constant_is_zero(const import_context *ctx, constant *t);

/* Refuse infinities and NaNs. `what` names the constant in the message, e.g.
 * "weights". */
resnet_status constant_check_finite(const import_context *ctx, const constant *t, const char *what);

#endif
