#include "loader/graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/mask.h"

const graph_op_row graph_op_rows[GRAPH_OP_COUNT] = {
#define GRAPH_OP(NAME, name, inputs, fields, check, kernel)                                        \
  [GRAPH_##NAME] = {#NAME, inputs, fields},
#include "loader/graph/ops.def"
};

bool graph_op_uses(graph_op op, unsigned use) { return (graph_op_rows[op].fields & use) != 0; }

void graph_release_nodes(memory *m, graph_node *nodes, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    mem_release(m, nodes[i].name);
    mem_release(m, nodes[i].output);
    if (nodes[i].weights_borrowed) continue;
    mem_release(m, nodes[i].weights);
    mem_release(m, nodes[i].bias);
  }
  mem_release(m, nodes);
}

void graph_release(graph *g) {
  memory *m = g->memory;
  if (!m) return;
  graph_release_nodes(m, g->nodes, g->node_count);
  for (uint32_t i = 0; i < g->block_count; i++) mem_release(m, g->blocks[i].name);
  for (uint32_t i = 0; i < g->label_count; i++) mem_release(m, g->labels[i]);
  for (uint32_t i = 0; i < g->diagnostic_count; i++) mem_release(m, g->diagnostics[i].message);
  mem_release(m, g->diagnostics);
  mem_release(m, g->blocks);
  mem_release(m, g->labels);
  mem_release(m, g->name);
  mem_release(m, g->producer);
  memset(g, 0, sizeof *g);
}

resnet_status graph_add_diagnostic(graph *g, resnet_error *error, resnet_severity severity,
                                   const char *format, ...) {
  char text[RESNET_ERROR_MESSAGE_SIZE];
  if (g->diagnostic_count == GRAPH_MAX_DIAGNOSTICS) return RESNET_OK;
  if (!g->diagnostics)
    g->diagnostics = mem_allocate(g->memory, GRAPH_MAX_DIAGNOSTICS, sizeof *g->diagnostics);
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  mask_text(text);
  char *message = g->diagnostics ? mem_copy_string(g->memory, text, strlen(text)) : NULL;
  if (!message) return err_no_memory(error, "the diagnostics");
  g->diagnostics[g->diagnostic_count++] = (graph_diagnostic){severity, message};
  return RESNET_OK;
}

bool graph_all_finite(const float *numbers, size_t count) {
  /* IEEE 754: with all bits of the exponent set, a float is infinite or NaN. */
  static const uint32_t exponent = 0x7f800000;
  uint32_t others = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &numbers[i], sizeof bits);
    /* No early exit, so that compilers vectorise the loop. */
    others |= (bits & exponent) == exponent;
  }
  return others == 0;
}

bool graph_is_binary(resnet_scores scores) {
  return scores == RESNET_SCORES_BINARY_LOGIT || scores == RESNET_SCORES_BINARY_PROBABILITY;
}

uint32_t graph_class_count(resnet_scores scores, uint32_t count) {
  if (scores == RESNET_SCORES_EMBEDDING) return 0;
  return graph_is_binary(scores) ? 2 : count;
}

void graph_take_as_classes(graph *g, uint32_t count) {
  const graph_node *last = &g->nodes[g->output];
  if (last->shape.c != count || count < 2 || last->op == GRAPH_SOFTMAX) return;
  g->scores = RESNET_SCORES_LOGITS;
}
