/* The order of the file's nodes. */
#ifndef LIBRESNET_LOADER_IMPORT_SORT_NODES_H
#define LIBRESNET_LOADER_IMPORT_SORT_NODES_H

#include "loader/import/context.h"

/* Move each ONNX node behind the nodes that it reads, unless they are sorted already. */
resnet_status sort_nodes(import_context *ctx);

#endif
