/* ONNX requires sorted nodes. onnxruntime sorts the others itself, and its tools write
 * such files: its float16 converter puts the Casts of the input last. */
#include "loader/import/sort_nodes.h"

#include <string.h>

#include "loader/import/values.h"

/* Return the index of the node that computes the tensor, or n_node. */
static size_t producer_of(const import_context *ctx, const char *name) {
  const value *v = value_find(ctx, name);
  return v && v->origin >= ORIGIN_NODE ? v->origin - ORIGIN_NODE : ctx->source->n_node;
}

static bool are_sorted(const import_context *ctx) {
  for (size_t i = 0; i < ctx->source->n_node; i++) {
    const Onnx__NodeProto *node = ctx->source->node[i];
    for (size_t k = 0; k < node->n_input; k++) {
      const size_t producer = producer_of(ctx, node->input[k]);
      if (producer >= i && producer < ctx->source->n_node) return false;
    }
  }
  return true;
}

typedef struct sorting {
  Onnx__NodeProto **sorted;
  size_t placed;
  size_t *stack;  /* nodes whose inputs are yet to be placed */
  size_t *next;   /* by node: the next input to look at */
  bool *is_known; /* by node: it is or was on the stack */
} sorting;

/* Place the nodes that `first` reads, then `first`. A cycle's nodes are placed once each
 * and refused when they are imported. */
static void place_with_inputs(const import_context *ctx, sorting *s, size_t first) {
  size_t depth = 0;
  s->stack[depth++] = first;
  s->is_known[first] = true;
  while (depth > 0) {
    const size_t index = s->stack[depth - 1];
    Onnx__NodeProto *node = ctx->source->node[index];
    if (s->next[index] == node->n_input) {
      s->sorted[s->placed++] = node;
      depth--;
      continue;
    }
    const size_t producer = producer_of(ctx, node->input[s->next[index]++]);
    if (producer == ctx->source->n_node || s->is_known[producer]) continue;
    s->is_known[producer] = true;
    s->stack[depth++] = producer;
  }
}

resnet_status sort_nodes(import_context *ctx) {
  const size_t count = ctx->source->n_node;
  if (are_sorted(ctx)) return RESNET_OK;
  sorting s = {.sorted = import_scratch(ctx, count, sizeof *s.sorted),
               .stack = import_scratch(ctx, count, sizeof *s.stack),
               .next = import_scratch(ctx, count, sizeof *s.next),
               .is_known = import_scratch(ctx, count, sizeof *s.is_known)};
  if (!s.sorted || !s.stack || !s.next || !s.is_known)
    return err_no_memory(ctx->error, "the nodes' order");
  for (size_t i = 0; i < count; i++)
    if (!s.is_known[i]) place_with_inputs(ctx, &s, i);
  memcpy(ctx->source->node, s.sorted, count * sizeof *s.sorted);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < s.sorted[i]->n_output; k++) {
      value *v = value_find(ctx, s.sorted[i]->output[k]);
      if (v) v->origin = ORIGIN_NODE + i;
    }
  return RESNET_OK;
}
