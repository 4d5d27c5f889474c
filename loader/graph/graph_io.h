/* The graph in a plan file: loader/graph/graph.h's fields as plan_stream has them, but for
 * weights, biases and preprocessing.
 *
 *     u32 nodes, blocks, labels, diagnostics, output, opset; text name, producer
 *     for each node: u32 op, input_count, input[2], h, w, c, block; text name, output; u32 the ten of graph_window,
 *       groups, count_padding, stride_h, stride_w, channels_before, sigmoid, pad_mode, winograd_safety; f32 clamp_min,
 *       clamp_max, pad_value;
 *       u64 weight_count, bias_count
 *     for each block: text name; u32 shortcut, source, add
 *     for each label: text
 *     for each diagnostic: u32 severity; text
 */
#ifndef LIBRESNET_LOADER_GRAPH_GRAPH_IO_H
#define LIBRESNET_LOADER_GRAPH_GRAPH_IO_H

#include "loader/base/serial.h"
#include "loader/graph/graph.h"

void graph_write(serial_writer *w, const graph *g);

/* Read and check what graph_write wrote, or what somebody forged: on success *out
 * has all that loader/graph/graph.h promises, but that its nodes have counts of weights and no
 * weights yet. On failure *out is all zero. */
resnet_status graph_read(graph *out, memory *m, const uint8_t *bytes, size_t size,
                         resnet_error *error);

/* graph_check.c: every promise of loader/graph/graph.h that does not need the weights. */

#endif
