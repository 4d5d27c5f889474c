/* The loader's entry: the bytes of an ONNX file become a graph. */
#ifndef LIBRESNET_LOADER_LOAD_H
#define LIBRESNET_LOADER_LOAD_H

#include "loader/graph/graph.h"

typedef struct load_options {
  uint64_t max_file_bytes;            /* never 0 here */
  uint32_t input_height, input_width; /* 0: the file's; 224 where it has none */
  /* name of the graph output that is to be the scores; NULL: the only one */
  const char *output;
  /* weights may stand in files beside the model's */
  bool external_data;
} load_options;

/* Build the graph of an ONNX file (or gzip of one) into *out, which need not be
 * initialised. On failure *out is all zero. `path` must be a regular file. */
resnet_status load_file(graph *out, memory *m, const char *path, const load_options *options,
                        resnet_error *error);
resnet_status load_memory(graph *out, memory *m, const void *bytes, size_t size,
                          const load_options *options, resnet_error *error);

#endif
