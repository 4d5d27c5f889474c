/* Findings: what a file looks to be wrong or unusual in, though it could be lowered.
 * Exports that are known to be bad are named by the issue that describes them. */
#include <string.h>

#include "loader/import/import.h"
#include "loader/onnx/onnx_parse.h"

/* ---- a bias shared by mistake ------------------------------------------------------ */

static bool is_all_zero(const value *v) {
  const tensor *t = v->kind == VALUE_TENSOR ? v->tensor : NULL;
  for (size_t i = 0; t && t->is_float && t->floats && i < t->count; i++)
    if (t->floats[i] < 0 || t->floats[i] > 0) return false;
  return true;
}

/* The bias of a Conv that leads to the scores, where another node reads it, too, and it
 * is not of zeros; or NULL. */
static const value *shared_bias(const lowering *l, const Onnx__NodeProto *node) {
  if (node->n_input != 3 || strcmp(onnx_text(node->op_type), "Conv") != 0 || !is_live(l, node))
    return NULL;
  const value *v = values_find(l, node->input[2]);
  return v && v->readers > 1 && !is_all_zero(v) ? v : NULL;
}

static resnet_status warn_of_bias(lowering *l, size_t a, size_t b, const value *bias) {
  return graph_add_diagnostic(
      l->graph, l->error, RESNET_WARNING,
      "nodes '%.50s' and '%.50s' share an input and the bias '%.40s': known from onnxscript's "
      "batch norm fusion of autumn 2025 (issue 2553); export again with a newer onnxscript",
      node_name(l->source->node[a]), node_name(l->source->node[b]), bias->name);
}

/* onnxscript's fusion of batch normalisations named the new bias after the convolution's
 * input (September to November 2025; onnxscript issue 2553, mended by 2680): a block's
 * first convolution and its projection then read one bias. Nodes that read the same input
 * are linked, so that few are compared. */
static resnet_status find_shared_bias(lowering *l) {
  const size_t count = l->source->n_node;
  const value **biases = scratch_allocate(l, count, sizeof *biases);
  /* index + 1 of the one before it; 0: none */
  size_t *before = scratch_allocate(l, count, sizeof *before);
  size_t *latest = scratch_allocate(l, l->value_count, sizeof *latest);
  if (!biases || !before || !latest) return err_no_memory(l->error, "the diagnostics");
  for (size_t i = 0; i < count && l->graph->diagnostic_count < GRAPH_MAX_DIAGNOSTICS; i++) {
    biases[i] = shared_bias(l, l->source->node[i]);
    if (!biases[i]) continue;
    size_t *reader =
        /* it was lowered: it is there */
        &latest[values_find(l, l->source->node[i]->input[0]) - l->values];
    for (size_t k = *reader; k; k = before[k - 1]) {
      resnet_status status =
          biases[k - 1] == biases[i] ? warn_of_bias(l, k - 1, i, biases[i]) : RESNET_OK;
      if (status != RESNET_OK) return status;
    }
    before[i] = *reader;
    *reader = i + 1;
  }
  return RESNET_OK;
}

/* ---- the end ----------------------------------------------------------------------- */

static bool is_softmax(graph_op op) { return op == GRAPH_SOFTMAX || op == GRAPH_LOG_SOFTMAX; }

static resnet_status find_softmax(lowering *l) {
  const graph_node *nodes = l->graph->nodes, *last = &nodes[l->graph->output];
  if (!is_softmax(last->op))
    return graph_add_diagnostic(
        l->graph, l->error, RESNET_NOTE,
        "there is no Softmax: node '%.60s' gives logits, as most exports do; "
        "resnet_classify and the "
        "program make probabilities of them",
        last->name);
  const graph_node *before = &nodes[last->input[0]];
  /* of logarithms of probabilities it gives these back */
  if (before->op != GRAPH_SOFTMAX) return RESNET_OK;
  return graph_add_diagnostic(
      l->graph, l->error, RESNET_WARNING,
      "node '%.60s' takes the softmax of node '%.60s', a softmax already: all "
      "scores come out nearly "
      "equal; take one of the two off the model and export again",
      last->name, before->name);
}

/* ---- the input --------------------------------------------------------------------- */

static resnet_status find_input_oddities(lowering *l) {
  resnet_status status = RESNET_OK;
  const graph_node *input = &l->graph->nodes[0];
  if (l->channels_last_input)
    status = graph_add_diagnostic(
        l->graph, l->error, RESNET_NOTE,
        "input '%.60s' is declared (n,h,w,c): accepted, and resnet_run takes either layout all the "
        "same; tf2onnx --inputs-as-nchw writes (n,c,h,w)",
        input->output);
  if (status == RESNET_OK && l->batch > 0)
    status =
        graph_add_diagnostic(l->graph, l->error, RESNET_NOTE,
                             "input '%.60s' has a frozen batch of %lld: any batch is run here; "
                             "for other runtimes export "
                             "with a dynamic one (dynamic_shapes, dynamic_axes)",
                             input->output, (long long)l->batch);
  return status;
}

resnet_status find_faults(lowering *l) {
  resnet_status status = find_shared_bias(l);
  if (status == RESNET_OK) status = find_softmax(l);
  return status == RESNET_OK ? find_input_oddities(l) : status;
}
