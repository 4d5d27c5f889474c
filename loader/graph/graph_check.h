/* The promises of graph.h, verified. */
#ifndef LIBRESNET_LOADER_GRAPH_GRAPH_CHECK_H
#define LIBRESNET_LOADER_GRAPH_GRAPH_CHECK_H

#include "loader/graph/graph.h"

/* Fail unless `g` keeps every promise of graph.h that does not depend on the weights. */
resnet_status graph_check(const graph *g, resnet_error *error);

#endif
