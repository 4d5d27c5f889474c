/* Known bad exports are identified by the issue that describes them. */
#include "loader/passes/diagnose.h"

#include <string.h>

#include "loader/base/sort.h"
#include "loader/import/values.h"
#include "loader/onnx/onnx_parse.h"

/* ---- shared bias ------------------------------------------------------------------- */

/* Return whether the bias is 0. Its floats are gone if the convolution took them over. */
static bool is_zero_bias(const import_context *ctx, const value *v) {
  constant *t = v->kind == VALUE_CONSTANT ? v->constant : NULL;
  return !t || !t->floats || constant_is_zero(ctx, t);
}

/* Return the bias of a Conv that leads to the scores, if another node reads it, too, and
 * it is not zero; else NULL. */
static const value *shared_bias(const import_context *ctx, const Onnx__NodeProto *node) {
  if (node->n_input != 3 || strcmp(onnx_text(node->op_type), "Conv") != 0 ||
      !value_node_is_live(ctx, node))
    return NULL;
  const value *v = value_find(ctx, node->input[2]);
  return v && v->readers > 1 && !is_zero_bias(ctx, v) ? v : NULL;
}

static resnet_status warn_shared_bias(import_context *ctx, size_t a, size_t b, const value *bias) {
  return graph_add_diagnostic(
      ctx->graph, ctx->error, RESNET_WARNING,
      "nodes '%.50s' and '%.50s' share an input and the bias '%.40s': known from onnxscript's "
      "batch norm fusion of autumn 2025 (issue 2553); export again with a newer onnxscript",
      import_node_name(ctx->source->node[a]), import_node_name(ctx->source->node[b]), bias->name);
}

/* A convolution with a bias that another node reads, too. */
typedef struct biased_conv {
  size_t input; /* index of its value */
  const value *bias;
  size_t node;
} biased_conv;

static int by_input_bias_node(const void *x, const void *y) {
  const biased_conv *a = x, *b = y;
  if (a->input != b->input) return a->input < b->input ? -1 : 1;
  if (a->bias != b->bias) return a->bias < b->bias ? -1 : 1;
  return (a->node > b->node) - (a->node < b->node);
}

/* Find convolutions with the same input and bias. From September to November 2025,
 * onnxscript's batch norm fusion named the new bias after the convolution's input. A
 * block's first convolution and its projection then read one bias (onnxscript issue 2553,
 * fixed by 2680). Sorted, such convolutions are neighbours. */
static resnet_status diagnose_shared_bias(import_context *ctx) {
  size_t count = 0;
  biased_conv *convs = import_scratch(ctx, ctx->source->n_node, sizeof *convs);
  if (!convs) return err_no_memory(ctx->error, "the diagnostics");
  for (size_t i = 0; i < ctx->source->n_node; i++) {
    const Onnx__NodeProto *node = ctx->source->node[i];
    const value *bias = shared_bias(ctx, node);
    /* its input exists: the node was imported */
    if (bias)
      convs[count++] =
          (biased_conv){(size_t)(value_find(ctx, node->input[0]) - ctx->values), bias, i};
  }
  sort_items(convs, count, sizeof *convs, by_input_bias_node);
  resnet_status status = RESNET_OK;
  for (size_t i = 1; i < count && status == RESNET_OK; i++) {
    const biased_conv *a = &convs[i - 1], *b = &convs[i];
    if (a->input == b->input && a->bias == b->bias)
      status = warn_shared_bias(ctx, a->node, b->node, b->bias);
  }
  return status;
}

/* ---- softmax ----------------------------------------------------------------------- */

static bool is_softmax(graph_op op) { return op == GRAPH_SOFTMAX || op == GRAPH_LOG_SOFTMAX; }

static resnet_status warn_constant_softmax(import_context *ctx, const graph_node *last) {
  return graph_add_diagnostic(
      ctx->graph, ctx->error, RESNET_WARNING,
      "node '%.60s' takes the softmax of one number, which is the same for every image: a sigmoid "
      "was probably meant; export again with Sigmoid, or choose the tensor before it as output",
      last->name);
}

static resnet_status diagnose_softmax(import_context *ctx) {
  const graph_node *nodes = ctx->graph->nodes, *last = &nodes[ctx->graph->output];
  if (!is_softmax(last->op)) return RESNET_OK;
  if (last->shape.c == 1) return warn_constant_softmax(ctx, last);
  const graph_node *before = &nodes[last->input[0]];
  /* the softmax of log-probabilities gives the probabilities */
  if (before->op != GRAPH_SOFTMAX) return RESNET_OK;
  return graph_add_diagnostic(
      ctx->graph, ctx->error, RESNET_WARNING,
      "node '%.60s' takes the softmax of node '%.60s', which is a softmax already: all scores come "
      "out nearly equal; remove one of the two and export again",
      last->name, before->name);
}

/* ---- the kind of scores ------------------------------------------------------------ */

/* Return what the numbers of the output are; NULL: not worth a note. */
static const char *describe_scores(resnet_scores kind) {
  switch (kind) {
  case RESNET_SCORES_LOGITS:
    return "logits (there is no Softmax, as in most exports): classification converts them to "
           "probabilities";
  case RESNET_SCORES_BINARY_LOGIT:
    return "number without Sigmoid: it is taken as the logit of class 1 of two; its sigmoid is the "
           "probability of class 1, and class 0 has the rest";
  case RESNET_SCORES_BINARY_PROBABILITY:
    return "number between 0 and 1: it is taken as the probability of class 1 of two, and class 0 "
           "has the rest";
  case RESNET_SCORES_MULTI_LABEL:
    return "numbers between 0 and 1, one for each class by itself (multi-label): their sum means "
           "nothing";
  case RESNET_SCORES_EMBEDDING:
    return "numbers that are features, not scores of classes (an embedding): the model can be run, "
           "but ranks no classes";
  default:
    return NULL;
  }
}

static resnet_status diagnose_scores(import_context *ctx) {
  const graph_node *last = &ctx->graph->nodes[ctx->graph->output];
  const char *what = describe_scores(ctx->graph->scores);
  if (!what || is_softmax(last->op)) return RESNET_OK;
  return graph_add_diagnostic(ctx->graph, ctx->error, RESNET_NOTE, "node '%.60s' gives %u %s",
                              last->name, last->shape.c, what);
}

/* ---- the input --------------------------------------------------------------------- */

static resnet_status diagnose_input(import_context *ctx) {
  resnet_status status = RESNET_OK;
  const graph_node *input = &ctx->graph->nodes[0];
  if (ctx->channels_last_input)
    status = graph_add_diagnostic(
        ctx->graph, ctx->error, RESNET_NOTE,
        "input '%.60s' is declared (n,h,w,c), which is accepted: floats can be given in either "
        "order in any case; tf2onnx --inputs-as-nchw writes (n,c,h,w)",
        input->output);
  if (status == RESNET_OK && ctx->input_is_rearranged)
    status = graph_add_diagnostic(
        ctx->graph, ctx->error, RESNET_NOTE,
        "the graph itself %s the channels of its input '%.60s': images go in as the file's input "
        "expects them, not as its layers do",
        input->shape.c == 1 ? "repeats" : "reorders", input->output);
  if (status == RESNET_OK && ctx->batch > 0)
    status = graph_add_diagnostic(
        ctx->graph, ctx->error, RESNET_NOTE,
        "input '%.60s' has a frozen batch of %lld: any batch can be run here; for other runtimes "
        "export with a dynamic one (dynamic_shapes, dynamic_axes)",
        input->output, (long long)ctx->batch);
  return status;
}

resnet_status diagnose_graph(import_context *ctx) {
  resnet_status status = diagnose_shared_bias(ctx);
  if (status == RESNET_OK) status = diagnose_softmax(ctx);
  if (status == RESNET_OK) status = diagnose_scores(ctx);
  return status == RESNET_OK ? diagnose_input(ctx) : status;
}
