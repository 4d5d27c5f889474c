/* Division by the Euclidean norm of the channels, in the spellings of exporters. */
#ifndef LIBRESNET_LOADER_IMPORT_OP_NORM_H
#define LIBRESNET_LOADER_IMPORT_OP_NORM_H

#include "loader/import/context.h"

resnet_status op_lp_normalization(import_context *ctx);

/* Import ReduceL2 and ReduceSumSquare. */
resnet_status op_reduce_norm(import_context *ctx);

/* Import a ReduceSum over the axes of `mask`, which are not height and width: the sum of
 * squares of the channels. */
resnet_status op_reduce_squares(import_context *ctx, value *x, uint32_t mask, bool keep);

/* Import a node with a VALUE_NORM among its inputs. */
resnet_status op_continue_norm(import_context *ctx);

#endif
