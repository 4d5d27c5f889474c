/* Shape inference for axes, Reshape and Slice. */
#ifndef LIBRESNET_LOADER_IMPORT_SHAPES_H
#define LIBRESNET_LOADER_IMPORT_SHAPES_H

#include "loader/import/values.h"

/* Resolve an axis that may count from the end, for a tensor of `rank` dimensions. */
resnet_status shape_resolve_axis(const import_context *ctx, int64_t axis, uint32_t rank,
                                 uint32_t *out);

/* Read the axes of Squeeze, Unsqueeze or Reduce...: an attribute before opset
 * `input_since`, input 1 since then. *count is 0 if there are none. */
resnet_status shape_read_axes(import_context *ctx, int64_t input_since, const int64_t **axes,
                              size_t *count);

/* Turn axes into bits; refuse axes outside of `rank` and duplicates. */
resnet_status shape_mask_axes(const import_context *ctx, const int64_t *axes, size_t count,
                              uint32_t rank, uint32_t *mask);

/* Compute the dimensions that Reshape asks for. `zero_copies`: a 0 copies the old
 * dimension. Views keep their batch in front. */
resnet_status shape_reshape_constant(import_context *ctx, const constant *t, const constant *target,
                                     bool zero_copies, int64_t *dims);
resnet_status shape_reshape_view(import_context *ctx, const value *v, const constant *target,
                                 bool zero_copies, int64_t *dims);

/* A range of Slice, with the file's numbers. */
typedef struct slice_range {
  int64_t start, end, step;
} slice_range;

/* Read a range for every axis; axes that the node does not name get the whole axis. */
resnet_status shape_read_slices(import_context *ctx, uint32_t rank, slice_range ranges[MAX_RANK]);

/* Clamp a range to `dim` by ONNX's rules. Returns the number of elements. */
int64_t shape_resolve_slice(slice_range *range, int64_t dim);

#endif
