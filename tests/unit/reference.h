/* The plan's arithmetic written as plainly as C allows: what the kernels are tested
 * against. Accumulates in double. */
#ifndef LIBRESNET_TESTS_REFERENCE_H
#define LIBRESNET_TESTS_REFERENCE_H

#include "loader/graph/graph.h"

/* out (n,h,w,c) of graph node `index` from its inputs' values; `values[i]` is node i's
 * output. */
void reference_run_node(const graph *g, uint32_t index, float **values, uint32_t batch);

#endif
