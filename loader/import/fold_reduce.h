/* Handler of constants: sums, means and the like over axes. */
#ifndef LIBRESNET_LOADER_IMPORT_FOLD_REDUCE_H
#define LIBRESNET_LOADER_IMPORT_FOLD_REDUCE_H

#include "loader/import/context.h"

resnet_status fold_reduce(import_context *ctx);

#endif
