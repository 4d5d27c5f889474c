/* Diagnostics. */
#ifndef LIBRESNET_LOADER_PASSES_DIAGNOSE_H
#define LIBRESNET_LOADER_PASSES_DIAGNOSE_H

#include "loader/import/context.h"

/* Add a diagnostic to the graph for each problem found in a model that can still be
 * run. */
resnet_status diagnose_graph(import_context *ctx);

#endif
