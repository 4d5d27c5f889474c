/* Networks of a few ops with random weights, in the form that the loader passes to the
 * runtime, and their comparison with the reference. */
#ifndef LIBRESNET_TESTS_KERNEL_NETWORK_H
#define LIBRESNET_TESTS_KERNEL_NETWORK_H

#include "loader/graph/graph.h"
#include "runtime/api/model.h"
#include "runtime/plan/plan.h"

enum { MAX_NODES = 64 };

typedef struct network {
  memory *memory;
  graph graph;
} network;

/* Random numbers, the same in every run; random_unit returns -1..1. */
uint32_t random_below(uint32_t n);
float random_unit(void);
uint32_t pick(const uint32_t *from, uint32_t count);
float *random_floats(memory *m, size_t count);
graph_shape random_shape(void);
graph_window random_window(graph_shape in);

/* Make a network that is an input alone. Each added node becomes the output. Clamps are
 * random. */
network network_new(graph_shape input);
graph_node *network_add_node(network *n, graph_op op, uint32_t input, graph_shape shape);
void network_set_parameters(network *n, graph_node *node, size_t weights, size_t biases);
uint32_t network_add_conv(network *n, uint32_t input, const graph_window *w, uint32_t groups,
                          uint32_t channels);
/* `pads` are top, left, bottom, right. */
uint32_t network_add_pad(network *n, uint32_t input, graph_pad_mode mode, const uint32_t pads[4]);
/* Add ECA's convolution along the channels of a node of shape (1,1,c). */
uint32_t network_add_channel_conv(network *n, uint32_t input, uint32_t taps, uint32_t pad);
uint32_t network_add_scale(network *n, uint32_t input, uint32_t gate, bool sigmoid);
uint32_t network_add_pooled(network *n, uint32_t input); /* globally */
uint32_t network_add_sigmoid(network *n, uint32_t input);
graph_shape network_windowed(graph_shape in, const graph_window *w, uint32_t channels);

/* Kinds of our own convolutions in a plan: 1 << winograd_form, and these. */
enum {
  NETWORK_GEMM = 1 << WINOGRAD_FORMS,
  NETWORK_GEMM_ADDS = NETWORK_GEMM << 1,
  NETWORK_WINOGRAD_ADDS = NETWORK_GEMM << 2,
  NETWORK_STRIDE2 = NETWORK_GEMM << 3,
  NETWORK_KINDS = (NETWORK_GEMM << 4) - 1
};

unsigned network_kinds(const plan *p);

/* Let this kernel compute the convolutions of all later models, where it applies, and
 * XNNPACK the others, instead of those that the cost model prefers. */
void network_force(plan_kernel forced);

/* Make a model of the network, which keeps only its shapes. The caller releases the
 * graph, then closes the model, which destroys the network's memory. */
resnet_model *network_model(network *n, resnet_conv conv);

typedef struct network_result {
  double error; /* the largest of any op, divided by the op's largest value */
  unsigned kinds;
} network_result;

/* Run the network on a random batch in -scale..scale through the library and through the
 * reference, which adds up in double precision. Fail where an op's error is above
 * `tolerance`. Release the network. */
network_result network_measure(network *n, uint32_t batch, uint32_t threads, resnet_conv conv,
                               float scale, double tolerance);

/* Run network_measure with inputs and errors of ordinary size. */
void network_check(network *n, uint32_t batch, uint32_t threads, resnet_conv conv);

#endif
