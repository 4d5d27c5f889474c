/* Builders of graph nodes. They return NULL on failure; *status has the reason. */
#ifndef LIBRESNET_LOADER_IMPORT_NODES_H
#define LIBRESNET_LOADER_IMPORT_NODES_H

#include "loader/import/values.h"

/* Bytes that are kept of a node's name. */
enum { NODE_NAME_SIZE = 256 };

/* Append a node that reads `input` (RESNET_NO_INDEX: none) and make it the result of the
 * ONNX node at hand, viewed as (n,c,h,w). */
graph_node *node_add(import_context *ctx, graph_op op, uint32_t input, graph_shape shape,
                     resnet_status *status);

/* Append a node with names of its own, which is the result of no ONNX node. */
graph_node *node_append(import_context *ctx, graph_op op, uint32_t input, graph_shape shape,
                        const char *name, const char *output, resnet_status *status);

/* Node `index` computes only a part of what the ONNX node at hand does: its output equals
 * no tensor of the file. */
resnet_status node_hide_output(import_context *ctx, uint32_t index);

/* Add a node that keeps the shape and the view of `x`. */
graph_node *node_add_elementwise(import_context *ctx, graph_op op, const value *x,
                                 resnet_status *status);

/* Add a node that makes an image of another shape from the image `x`, in the order of
 * x. */
graph_node *node_add_image(import_context *ctx, graph_op op, const value *x, graph_shape shape,
                           resnet_status *status);

/* Add an AFFINE node over the channels of x. Returns its affine: scale 1, shift 0. */
pending_affine *node_add_affine(import_context *ctx, const value *x, resnet_status *status);

/* Make `v` a vector (1,1,h*w*c) in ONNX's order of its elements, its padding
 * materialised. The dimensions of its view stay. */
resnet_status node_flatten(import_context *ctx, value *v);

/* Do so if `v` is viewed as (n,elements), for operators on those. */
resnet_status node_flatten_vector(import_context *ctx, value *v);

/* Give `n` a bias of `count` floats: those of t times `scale`, or zeros if t is NULL. */
resnet_status node_make_bias(import_context *ctx, graph_node *n, const constant *t, size_t count,
                             double scale);

/* Return the graph's node `index`. */
graph_node *node_at(const import_context *ctx, uint32_t index);

#endif
