/* Handlers of operators that move no data, or only select it. Some take constants,
 * too. */
#ifndef LIBRESNET_LOADER_IMPORT_OP_VIEW_H
#define LIBRESNET_LOADER_IMPORT_OP_VIEW_H

#include "loader/import/context.h"

resnet_status op_identity(import_context *ctx);
resnet_status op_dropout(import_context *ctx);
resnet_status op_cast(import_context *ctx);
resnet_status op_cast_like(import_context *ctx);
resnet_status op_flatten(import_context *ctx);
resnet_status op_reshape(import_context *ctx);
resnet_status op_squeeze(import_context *ctx);
resnet_status op_unsqueeze(import_context *ctx);
resnet_status op_transpose(import_context *ctx);
resnet_status op_slice(import_context *ctx);
resnet_status op_gather(import_context *ctx);

#endif
