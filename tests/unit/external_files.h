/* Models with external data, written to a folder of the test program's own. */
#ifndef LIBRESNET_TESTS_EXTERNAL_FILES_H
#define LIBRESNET_TESTS_EXTERNAL_FILES_H

#include "loader_network.h"

/* onnx/onnx.proto: TensorProto.DataType, and fields of TensorProto */
enum { FLOAT = 1, INT32 = 6, INT64 = 7, BOOL = 9, FLOAT16 = 10, DOUBLE = 11 };
enum { RAW_DATA = 9, EXTERNAL_DATA = 13, DATA_LOCATION = 14, INITIALIZER = 5 };

extern const load_options external_on; /* external data are allowed */
extern const float external_numbers[8];
extern char external_folder[]; /* path of the folder */

/* Make the folder and enter it; remove it with everything in it. For cmocka's groups. */
int make_folder(void **state);
int remove_folder(void **state);

void write_bytes(const char *path, const void *bytes, size_t size);
/* Write a network's file and release *n. */
void write_network(const char *path, network *n);

/* Return the number of open file descriptors. */
size_t descriptors(void);

/* Begin a TensorProto of two dimensions with external data. */
buffer begin_tensor(const char *name, uint64_t type, uint64_t rows, uint64_t columns);
/* Add a tensor of (3,2): the matrix of a fully connected layer over three channels. */
void add_external(network *n, const char *name, uint64_t type, const char *entries);
/* Add a fully connected layer "y" with the matrix "k". */
void add_layer(network *n);
/* Write a model of this layer, whose matrix is external. */
void write_model(const char *path, uint64_t type, const char *entries);

/* Load what must load; fail the test otherwise. */
void load_from(const char *path, const load_options *options, memory *m, graph *g);

#endif
