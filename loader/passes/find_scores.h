/* What the numbers of the output are. */
#ifndef LIBRESNET_LOADER_PASSES_FIND_SCORES_H
#define LIBRESNET_LOADER_PASSES_FIND_SCORES_H

#include "loader/import/context.h"

/* Set ctx->graph->scores. The graph must not be fused yet: a batch norm behind the last
 * layer makes an embedding of it. */
resnet_status scores_find(import_context *ctx);

#endif
