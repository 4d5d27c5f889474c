/* Handlers of pools and reductions over height and width. */
#ifndef LIBRESNET_LOADER_IMPORT_OP_POOL_H
#define LIBRESNET_LOADER_IMPORT_OP_POOL_H

#include "loader/import/context.h"

resnet_status op_max_pool(import_context *ctx);
resnet_status op_average_pool(import_context *ctx);
resnet_status op_global_average_pool(import_context *ctx);
resnet_status op_global_max_pool(import_context *ctx);
resnet_status op_reduce(import_context *ctx);

#endif
