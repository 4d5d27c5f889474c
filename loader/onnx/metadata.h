/* What a model file says about itself: name, producer, labels, preprocessing. */
#ifndef LIBRESNET_LOADER_ONNX_METADATA_H
#define LIBRESNET_LOADER_ONNX_METADATA_H

#include "loader/graph/graph.h"
#include "onnx.pb-c.h"

/* Fill g's name, producer, opset, labels and preprocess; g's nodes are complete. */
resnet_status metadata_read(graph *g, const Onnx__ModelProto *model, resnet_error *error);

#endif
