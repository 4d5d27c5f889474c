#include "loader/graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
  err_mask_control(text);
  char *message = g->diagnostics ? mem_copy_string(g->memory, text, strlen(text)) : NULL;
  if (!message) return err_no_memory(error, "the diagnostics");
  g->diagnostics[g->diagnostic_count++] = (graph_diagnostic){severity, message};
  return RESNET_OK;
}

bool graph_all_finite(const float *numbers, size_t count) {
  /* all ones: infinite or no number (IEEE 754) */
  static const uint32_t exponent = 0x7f800000;
  uint32_t others = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &numbers[i], sizeof bits);
    /* no way out of the loop: compilers make vectors of it */
    others |= (bits & exponent) == exponent;
  }
  return others == 0;
}
