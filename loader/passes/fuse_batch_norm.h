/* Folding of batch normalisations and other scales and shifts of channels. */
#ifndef LIBRESNET_LOADER_PASSES_FUSE_BATCH_NORM_H
#define LIBRESNET_LOADER_PASSES_FUSE_BATCH_NORM_H

#include "loader/import/context.h"

/* Fold node `index`, an AFFINE, into the pending affine of its producer `into`. Returns
 * false if that is not linear, or clamps. */
bool fuse_batch_norm(import_context *ctx, uint32_t into, uint32_t index);

/* Apply the node's pending affine to its weights: w' = scale w, b' = scale b + shift.
 * Fail if one overflows. */
resnet_status fuse_apply_affine(import_context *ctx, uint32_t index);

#endif
