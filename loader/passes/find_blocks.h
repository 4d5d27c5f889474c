/* Residual blocks. */
#ifndef LIBRESNET_LOADER_PASSES_FIND_BLOCKS_H
#define LIBRESNET_LOADER_PASSES_FIND_BLOCKS_H

#include "loader/import/context.h"

/* Find and name the residual blocks; drop unread nodes and put the others in block
 * order. */
resnet_status blocks_find(import_context *ctx);

#endif
