/* Handlers of Pad, and of Concat where it adds channels of zeros or joins two pooled
 * vectors. */
#ifndef LIBRESNET_LOADER_IMPORT_OP_PAD_H
#define LIBRESNET_LOADER_IMPORT_OP_PAD_H

#include "loader/import/context.h"

resnet_status op_pad(import_context *ctx);
resnet_status op_concat(import_context *ctx);

#endif
