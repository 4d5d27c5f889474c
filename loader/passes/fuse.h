/* The fusion pass. */
#ifndef LIBRESNET_LOADER_PASSES_FUSE_H
#define LIBRESNET_LOADER_PASSES_FUSE_H

#include "loader/import/context.h"

/* Fold batch normalisation and scales into the nodes before them; fuse clamps and gates.
 * Nodes that do not lead to the scores are dropped: their ctx->readers is 0. */
resnet_status fuse_graph(import_context *ctx);

#endif
