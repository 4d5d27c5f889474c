/* Handlers of constants: operators that move elements. */
#ifndef LIBRESNET_LOADER_IMPORT_FOLD_CONSTANTS_H
#define LIBRESNET_LOADER_IMPORT_FOLD_CONSTANTS_H

#include "loader/import/context.h"

resnet_status fold_constant(import_context *ctx);
resnet_status fold_shape(import_context *ctx);
resnet_status fold_gather(import_context *ctx);
resnet_status fold_slice(import_context *ctx);
resnet_status fold_concat(import_context *ctx);
resnet_status fold_transpose(import_context *ctx);
resnet_status fold_constant_of_shape(import_context *ctx);
resnet_status fold_expand(import_context *ctx);
resnet_status fold_tile(import_context *ctx);

#endif
