#include "loader/import/import.h"

#include <stdio.h>
#include <string.h>

#include "loader/import/element_types.h"
#include "loader/import/nodes.h"
#include "loader/import/op_channels.h"
#include "loader/import/operators.h"
#include "loader/import/padding.h"
#include "loader/import/sort_nodes.h"
#include "loader/import/values.h"
#include "loader/onnx/onnx_parse.h"
#include "loader/onnx/onnx_types.h"

static resnet_status check_source(const import_context *ctx) {
  const Onnx__GraphProto *g = ctx->source;
  if (g->n_node == 0)
    return err_fail(ctx->error, RESNET_ERROR_FORMAT,
                    "the graph has no nodes: export the model again");
  if (g->n_node > GRAPH_MAX_NODES)
    return err_fail(ctx->error, RESNET_ERROR_LIMIT,
                    "the graph has %zu nodes: up to %d are accepted", g->n_node, GRAPH_MAX_NODES);
  if (g->n_sparse_initializer)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "the graph has sparse initialisers: dense ones are accepted; save them as "
                    "ordinary tensors");
  for (size_t i = 0; i < g->n_initializer; i++) {
    resnet_status status = constant_check(ctx, g->initializer[i]);
    if (status != RESNET_OK) return status;
  }
  return RESNET_OK;
}

/* ---- the input --------------------------------------------------------------------- */

static resnet_status find_input(const import_context *ctx, const Onnx__ValueInfoProto **found,
                                value **v) {
  size_t count = 0;
  for (size_t i = 0; i < ctx->source->n_input; i++) {
    value *candidate = value_find(ctx, onnx_text(ctx->source->input[i]->name));
    if (!candidate || candidate->origin == ORIGIN_INITIALIZER) continue;
    *found = ctx->source->input[i];
    *v = candidate;
    count++;
  }
  if (count != 1)
    return err_fail(ctx->error, count ? RESNET_ERROR_UNSUPPORTED : RESNET_ERROR_FORMAT,
                    "the graph has %zu inputs: one image (n,c,h,w) is accepted%s%.60s%s", count,
                    count ? " (another is '" : "", count ? (*v)->name : "", count ? "')" : "");
  return RESNET_OK;
}

/* Return whether the file leaves the dimension open: it has no number, or -1 or 0, which
 * some exporters write in its place. */
static bool is_open(const Onnx__TensorShapeProto__Dimension *dim) {
  return !dim->has_dim_value || dim->dim_value == -1 || dim->dim_value == 0;
}

/* Return a side of the image: the caller's, else the file's, else 224. */
static uint32_t resolve_side(import_context *ctx, const Onnx__TensorShapeProto__Dimension *dim,
                             uint32_t wanted) {
  if (is_open(dim)) return wanted ? wanted : 224;
  if (wanted && dim->dim_value != (int64_t)wanted) ctx->resized = true;
  return wanted ? wanted : (uint32_t)dim->dim_value;
}

/* Return whether the operator keeps an image's axes, so that it may come between the
 * input and the node that reveals the input's order. */
static bool keeps_axes(const char *type) {
  static const char *const names[] = {
      "Identity", "Cast", "CastLike", "Pad",   "Add",    "Sub",    "Mul",    "Div",
      "Clip",     "Tile", "Slice",    "Split", "Concat", "Expand", "Gather", "Unsqueeze"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(type, names[i]) == 0) return true;
  return false;
}

/* Return whether the node transposes (n,h,w,c) to (n,c,h,w), or to (c,n,h,w), as PyTorch
 * writes x[..., [2,1,0]]. */
static bool is_to_channels_first(const Onnx__NodeProto *node) {
  static const int64_t perm[4] = {0, 3, 1, 2}, exchanged[4] = {3, 0, 1, 2};
  if (strcmp(onnx_text(node->op_type), "Transpose") != 0) return false;
  for (size_t i = 0; i < node->n_attribute; i++) {
    const Onnx__AttributeProto *a = node->attribute[i];
    if (strcmp(onnx_text(a->name), "perm") == 0)
      return a->n_ints == 4 && (memcmp(a->ints, perm, sizeof perm) == 0 ||
                                memcmp(a->ints, exchanged, sizeof perm) == 0);
  }
  return false;
}

/* Return whether the input may be a grey image (n,h,w,1), which tf2onnx transposes by a
 * Reshape. */
static bool is_grey_last(Onnx__TensorShapeProto__Dimension *const *dims) {
  return dims[3]->has_dim_value && dims[3]->dim_value == 1 &&
         !(dims[1]->has_dim_value && dims[1]->dim_value == 1);
}

/* Find whether the input is (n,h,w,c): the first node that depends on the order
 * transposes it to (n,c,h,w), as TensorFlow's exporters write it. Shape reads sizes in
 * any order, and CastLike reads only the type of its second input. */
static resnet_status find_order(import_context *ctx, const value *input,
                                Onnx__TensorShapeProto__Dimension *const *dims,
                                bool *channels_last) {
  bool *reached = import_scratch(ctx, ctx->value_count, sizeof *reached);
  *channels_last = false;
  if (!reached) return err_no_memory(ctx->error, "the tensors' names");
  reached[input - ctx->values] = true;
  for (size_t i = 0; i < ctx->source->n_node; i++) {
    const Onnx__NodeProto *node = ctx->source->node[i];
    const char *type = onnx_text(node->op_type);
    bool reads = false;
    if (!value_node_is_live(ctx, node) || strcmp(type, "Shape") == 0) continue;
    const size_t inputs = strcmp(type, "CastLike") == 0 && node->n_input ? 1 : node->n_input;
    for (size_t k = 0; k < inputs && !reads; k++) {
      const value *v = value_find(ctx, node->input[k]);
      reads = v && reached[v - ctx->values];
    }
    if (!reads) continue;
    *channels_last =
        is_to_channels_first(node) || (strcmp(type, "Reshape") == 0 && is_grey_last(dims));
    if (*channels_last || !keeps_axes(type) || node->n_output == 0) return RESNET_OK;
    for (size_t k = 0; k < node->n_output; k++) {
      const value *v = value_find(ctx, node->output[k]);
      if (v) reached[v - ctx->values] = true;
    }
  }
  return RESNET_OK;
}

/* ---- bytes ------------------------------------------------------------------------- */

static bool moves_elements(const char *type) {
  static const char *const names[] = {"Identity", "Transpose", "Gather",  "Slice",  "Split",
                                      "Concat",   "Unsqueeze", "Squeeze", "Reshape"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(type, names[i]) == 0) return true;
  return false;
}

/* Return whether the node makes floats of bytes; op_cast checks the type. */
static bool ends_bytes(const import_context *ctx, const Onnx__NodeProto *node, const bool *bytes) {
  const char *type = onnx_text(node->op_type);
  if (strcmp(type, "CastLike") != 0) return strcmp(type, "Cast") == 0;
  const value *like = node->n_input > 1 ? value_find(ctx, node->input[1]) : NULL;
  return like && !bytes[like - ctx->values];
}

/* Check that nothing computes with the bytes of `input` before they become floats:
 * results of bytes wrap, those of floats do not. */
static resnet_status check_bytes(import_context *ctx, const value *input) {
  bool *bytes = import_scratch(ctx, ctx->value_count, sizeof *bytes);
  if (!bytes) return err_no_memory(ctx->error, "the tensors' names");
  bytes[input - ctx->values] = ctx->input_is_bytes = true;
  for (size_t i = 0; i < ctx->source->n_node; i++) {
    const Onnx__NodeProto *node = ctx->source->node[i];
    const char *type = onnx_text(node->op_type);
    bool reads = false;
    if (!value_node_is_live(ctx, node) || strcmp(type, "Shape") == 0) continue;
    for (size_t k = 0; k < node->n_input && !reads; k++) {
      const value *v = value_find(ctx, node->input[k]);
      reads = v && bytes[v - ctx->values];
    }
    if (!reads || ends_bytes(ctx, node, bytes)) continue;
    if (!moves_elements(type))
      return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                      "node '%.50s' (%.20s) computes with the bytes of input '%.50s': a Cast to "
                      "float before it is accepted; export again with a float input or a Cast",
                      import_node_name(node), type, input->name);
    for (size_t k = 0; k < node->n_output; k++) {
      const value *v = value_find(ctx, node->output[k]);
      if (v) bytes[v - ctx->values] = true;
    }
  }
  return RESNET_OK;
}

/* ---- type and shape ---------------------------------------------------------------- */

static resnet_status check_input_type(const import_context *ctx, const char *name,
                                      const Onnx__TypeProto__Tensor *type) {
  if (type && !type->shape)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "input '%.60s' declares no shape: an image (n,c,h,w) is accepted; export the "
                    "model again with its shape",
                    name);
  if (!type || type->shape->n_dim != 4)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "input '%.60s' has %zu dimensions: an image (n,c,h,w) is accepted", name,
                    type ? type->shape->n_dim : 0);
  if (!element_is_float(type->elem_type) && type->elem_type != ONNX_UINT8)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "input '%.60s' has element type %d: float (1), float16 (10), double (11), "
                    "bfloat16 (16) and, before a Cast to float, uint8 (2) are accepted; convert to "
                    "floats outside of the model and export again",
                    name, type->elem_type);
  Onnx__TensorShapeProto__Dimension *const *dims = type->shape->dim;
  for (size_t i = 0; i < 4; i++)
    if (!is_open(dims[i]) && (dims[i]->dim_value < 1 || dims[i]->dim_value > GRAPH_MAX_SIDE) &&
        !(i == 0 && dims[i]->dim_value < 1))
      return err_fail(ctx->error, dims[i]->dim_value < 1 ? RESNET_ERROR_FORMAT : RESNET_ERROR_LIMIT,
                      "input '%.60s' has dimension %lld: 1 to %d is accepted", name,
                      (long long)dims[i]->dim_value, GRAPH_MAX_SIDE);
  return RESNET_OK;
}

static resnet_status read_input_shape(import_context *ctx, const value *v,
                                      const Onnx__TypeProto__Tensor *type, graph_shape *shape,
                                      bool *channels_last) {
  resnet_status status = check_input_type(ctx, v->name, type);
  if (status != RESNET_OK) return status;
  Onnx__TensorShapeProto__Dimension *const *dims = type->shape->dim;
  status = find_order(ctx, v, dims, channels_last);
  if (status == RESNET_OK && type->elem_type == ONNX_UINT8) status = check_bytes(ctx, v);
  if (status != RESNET_OK) return status;
  Onnx__TensorShapeProto__Dimension *const *sides = dims + (*channels_last ? 1 : 2);
  const Onnx__TensorShapeProto__Dimension *channels = dims[*channels_last ? 3 : 1];
  ctx->batch = dims[0]->has_dim_value && dims[0]->dim_value > 0 ? dims[0]->dim_value : 0;
  *shape = (graph_shape){resolve_side(ctx, sides[0], ctx->options.input_height),
                         resolve_side(ctx, sides[1], ctx->options.input_width),
                         /* the first layer checks the channels */
                         is_open(channels) ? 3 : (uint32_t)channels->dim_value};
  return RESNET_OK;
}

static resnet_status add_input(import_context *ctx) {
  const Onnx__ValueInfoProto *info = NULL;
  value *v = NULL;
  graph_shape shape;
  bool channels_last = false;
  resnet_status status = find_input(ctx, &info, &v);
  if (status == RESNET_OK)
    status = read_input_shape(ctx, v, info->type ? info->type->tensor_type : NULL, &shape,
                              &channels_last);
  if (status != RESNET_OK) return status;
  /* in the graph, the input is a node without inputs */
  char *output[1] = {info->name};
  Onnx__NodeProto stand_in = ONNX__NODE_PROTO__INIT;
  stand_in.name = info->name;
  stand_in.op_type = (char[]){"graph input"};
  stand_in.n_output = 1;
  stand_in.output = output;
  ctx->node = &stand_in;
  (void)node_add(ctx, GRAPH_INPUT, RESNET_NO_INDEX, shape, &status);
  ctx->node = NULL;
  if (status != RESNET_OK || !channels_last) return status;
  ctx->channels_last_input = v->channels_last = true;
  v->dims[1] = shape.h;
  v->dims[2] = shape.w;
  v->dims[3] = shape.c;
  return status;
}

/* ---- the output -------------------------------------------------------------------- */

/* List the graph's outputs: "'a', 'b', ...". */
static void list_outputs(const import_context *ctx, char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < ctx->source->n_output && used + 8 < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s'%.40s'", i ? ", " : "",
                             onnx_text(ctx->source->output[i]->name));
}

/* Return how many characters two names share at their beginning and end. */
static size_t count_shared(const char *a, const char *b) {
  const size_t a_size = strlen(a), b_size = strlen(b), limit = a_size < b_size ? a_size : b_size;
  size_t front = 0, back = 0;
  while (front < limit && a[front] == b[front]) front++;
  while (front + back < limit && a[a_size - 1 - back] == b[b_size - 1 - back]) back++;
  return front + back;
}

/* Return the tensor of a node whose name is nearest to `name`, or NULL if none shares at
 * least half of the longer name. */
static const value *find_near(const import_context *ctx, const char *name) {
  const value *best = NULL;
  size_t most = 0;
  for (size_t i = 0; i < ctx->value_count; i++) {
    const value *v = ctx->by_name[i];
    const size_t shared = v->origin >= ORIGIN_NODE ? count_shared(v->name, name) : 0,
                 own = strlen(v->name), wanted = strlen(name);
    if (shared <= most || 2 * shared < (own > wanted ? own : wanted)) continue;
    most = shared;
    best = v;
  }
  return best;
}

/* Return where two names begin to differ, or a little before: messages show 40
 * characters. 0: show them from the start. */
static size_t find_difference(const char *a, const char *b) {
  enum { FITS = 30, BEFORE = 10 };
  size_t same = 0;
  while (a[same] && a[same] == b[same]) same++;
  return same < FITS ? 0 : same - BEFORE;
}

static resnet_status refuse_name(const import_context *ctx, const char *name, const char *names) {
  const value *near = find_near(ctx, name);
  const size_t from = near ? find_difference(name, near->name) : 0;
  const char *cut = from ? "..." : "";
  return err_fail(ctx->error, RESNET_ERROR_ARGUMENT,
                  "no node computes '%s%.50s'%s%s%.40s%s: the graph's outputs are %s; any tensor "
                  "of a node is accepted",
                  cut, name + from, near ? " (but '" : "", near ? cut : "",
                  near ? near->name + from : "", near ? "')" : "", names);
}

static resnet_status choose_scores(import_context *ctx) {
  const Onnx__GraphProto *g = ctx->source;
  const char *name = ctx->options.output ? ctx->options.output
                     : g->n_output == 1  ? onnx_text(g->output[0]->name)
                                         : NULL;
  char names[140];
  list_outputs(ctx, names, sizeof names);
  if (!name)
    return err_fail(ctx->error, g->n_output ? RESNET_ERROR_UNSUPPORTED : RESNET_ERROR_FORMAT,
                    "the graph has %zu outputs (%s): name the one with the scores in "
                    "options.output",
                    g->n_output, names);
  ctx->scores = value_find(ctx, name);
  if (ctx->scores && ctx->scores->origin != ORIGIN_INITIALIZER) return RESNET_OK;
  if (ctx->options.output) return refuse_name(ctx, name, names);
  return err_fail(ctx->error, RESNET_ERROR_FORMAT,
                  "the graph's output '%.60s' is computed by no node: export it again", name);
}

/* Mark the values that lead to the scores. Nodes come after what they read, or are part
 * of a cycle, which is refused later. */
static void mark_live(const import_context *ctx) {
  ctx->scores->live = true;
  for (size_t i = ctx->source->n_node; i-- > 0;) {
    const Onnx__NodeProto *node = ctx->source->node[i];
    if (!value_node_is_live(ctx, node)) continue;
    for (size_t k = 0; k < node->n_input; k++) {
      value *v = value_find(ctx, node->input[k]);
      if (v) v->live = true;
    }
  }
}

static resnet_status check_scores(import_context *ctx) {
  value *v = ctx->scores;
  if (v->kind == VALUE_UNKNOWN && v->origin >= ORIGIN_NODE)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "the output '%.60s' is not the first output of node '%.60s', and only that one "
                    "is computed",
                    v->name, import_node_name(ctx->source->node[v->origin - ORIGIN_NODE]));
  if (v->kind == VALUE_UNKNOWN)
    return err_fail(ctx->error, RESNET_ERROR_FORMAT,
                    "the graph's output '%.60s' is computed by no node: export it again", v->name);
  if (v->kind == VALUE_CONSTANT || v->node == 0)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "the output '%.60s' does not depend on any layer", v->name);
  if (v->kind == VALUE_NORM)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "the output '%.60s' is the norm of an activation: choose that activation, or "
                    "what is divided by the norm",
                    v->name);
  if (v->expanded)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "the output '%.60s' is a gate that Expand made larger: choose the tensor "
                    "before the Expand",
                    v->name);
  if (v->batch_last)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "the output '%.60s' is (features,n): choose the tensor before the Transpose",
                    v->name);
  if (v->exchanged)
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "the output '%.60s' is (c,n,h,w): choose the tensor before the Transpose",
                    v->name);
  resnet_status status = node_flatten(ctx, v);
  ctx->graph->output = v->node;
  return status;
}

/* Return how many graph nodes an ONNX node may become, padding included. */
static uint32_t count_graph_nodes(const Onnx__NodeProto *node) {
  const size_t terms = node->n_input < IMPORT_MAX_TERMS ? node->n_input : IMPORT_MAX_TERMS;
  const size_t parts = node->n_output < CHANNELS_MAX ? node->n_output : CHANNELS_MAX;
  const char *type = onnx_text(node->op_type);
  const bool sums = strcmp(type, "Sum") == 0 || strcmp(type, "Mean") == 0;
  return 4 + (sums ? 2 * (uint32_t)terms : 0) + (uint32_t)parts;
}

static resnet_status allocate_nodes(import_context *ctx) {
  ctx->node_capacity = 4; /* the input; the padded and flattened output */
  for (size_t i = 0; i < ctx->source->n_node; i++)
    ctx->node_capacity += count_graph_nodes(ctx->source->node[i]);
  ctx->graph->nodes = mem_allocate(ctx->memory, ctx->node_capacity, sizeof *ctx->graph->nodes);
  ctx->affines = import_scratch(ctx, ctx->node_capacity, sizeof *ctx->affines);
  ctx->readers = import_scratch(ctx, ctx->node_capacity, sizeof *ctx->readers);
  ctx->selections = import_scratch(ctx, ctx->node_capacity, sizeof *ctx->selections);
  return ctx->graph->nodes && ctx->affines && ctx->readers && ctx->selections
             ? RESNET_OK
             : err_no_memory(ctx->error, "the graph's nodes");
}

resnet_status import_model(import_context *ctx, const Onnx__ModelProto *model) {
  ctx->source = model->graph;
  ctx->opset = onnx_opset(model);
  resnet_status status = check_source(ctx);
  if (status == RESNET_OK) status = value_collect(ctx);
  if (status == RESNET_OK) status = sort_nodes(ctx);
  if (status == RESNET_OK) status = choose_scores(ctx);
  if (status == RESNET_OK) status = allocate_nodes(ctx);
  if (status == RESNET_OK) mark_live(ctx);
  if (status == RESNET_OK) status = add_input(ctx);
  for (ctx->node_index = 0; ctx->node_index < ctx->source->n_node && status == RESNET_OK;
       ctx->node_index++) {
    ctx->node = ctx->source->node[ctx->node_index];
    if (value_node_is_live(ctx, ctx->node)) status = op_import_node(ctx);
  }
  return status == RESNET_OK ? check_scores(ctx) : status;
}
