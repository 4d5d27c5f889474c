/* Handlers of gates: squeeze-and-excitation, ECA, HardSwish. */
#ifndef LIBRESNET_LOADER_IMPORT_OP_GATE_H
#define LIBRESNET_LOADER_IMPORT_OP_GATE_H

#include "loader/import/constants.h"

resnet_status op_sigmoid(import_context *ctx);
resnet_status op_hard_sigmoid(import_context *ctx);
resnet_status op_hard_swish(import_context *ctx);
resnet_status op_scale(import_context *ctx);
resnet_status op_expand(import_context *ctx);

/* Import a Conv over one axis: only that of ECA, along the channels, is accepted. */
resnet_status op_channel_conv(import_context *ctx, const constant *weights);

#endif
