/* Activations that exporters spell as arithmetic on several branches. */
#ifndef LIBRESNET_LOADER_IMPORT_OP_SPELLED_H
#define LIBRESNET_LOADER_IMPORT_OP_SPELLED_H

#include "loader/import/values.h"

/* Find Max(s * x, x) with s <= 1, or Min(s * x, x) with s >= 1: x is *x of the two, and
 * below 0 the result is *slope * x. */
bool op_find_leaky(const import_context *ctx, const value *a, const value *b, bool is_min,
                   const value **x, float *slope);

/* Add a PReLU if `a` is Relu(x) and `b` is s * Relu(-x), with an s for each channel. b is
 * added, or subtracted. *found says whether they are. */
resnet_status op_add_split_relu(import_context *ctx, const value *a, const value *b, bool subtract,
                                bool *found);

/* Add x where x is at least 0, else slope * x. */
resnet_status op_add_leaky_relu(import_context *ctx, const value *x, float slope);

#endif
