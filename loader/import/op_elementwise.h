/* Handlers of BatchNormalization, arithmetic with constants, additions, clamps,
 * LeakyRelu, PRelu and Softmax. */
#ifndef LIBRESNET_LOADER_IMPORT_OP_ELEMENTWISE_H
#define LIBRESNET_LOADER_IMPORT_OP_ELEMENTWISE_H

#include "loader/import/context.h"

resnet_status op_batch_normalization(import_context *ctx);
resnet_status op_relu(import_context *ctx);
resnet_status op_abs(import_context *ctx);
resnet_status op_pow(import_context *ctx);
resnet_status op_leaky_relu(import_context *ctx);
resnet_status op_prelu(import_context *ctx);
resnet_status op_clip(import_context *ctx);
resnet_status op_min_max(import_context *ctx);
resnet_status op_arithmetic(import_context *ctx);
resnet_status op_sum(import_context *ctx);
resnet_status op_mean(import_context *ctx);
resnet_status op_neg(import_context *ctx);
resnet_status op_softmax(import_context *ctx);
resnet_status op_log(import_context *ctx);

#endif
