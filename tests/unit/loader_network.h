/* Small ONNX files, written byte by byte: a test needs one line for each node. */
#ifndef LIBRESNET_TESTS_LOADER_NETWORK_H
#define LIBRESNET_TESTS_LOADER_NETWORK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loader/graph/graph.h"
#include "loader/load.h"

/* Bytes that grow; buffer_release frees them. Running out of memory ends the
     * program. */
typedef struct buffer {
  uint8_t *data;
  size_t size, capacity;
} buffer;

void buffer_release(buffer *b);
void put_bytes(buffer *b, const void *bytes, size_t size);
void put_varint(buffer *b, uint64_t number);
/* Append a protobuf field: a number, a 32-bit float, bytes, text, or another buffer's
 * content, which is released. */
void put_number(buffer *b, uint32_t field, uint64_t number);
void put_float(buffer *b, uint32_t field, float number);
void put_field(buffer *b, uint32_t field, const void *bytes, size_t size);
void put_text(buffer *b, uint32_t field, const char *text);
void put_message(buffer *b, uint32_t field, buffer *message);

/* A file under construction; for zero or NULL it gets the default in brackets. */
typedef struct network {
  buffer graph;       /* fields of GraphProto so far */
  buffer extra;       /* further fields of ModelProto */
  int64_t opset;      /* (13) */
  int64_t ir;         /* (7) */
  const char *input;  /* dims of the input "x": numbers, names or nothing ("N,3,8,8") */
  int input_type;     /* its element type (1: float) */
  const char *output; /* names of the graph's outputs ("y") */
} network;

/* Add a node. Inputs and outputs are separated by commas ("" is an omitted one),
 * attributes by blanks: "kernel_shape=3,3" is a list ("axes=1," a list of one), of floats
 * where it contains a point, "group=2" an integer, "epsilon=1e-5" a float,
 * "auto_pad=VALID" text. The node's name is its operator, an underscore and its first
 * output. */
void add(network *n, const char *operator_type, const char *inputs, const char *outputs,
         const char *attributes);
/* Add an initialiser; dims as "8,3,3,3", or "" for a scalar. Floats are stored in
 * raw_data, integers in int64_data. */
void add_floats(network *n, const char *name, const char *dims, const float *numbers);
void add_integers(network *n, const char *name, const char *dims, const int64_t *numbers);
/* Add floats in (-0.5, 0.5] that look random and differ with `seed`. */
void add_random(network *n, const char *name, const char *dims, uint32_t seed);
float random_float(uint32_t seed, size_t index);
void add_metadata(network *n, const char *key, const char *text);
/* Append where a TensorProto's external data are: one entry, or several as "location=w
 * offset=8". */
void put_external_entry(buffer *tensor, const char *key, const void *value, size_t size);
void put_external(buffer *tensor, const char *entries);

/* Add a convolution with random weights of its own, "w_" and the output's name. */
void add_conv(network *n, const char *input, const char *output, const char *dims,
              const char *attributes);

/* Begin a network with a convolution "c" (3 to 4 channels, 8x8), for nodes under test.
 * Its head, which end_network adds, reads "t". */
void begin_network(network *n);
void end_network(network *n);

/* Return the file's bytes and release *n. */
buffer finish(network *n);

/* Return the bytes as one member of gzip. */
buffer gzip(const void *bytes, size_t size);

/* Finish and load with default options. The graph's memory is in a static allocator,
 * which must be empty before; unload checks it. */
resnet_status load(network *n, graph *g, resnet_error *error);
resnet_status load_bytes(const buffer *file, const load_options *options, graph *g,
                         resnet_error *error);
/* Load a network, which must succeed; unload checks that nothing leaks. */
void load_good(network *n, graph *g);
void unload(graph *g);
/* Load a network that must be refused with `status` and a message that contains all of
 * `fragments`, separated by '|'. */
void refuse_network(network *n, resnet_status status, const char *fragments);

/* Return the node of this name; fail the test if there is none. */
const graph_node *find_node(const graph *g, const char *name);
uint32_t find_index(const graph *g, const char *name);
/* Return the output's node. */
const graph_node *find_scores(const graph *g);

/* Check what graph.h promises of every graph. */
void check_invariants(const graph *g);
/* Check block `index` and the names of the nodes that it reads from and ends with. */
void check_block(const graph *g, uint32_t index, const char *name, resnet_shortcut shortcut,
                 const char *source, const char *last);
/* Finish and load both: they must give the same graph except for names, with numbers that
 * differ by less than a millionth. */
void same_graphs(network *a, network *b);

#endif
