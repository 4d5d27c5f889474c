/* Small ONNX files, written byte by byte: the loader's tests say in a line what a node
 * is. */
#ifndef LIBRESNET_TESTS_LOADER_NET_H
#define LIBRESNET_TESTS_LOADER_NET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>


#include "loader/graph/graph.h"
#include "loader/load.h"

/* last: it defines a macro named fail */
#include <cmocka.h>

    /* Bytes that grow; released by buffer_release. Running out of memory ends the program. */
    typedef struct buffer {
  uint8_t *data;
  size_t size, capacity;
} buffer;

void buffer_release(buffer *b);
void put_bytes(buffer *b, const void *bytes, size_t size);
void put_varint(buffer *b, uint64_t number);
/* Protobuf fields: a number, a fixed 32-bit float, bytes, text, and another buffer's
 * content (which is released). */
void put_number(buffer *b, uint32_t field, uint64_t number);
void put_float(buffer *b, uint32_t field, float number);
void put_field(buffer *b, uint32_t field, const void *bytes, size_t size);
void put_text(buffer *b, uint32_t field, const char *text);
void put_message(buffer *b, uint32_t field, buffer *message);

/* What a file says besides its graph; zero or NULL: the default in brackets. */
typedef struct net {
  buffer graph;       /* the fields of GraphProto so far */
  buffer extra;       /* further fields of ModelProto */
  int64_t opset;      /* (13) */
  int64_t ir;         /* (7) */
  const char *input;  /* dimensions of the input "x": numbers, names or nothing ("N,3,8,8") */
  int input_type;     /* its element type (1: float) */
  const char *output; /* names of the graph's outputs ("y") */
} net;

/* A node: inputs and outputs separated by commas ("" is left out), attributes by blanks:
 * "kernel_shape=3,3" is a list ("axes=1," a list of one), of floats where there is a
 * point, "group=2" an integer, "epsilon=1e-5" a float, "auto_pad=VALID" text. Its name is
 * its operator, an underscore and its first output. */
void add(net *n, const char *operator_type, const char *inputs, const char *outputs,
         const char *attributes);
/* Initialisers; dims as "8,3,3,3", or "" for a scalar. Floats in raw_data, integers in
 * int64_data. */
void add_floats(net *n, const char *name, const char *dims, const float *numbers);
void add_integers(net *n, const char *name, const char *dims, const int64_t *numbers);
/* Floats that look random and differ with `seed`, in (-0.5, 0.5]. */
void add_random(net *n, const char *name, const char *dims, uint32_t seed);
float random_float(uint32_t seed, size_t index);
void add_metadata(net *n, const char *key, const char *text);
/* Where a TensorProto's data are, outside: an entry, and several as "location=w
 * offset=8". */
void put_external_entry(buffer *tensor, const char *key, const void *value, size_t size);
void put_external(buffer *tensor, const char *entries);

/* A convolution with random weights of its own, "w_" and the output's name. */
void add_conv(net *n, const char *input, const char *output, const char *dims,
              const char *attributes);

/* A net with nodes under test between a convolution (3 to 4 channels, 8x8) "c" and the
 * head, which reads "t". */
void begin_net(net *n);
void end_net(net *n);

/* The file's bytes; *n is released. */
buffer finish(net *n);

/* gzip of the bytes, one member. */
buffer gzip(const void *bytes, size_t size);

/* Finish and load with default options; the graph's memory is in a static allocator,
 * which must be empty before and is checked by unload. */
resnet_status load(net *n, graph *g, resnet_error *error);
resnet_status load_bytes(const buffer *file, const load_options *options, graph *g,
                         resnet_error *error);
/* Load what must load, and release what must leave nothing behind. */
void load_good(net *n, graph *g);
void unload(graph *g);
/* Load what must be refused with `status` and a message that contains all of `fragments`,
 * separated by '|'. */
void refuse_net(net *n, resnet_status status, const char *fragments);

/* The node of this name; fails the test where there is none. */
const graph_node *find_node(const graph *g, const char *name);
uint32_t find_index(const graph *g, const char *name);
/* The output's node. */
const graph_node *find_scores(const graph *g);

/* What graph.h promises of every graph. */
void check_invariants(const graph *g);
/* Block `index` and the names of the nodes that it begins behind and ends with. */
void check_block(const graph *g, uint32_t index, const char *name, resnet_shortcut shortcut,
                 const char *source, const char *last);
/* Finish and load both: they must be one graph, names aside, numbers to a millionth. */
void same_graphs(net *a, net *b);

#endif
