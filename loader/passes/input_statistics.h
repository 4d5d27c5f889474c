/* Recognises the mean and deviation of images among a model's constants. */
#ifndef LIBRESNET_LOADER_PASSES_INPUT_STATISTICS_H
#define LIBRESNET_LOADER_PASSES_INPUT_STATISTICS_H

#include "loader/graph/graph.h"

/* What is computed on the input, one for each channel: (x - mean) / deviation. */
typedef struct input_statistics {
  uint32_t channels; /* 1 or 3 */
  double mean[3], deviation[3];
  bool learned; /* by a batch normalisation; else written by the exporter */
} input_statistics;

/* Set what the statistics show: the kind, and with GRAPH_EVIDENCE_VALUES the values and
 * the order. The text stays unset. */
void pass_recognise_statistics(const input_statistics *s, graph_evidence *out);

/* Set the values for inputs of low to high, from pixels of 0 to 255. */
void pass_set_range(double low, double high, graph_evidence *out);

#endif
