/* The plan's arithmetic in plain C, summed in double precision: the kernels are tested
 * against it. */
#ifndef LIBRESNET_TESTS_REFERENCE_H
#define LIBRESNET_TESTS_REFERENCE_H

#include "loader/graph/graph.h"

/* Compute the output (n,h,w,c) of graph node `index` from its inputs; `values[i]` is node
 * i's output. */
void reference_run_node(const graph *g, uint32_t index, float **values, uint32_t batch);

#endif
