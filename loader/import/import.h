/* The import: the nodes of an ONNX graph become constants or nodes of the residual
 * graph. */
#ifndef LIBRESNET_LOADER_IMPORT_IMPORT_H
#define LIBRESNET_LOADER_IMPORT_IMPORT_H

#include "loader/import/context.h"

/* Import `model` into *ctx->graph: its input, its nodes in sorted order, its scores.
 * Every ONNX node that computes something becomes a graph node of its own. */
resnet_status import_model(import_context *ctx, const Onnx__ModelProto *model);

#endif
