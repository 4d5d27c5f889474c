/* Deferred padding: zeros or the lowest number around height and width.
 *
 * A Pad node does not always become a graph node. Its padding is kept in the value. The
 * next node takes it over as its own padding or, if it cannot, materialises it.
 */
#ifndef LIBRESNET_LOADER_IMPORT_PADDING_H
#define LIBRESNET_LOADER_IMPORT_PADDING_H

#include "loader/import/values.h"

/* Return whether `v` has deferred padding. */
bool padding_is_deferred(const value *v);

/* Append a GRAPH_PAD node for the deferred padding of `v`, which then refers to that
 * node. */
resnet_status padding_materialize(import_context *ctx, value *v);

/* Grow *s by the padding; refuse sides above GRAPH_MAX_SIDE. */
resnet_status padding_grow_shape(const import_context *ctx, graph_shape *s, uint64_t top,
                                 uint64_t left, uint64_t bottom, uint64_t right);

#endif
