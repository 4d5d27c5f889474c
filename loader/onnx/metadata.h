/* A model file's metadata: name, producer, labels, preprocessing. */
#ifndef LIBRESNET_LOADER_ONNX_METADATA_H
#define LIBRESNET_LOADER_ONNX_METADATA_H

#include "loader/graph/graph.h"
#include "onnx.pb-c.h"

/* Fill in the graph's name, producer, opset, labels (resnet.labels) and preprocessing
 * (resnet.preprocess, see metadata_preprocess.h). Its nodes must be complete. */
resnet_status metadata_read(graph *g, const Onnx__ModelProto *model, resnet_error *error);

#endif
