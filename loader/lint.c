/* Findings: what a file looks to be wrong or unusual in, though it could be lowered. Exports that are known to be bad
 * are named by the issue that describes them. */
#include <string.h>

#include "lower.h"
#include "onnx_parse.h"

/* ---- a bias shared by mistake -------------------------------------------------------------------------------- */

static bool is_conv_with_bias(const lowering *l, const Onnx__NodeProto *node) {
  return node->n_input == 3 && node->input[2][0] && strcmp(onnx_text(node->op_type), "Conv") == 0 && is_live(l, node);
}

static bool is_all_zero(const lowering *l, const char *name) {
  const value *v = values_find(l, name);
  const tensor *t = v && v->kind == VALUE_TENSOR ? v->tensor : NULL;
  for (size_t i = 0; t && t->is_float && t->floats && i < t->count; i++)
    if (t->floats[i] < 0 || t->floats[i] > 0) return false;
  return true;
}

/* onnxscript's fusion of batch normalisations named the new bias after the convolution's input (September to November
 * 2025; onnxscript issue 2553, mended by 2680): a block's first convolution and its projection then read one bias. */
static resnet_status find_shared_bias(lowering *l) {
  const Onnx__GraphProto *g = l->source;
  for (size_t i = 0; i < g->n_node; i++) {
    const Onnx__NodeProto *a = g->node[i];
    if (!is_conv_with_bias(l, a)) continue;
    const value *bias = values_find(l, a->input[2]);
    if (!bias || bias->readers < 2 || is_all_zero(l, a->input[2])) continue;
    for (size_t k = i + 1; k < g->n_node; k++) {
      const Onnx__NodeProto *b = g->node[k];
      if (!is_conv_with_bias(l, b) || strcmp(a->input[2], b->input[2]) != 0 || strcmp(a->input[0], b->input[0]) != 0)
        continue;
      resnet_status status = graph_add_finding(
          l->graph, l->error, RESNET_WARNING,
          "nodes '%.50s' and '%.50s' share an input and the bias '%.40s': known from onnxscript's batch norm "
          "fusion of autumn 2025; export again with onnxscript 0.5.7 or later",
          node_name(a), node_name(b), a->input[2]);
      if (status != RESNET_OK) return status;
    }
  }
  return RESNET_OK;
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

static bool is_softmax(graph_op op) { return op == GRAPH_SOFTMAX || op == GRAPH_LOG_SOFTMAX; }

static resnet_status find_softmax(lowering *l) {
  const graph_node *nodes = l->graph->nodes, *last = &nodes[l->graph->output];
  if (!is_softmax(last->op))
    return graph_add_finding(
        l->graph, l->error, RESNET_NOTE,
        "there is no Softmax: the scores are logits, as most exports have them; resnet_classify and the "
        "program make probabilities of them");
  const graph_node *before = &nodes[last->input[0]];
  if (!is_softmax(before->op)) return RESNET_OK;
  return graph_add_finding(
      l->graph, l->error, RESNET_WARNING,
      "node '%.60s' takes the softmax of node '%.60s', a softmax already: all scores come out nearly "
      "equal; take one of the two off the model and export again",
      last->name, before->name);
}

/* ---- the input ----------------------------------------------------------------------------------------------- */

static resnet_status find_input_oddities(lowering *l) {
  resnet_status status = RESNET_OK;
  const graph_node *input = &l->graph->nodes[0];
  if (l->channels_last_input)
    status =
        graph_add_finding(l->graph, l->error, RESNET_NOTE,
                          "input '%.60s' is declared (n,h,w,c): accepted, and resnet_run takes either layout all the "
                          "same; tf2onnx --inputs-as-nchw writes (n,c,h,w)",
                          input->output);
  if (status == RESNET_OK && l->batch > 0)
    status =
        graph_add_finding(l->graph, l->error, RESNET_NOTE,
                          "input '%.60s' has a frozen batch of %lld: any batch is run here; for other runtimes export "
                          "with a dynamic one (dynamic_shapes, dynamic_axes)",
                          input->output, (long long)l->batch);
  return status;
}

resnet_status find_faults(lowering *l) {
  resnet_status status = find_shared_bias(l);
  if (status == RESNET_OK) status = find_softmax(l);
  return status == RESNET_OK ? find_input_oddities(l) : status;
}
