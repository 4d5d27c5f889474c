#include "tests/unit/plan_gated.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/plan/select_kernels.h"
#include "tests/unit/kernel_network.h"

static const graph_window pointwise = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
                          valid3x3 = {3, 3, 1, 1, 1, 1, 0, 0, 0, 0};
static const graph_window strided3x3 = {3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
                          half = {2, 2, 2, 2, 1, 1, 0, 0, 0, 0};

static uint32_t add_sum(network *n, uint32_t residual, uint32_t shortcut) {
  graph_node *sum = network_add_node(n, GRAPH_ADD, residual, n->graph.nodes[residual].shape);
  sum->input[1] = shortcut;
  sum->input_count = 2;
  return n->graph.output;
}

static void add_nodes(network *n) {
  (void)network_add_pad(n, 0, GRAPH_PAD_REFLECT, (const uint32_t[4]){1, 1, 1, 1});
  (void)network_add_conv(n, GATED_REFLECT, &valid3x3, 1, 8);
  graph_node *pool = network_add_node(n, GRAPH_AVERAGE_POOL, GATED_STEM, (graph_shape){4, 4, 8});
  pool->window = half;
  (void)network_add_conv(n, GATED_STEM, &strided3x3, 1, 8);
  (void)network_add_pooled(n, GATED_CONV);
  (void)network_add_conv(n, GATED_SQUEEZE, &pointwise, 1, 2);
  (void)network_add_conv(n, GATED_REDUCE, &pointwise, 1, 8);
  (void)network_add_scale(n, GATED_CONV, GATED_EXPAND, true);
  (void)add_sum(n, GATED_SCALE, GATED_POOL);
  (void)network_add_pad(n, GATED_ADD, GRAPH_PAD_CONSTANT, (const uint32_t[4]){1, 1, 1, 1});
  (void)network_add_conv(n, GATED_CONSTANT, &valid3x3, 1, 8);
  (void)network_add_pooled(n, GATED_CONV_2);
  (void)network_add_channel_conv(n, GATED_SQUEEZE_2, 3, 1);
  (void)network_add_sigmoid(n, GATED_CHANNELS);
  (void)network_add_scale(n, GATED_CONV_2, GATED_SIGMOID, false);
  (void)add_sum(n, GATED_SCALE_2, GATED_ADD);
  (void)network_add_pad(n, GATED_ADD_2, GRAPH_PAD_EDGE, (const uint32_t[4]){0, 1, 2, 0});
  (void)network_add_pooled(n, GATED_EDGE);
  graph_node *linear = network_add_node(n, GRAPH_LINEAR, GATED_HEAD, (graph_shape){1, 1, 3});
  network_set_parameters(n, linear, 3 * 8, 3);
  assert_int_equal(n->graph.node_count, GATED_COUNT);
  n->graph.nodes[GATED_CONSTANT].scalar = 0.5f;
}

/* Empty the fields that operators do not use, as the loader does. */
static void empty_unused(graph *g) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    graph_node *node = &g->nodes[i];
    const bool relu = node->op == GRAPH_ADD || i == GATED_REDUCE;
    node->clamp_min = relu ? 0.0f : -INFINITY;
    node->clamp_max = INFINITY;
    if (node->op != GRAPH_CONV) node->groups = 0;
    for (uint32_t k = node->input_count; k < 2; k++) node->input[k] = RESNET_NO_INDEX;
    if (i >= GATED_POOL && i <= GATED_ADD) node->block = 0;
    if (i >= GATED_CONSTANT && i <= GATED_ADD_2) node->block = 1;
  }
}

static void add_block(network *n, const char *name, resnet_shortcut shortcut, uint32_t source,
                      uint32_t add) {
  n->graph.blocks[n->graph.block_count++] =
      (graph_block){mem_copy_string(n->memory, name, strlen(name)), shortcut, source, add};
}

resnet_model *gated_model(void) {
  network n = network_new((graph_shape){8, 8, 3});
  mem_release(n.memory, n.graph.producer);
  n.graph.producer = mem_copy_string(n.memory, "tf2onnx", 7);
  add_nodes(&n);
  empty_unused(&n.graph);
  n.graph.blocks = mem_allocate(n.memory, 2, sizeof *n.graph.blocks);
  add_block(&n, "stage1.block1", RESNET_SHORTCUT_POOL, GATED_STEM, GATED_ADD);
  add_block(&n, "stage1.block2", RESNET_SHORTCUT_IDENTITY, GATED_ADD, GATED_ADD_2);
  (void)graph_add_diagnostic(&n.graph, NULL, RESNET_NOTE, "scores are logits");
  (void)graph_add_diagnostic(&n.graph, NULL, RESNET_WARNING,
                             "node 'r\xc3\xa9seau': its bias is its neighbour's");
  (void)graph_add_diagnostic(&n.graph, NULL, RESNET_NOTE, "the batch is fixed");
  plan_find_winograd_safety(&n.graph);
  plan_file kept;
  assert_int_equal(plan_file_keep(&kept, n.memory, &n.graph, NULL), RESNET_OK);
  resnet_model *model = network_model(&n, RESNET_CONV_AUTO);
  model->file = kept; /* as with keep_weights */
  graph_release(&n.graph);
  return model;
}
