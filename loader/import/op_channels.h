/* Channels that change places or are repeated: BGR for RGB, grey for three channels. They
 * become a 1x1 convolution, which the fusion pass folds into the layer behind it. */
#ifndef LIBRESNET_LOADER_IMPORT_OP_CHANNELS_H
#define LIBRESNET_LOADER_IMPORT_OP_CHANNELS_H

#include "loader/import/shapes.h"

/* Channels before and after: images have up to 4. */
enum { CHANNELS_MAX = 16 };

/* A channel of the input for each of the output. */
typedef struct channel_map {
  uint32_t count;
  uint32_t from[CHANNELS_MAX];
} channel_map;

/* Return whether a graph node is the input, or computed from it by selections, scales,
 * clamps and borders. */
bool op_comes_from_input(const import_context *ctx, uint32_t index);

/* Return whether channels of x can be selected: it is the input, scaled or padded at
 * most, and has its channels along `axis`. */
bool op_can_select(const import_context *ctx, const value *x, uint32_t axis);

/* Make the result the image x with the channels of `map`, in the order of x. */
resnet_status op_select_channels(import_context *ctx, const value *x, const channel_map *map);

/* Repeat the only channel of the input for each number of the constant t, where it has
 * those along the channels of x: arithmetic of the two gives an image of as many
 * channels. *x becomes that image; else it stays. */
resnet_status op_spread_channel(import_context *ctx, value *x, const constant *t);

/* Import a Gather of channels; a scalar index also drops the axis. */
resnet_status op_gather_channels(import_context *ctx, const value *x, const constant *index);

/* Import a Slice of the channels; `range` is not clamped yet. */
resnet_status op_slice_channels(import_context *ctx, const value *x, slice_range range);

resnet_status op_gather_nd(import_context *ctx);
resnet_status op_split(import_context *ctx);
resnet_status op_tile(import_context *ctx);

/* Import a Concat of channels of one image, each with a scale and a shift at most. *done
 * is false if it is none. */
resnet_status op_join_channels(import_context *ctx, bool *done);

#endif
