/* Files of other formats under the name of a model. */
#ifndef LIBRESNET_LOADER_ONNX_FOREIGN_H
#define LIBRESNET_LOADER_ONNX_FOREIGN_H

#include "loader/base/error.h"

/* Explain a file that is no ONNX model by its first `size` bytes; 512 are enough. Fail
 * with what it is and what to do. If the format is not recognised, keep the error and
 * return `status`. */
resnet_status onnx_explain_foreign(const uint8_t *bytes, size_t size, resnet_status status,
                                   resnet_error *error);

#endif
