/* From bytes to the protobuf-c structs of generated/onnx.pb-c.h, with checks of the model
 * as a whole: versions, functions. */
#ifndef LIBRESNET_LOADER_ONNX_ONNX_PARSE_H
#define LIBRESNET_LOADER_ONNX_ONNX_PARSE_H

#include "loader/base/error.h"
#include "loader/base/memory.h"
#include "loader/onnx/byte_stream.h"
#include "onnx.pb-c.h"

/* Range of operator sets and file formats (IR versions) that are accepted. */
enum { ONNX_OPSET_MIN = 1, ONNX_OPSET_MAX = 28, ONNX_IR_MIN = 3, ONNX_IR_MAX = 14 };

/* Read the stream to its end. On success the caller releases *model with onnx_release,
 * and its graph is not NULL. */
resnet_status onnx_parse(byte_stream *stream, memory *m, Onnx__ModelProto **model,
                         resnet_error *error);

void onnx_release(Onnx__ModelProto *model, memory *m);

/* Return the version of the default operator set; 0 if the file names none. */
int64_t onnx_opset(const Onnx__ModelProto *model);

/* Return a string field's text; "" if the file has none. */
const char *onnx_text(const char *field);

/* Return whether `domain` is ONNX's own: "" or "ai.onnx". */
bool onnx_is_default_domain(const char *domain);

#endif
