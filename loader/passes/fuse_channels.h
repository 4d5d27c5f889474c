#ifndef LIBRESNET_LOADER_PASSES_FUSE_CHANNELS_H
#define LIBRESNET_LOADER_PASSES_FUSE_CHANNELS_H

#include "loader/import/context.h"

/* Fold selections of channels (import/op_channels.h) into the convolutions that read
 * them. One that cannot be folded stays a 1x1 convolution. ctx->readers must be set. */
resnet_status fuse_channels(import_context *ctx);

#endif
