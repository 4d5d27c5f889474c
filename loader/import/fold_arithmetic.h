/* Handlers of constants: operators that compute. */
#ifndef LIBRESNET_LOADER_IMPORT_FOLD_ARITHMETIC_H
#define LIBRESNET_LOADER_IMPORT_FOLD_ARITHMETIC_H

#include "loader/import/context.h"

resnet_status fold_arithmetic(import_context *ctx);
resnet_status fold_function(import_context *ctx);
resnet_status fold_clip(import_context *ctx);
resnet_status fold_not(import_context *ctx);
resnet_status fold_where(import_context *ctx);
resnet_status fold_range(import_context *ctx);
resnet_status fold_cast(import_context *ctx);
resnet_status fold_cast_like(import_context *ctx);

#endif
