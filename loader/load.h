/* The loader's entry point: from the bytes of an ONNX file to a graph. */
#ifndef LIBRESNET_LOADER_LOAD_H
#define LIBRESNET_LOADER_LOAD_H

#include "loader/graph/graph.h"

typedef struct load_options {
  uint64_t max_file_bytes;            /* at least 1 */
  uint32_t input_height, input_width; /* 0: the file's; 224 if it has none */
  /* name of the graph output with the scores; NULL: the only output */
  const char *output;
  /* read weights from files beside the model */
  bool external_data;
} load_options;

/* Build the graph of an ONNX file, or of a gzip of one. *out need not be initialised; on
 * failure it is all zero. `path` must be a regular file. */
resnet_status load_file(graph *out, memory *m, const char *path, const load_options *options,
                        resnet_error *error);
resnet_status load_memory(graph *out, memory *m, const void *bytes, size_t size,
                          const load_options *options, resnet_error *error);

/* Turn RESNET_ERROR_MEMORY into RESNET_ERROR_LIMIT, with a message, if the budget of `m`
 * refused an allocation; keep any other status. Returns the status. */
resnet_status load_explain_budget(const memory *m, resnet_status status, resnet_error *error);

#endif
