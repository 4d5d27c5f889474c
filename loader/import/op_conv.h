/* Handlers of Conv, Gemm and MatMul. */
#ifndef LIBRESNET_LOADER_IMPORT_OP_CONV_H
#define LIBRESNET_LOADER_IMPORT_OP_CONV_H

#include "loader/import/context.h"

resnet_status op_conv(import_context *ctx);
resnet_status op_gemm(import_context *ctx);
resnet_status op_matmul(import_context *ctx);

#endif
