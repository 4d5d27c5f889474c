/* The graph in a plan file: the fields of graph.h, without weights, biases and
 * preprocessing.
 *
 *     u32 nodes, blocks, labels, diagnostics, output, opset
 *     text name, producer
 *     for each node:
 *       u32 op, input_count, input[2], h, w, c, block
 *       text name, output
 *       each GRAPH_FIELD of ops.def: u32, f32 or, for counts, u64
 *     for each block: text name; u32 shortcut, source, add
 *     for each label: text
 *     for each diagnostic: u32 severity; text
 */
#ifndef LIBRESNET_LOADER_GRAPH_GRAPH_IO_H
#define LIBRESNET_LOADER_GRAPH_GRAPH_IO_H

#include "loader/base/serial.h"
#include "loader/graph/graph.h"

/* Write `g`. */
void graph_write(serial_writer *w, const graph *g);

/* Read and check a graph that graph_write wrote, or that an attacker forged. On success
 * *out keeps every promise of graph.h, except that its nodes have counts of weights and
 * no weights yet. On failure *out is all zero. */
resnet_status graph_read(graph *out, memory *m, const uint8_t *bytes, size_t size,
                         resnet_error *error);

#endif
