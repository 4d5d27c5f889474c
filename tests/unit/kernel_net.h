/* Networks of a few ops with random weights, in the form that the loader passes to the
 * runtime, and their comparison with the reference. */
#ifndef LIBRESNET_TESTS_KERNEL_NET_H
#define LIBRESNET_TESTS_KERNEL_NET_H

#include "loader/graph/graph.h"
#include "runtime/api/model.h"
#include "runtime/plan/plan.h"

enum { MAX_NODES = 64 };

typedef struct net {
  memory *memory;
  graph graph;
} net;

/* Random numbers, the same in every run; random_unit returns -1..1. */
uint32_t random_below(uint32_t n);
float random_unit(void);
uint32_t pick(const uint32_t *from, uint32_t count);
float *random_floats(memory *m, size_t count);
graph_shape random_shape(void);
graph_window random_window(graph_shape in);

/* Make a network of an input alone. Each node added becomes the output. Clamps are
 * random. */
net net_new(graph_shape input);
graph_node *net_add_node(net *n, graph_op op, uint32_t input, graph_shape shape);
void net_set_parameters(net *n, graph_node *node, size_t weights, size_t biases);
uint32_t net_add_conv(net *n, uint32_t input, const graph_window *w, uint32_t groups,
                      uint32_t channels);
/* `pads` are top, left, bottom, right. */
uint32_t net_add_pad(net *n, uint32_t input, graph_pad_mode mode, const uint32_t pads[4]);
/* Add ECA's convolution along the channels of a node of shape (1,1,c). */
uint32_t net_add_channel_conv(net *n, uint32_t input, uint32_t taps, uint32_t pad);
uint32_t net_add_scale(net *n, uint32_t input, uint32_t gate, bool sigmoid);
uint32_t net_add_pooled(net *n, uint32_t input); /* globally */
uint32_t net_add_sigmoid(net *n, uint32_t input);
graph_shape net_windowed(graph_shape in, const graph_window *w, uint32_t channels);

/* Kinds of our own convolutions in a plan: 1 << winograd_form, and these. */
enum {
  NET_GEMM = 1 << WINOGRAD_FORMS,
  NET_GEMM_ADDS = NET_GEMM << 1,
  NET_WINOGRAD_ADDS = NET_GEMM << 2,
  NET_STRIDE2 = NET_GEMM << 3,
  NET_KINDS = (NET_GEMM << 4) - 1
};

unsigned net_kinds(const plan *p);

/* Make a model of the network, which keeps only its shapes. The caller releases the
 * graph, then closes the model, which destroys the network's memory. */
resnet_model *net_model(net *n, resnet_conv conv);

typedef struct net_result {
  double error; /* the largest of any op, divided by the op's largest value */
  unsigned kinds;
} net_result;

/* Run the network on a random batch in -scale..scale through the library and through the
 * reference, which adds up in double precision. Fail where an op's error is above
 * `tolerance`. Release the network. */
net_result net_measure(net *n, uint32_t batch, uint32_t threads, resnet_conv conv, float scale,
                       double tolerance);

/* Run net_measure with inputs and errors of ordinary size. */
void net_check(net *n, uint32_t batch, uint32_t threads, resnet_conv conv);

#endif
