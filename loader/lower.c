/* Lowering a whole graph: its input, its nodes in file order, its output. */
#include "lower.h"

#include <string.h>

#include "onnx_parse.h"

enum { SCRATCH_HEADER = 64 /* keeps the alignment of memory_allocate */ };

void *scratch_allocate(lowering *l, size_t count, size_t size) {
  size_t bytes;
  if (!size_multiply(count, size, &bytes) || bytes > SIZE_MAX - SCRATCH_HEADER) return NULL;
  char *block = memory_allocate(l->memory, bytes + SCRATCH_HEADER, 1);
  if (!block) return NULL;
  memcpy(block, &l->scratch, sizeof l->scratch);
  l->scratch = block;
  return block + SCRATCH_HEADER;
}

void lowering_release(lowering *l) {
  for (const float_block *block = l->blocks; block; block = block->next) memory_release(l->memory, block->floats);
  l->blocks = NULL;
  while (l->scratch) {
    void *block = l->scratch;
    memcpy(&l->scratch, block, sizeof l->scratch);
    memory_release(l->memory, block);
  }
}

static resnet_status check_source(const lowering *l) {
  const Onnx__GraphProto *g = l->source;
  if (g->n_node == 0) return fail(l->error, RESNET_ERROR_FORMAT, "the graph has no nodes: export the model again");
  if (g->n_node > MAX_NODES)
    return fail(l->error, RESNET_ERROR_LIMIT, "the graph has %zu nodes: up to %d are accepted", g->n_node, MAX_NODES);
  if (g->n_sparse_initializer)
    return fail(l->error, RESNET_ERROR_UNSUPPORTED,
                "the graph has sparse initialisers: dense ones are accepted; save them as ordinary tensors");
  for (size_t i = 0; i < g->n_initializer; i++) {
    resnet_status status = tensor_check(l, g->initializer[i]);
    if (status != RESNET_OK) return status;
  }
  return RESNET_OK;
}

/* ---- the input ----------------------------------------------------------------------------------------------- */

static resnet_status find_input(const lowering *l, const Onnx__ValueInfoProto **found, value **v) {
  size_t count = 0;
  for (size_t i = 0; i < l->source->n_input; i++) {
    value *candidate = values_find(l, onnx_text(l->source->input[i]->name));
    if (!candidate || candidate->origin == ORIGIN_INITIALIZER) continue;
    *found = l->source->input[i];
    *v = candidate;
    count++;
  }
  if (count != 1)
    return fail(l->error, count ? RESNET_ERROR_UNSUPPORTED : RESNET_ERROR_FORMAT,
                "the graph has %zu inputs: one picture (n,c,h,w) is accepted%s%.60s%s", count,
                count ? " (another is '" : "", count ? (*v)->name : "", count ? "')" : "");
  return RESNET_OK;
}

/* A side of the picture: the file's, else the caller's, else 224. */
static resnet_status resolve_side(const lowering *l, const Onnx__TensorShapeProto__Dimension *dim, uint32_t wanted,
                                  const char *what, uint32_t *side) {
  if (!dim->has_dim_value) {
    *side = wanted ? wanted : 224;
    return RESNET_OK;
  }
  if (wanted && dim->dim_value != (int64_t)wanted)
    return fail(l->error, RESNET_ERROR_UNSUPPORTED,
                "the file fixes the input's %s at %lld, the options ask for %u: leave them at 0, or export with a "
                "dynamic %s",
                what, (long long)dim->dim_value, wanted, what);
  *side = (uint32_t)dim->dim_value;
  return RESNET_OK;
}

static resnet_status read_input_shape(lowering *l, const char *name, const Onnx__TypeProto__Tensor *type,
                                      graph_shape *shape) {
  if (!type || !type->shape || type->shape->n_dim != 4)
    return fail(l->error, RESNET_ERROR_UNSUPPORTED, "input '%.60s' has %zu dimensions: a picture (n,c,h,w) is accepted",
                name, type && type->shape ? type->shape->n_dim : 0);
  if (type->elem_type != 1 && type->elem_type != 10)
    return fail(l->error, RESNET_ERROR_UNSUPPORTED,
                "input '%.60s' has element type %d: float (1) and float16 (10) are accepted", name, type->elem_type);
  Onnx__TensorShapeProto__Dimension *const *dims = type->shape->dim;
  for (size_t i = 0; i < 4; i++)
    if (dims[i]->has_dim_value && (dims[i]->dim_value < 1 || dims[i]->dim_value > MAX_SIDE))
      return fail(l->error, dims[i]->dim_value < 1 ? RESNET_ERROR_FORMAT : RESNET_ERROR_LIMIT,
                  "input '%.60s' has dimension %lld: accepted are 1 to %d", name, (long long)dims[i]->dim_value,
                  MAX_SIDE);
  if (!dims[1]->has_dim_value)
    return fail(l->error, RESNET_ERROR_UNSUPPORTED,
                "input '%.60s' does not say how many channels it has: (n,c,h,w) with a fixed c is accepted", name);
  l->batch = dims[0]->has_dim_value ? dims[0]->dim_value : 0;
  shape->c = (uint32_t)dims[1]->dim_value;
  resnet_status status = resolve_side(l, dims[2], l->options->input_height, "height", &shape->h);
  return status == RESNET_OK ? resolve_side(l, dims[3], l->options->input_width, "width", &shape->w) : status;
}

static resnet_status add_input(lowering *l) {
  const Onnx__ValueInfoProto *info = NULL;
  value *v = NULL;
  graph_shape shape;
  resnet_status status = find_input(l, &info, &v);
  if (status == RESNET_OK) status = read_input_shape(l, v->name, info->type ? info->type->tensor_type : NULL, &shape);
  if (status != RESNET_OK) return status;
  /* it stands in the graph as if a node without inputs had computed it */
  char *output[1] = {info->name};
  Onnx__NodeProto stand_in = ONNX__NODE_PROTO__INIT;
  stand_in.name = info->name;
  stand_in.op_type = (char[]){"graph input"};
  stand_in.n_output = 1;
  stand_in.output = output;
  l->node = &stand_in;
  (void)add_node(l, GRAPH_INPUT, RESNET_NO_INDEX, shape, &status);
  l->node = NULL;
  return status;
}

/* ---- the output ---------------------------------------------------------------------------------------------- */

static resnet_status find_output(lowering *l) {
  const Onnx__GraphProto *g = l->source;
  if (g->n_output != 1)
    return fail(l->error, g->n_output ? RESNET_ERROR_UNSUPPORTED : RESNET_ERROR_FORMAT,
                "the graph has %zu outputs: one, the scores, is accepted; cut the others off, e.g. with "
                "onnx.utils.extract_model",
                g->n_output);
  const char *name = onnx_text(g->output[0]->name);
  const value *v = values_find(l, name);
  if (!v || v->kind == VALUE_UNKNOWN)
    return fail(l->error, RESNET_ERROR_FORMAT, "the graph's output '%.60s' is computed by no node: export it again",
                name);
  if (v->kind == VALUE_TENSOR || v->node == 0)
    return fail(l->error, RESNET_ERROR_UNSUPPORTED, "the graph's output '%.60s' does not depend on any layer", name);
  graph_shape s = value_shape(l, v);
  if (s.h != 1 || s.w != 1 || (v->pad_top | v->pad_left | v->pad_bottom | v->pad_right))
    return fail(l->error, RESNET_ERROR_UNSUPPORTED,
                "the graph's output '%.60s' is (h %u, w %u, c %u): scores (n,classes) are accepted", name, s.h, s.w,
                s.c);
  l->graph->output = v->node;
  return RESNET_OK;
}

static resnet_status allocate_nodes(lowering *l) {
  l->node_capacity = (uint32_t)l->source->n_node + 1;
  l->graph->nodes = memory_allocate(l->memory, l->node_capacity, sizeof *l->graph->nodes);
  l->drafts = scratch_allocate(l, l->node_capacity, sizeof *l->drafts);
  return l->graph->nodes && l->drafts ? RESNET_OK : fail_memory(l->error, "the graph's nodes");
}

resnet_status lower_model(lowering *l, const Onnx__ModelProto *model) {
  l->source = model->graph;
  l->opset = onnx_opset(model);
  resnet_status status = check_source(l);
  if (status == RESNET_OK) status = values_collect(l);
  if (status == RESNET_OK) status = allocate_nodes(l);
  if (status == RESNET_OK) status = add_input(l);
  for (l->node_index = 0; l->node_index < l->source->n_node && status == RESNET_OK; l->node_index++) {
    l->node = l->source->node[l->node_index];
    status = lower_node(l);
  }
  return status == RESNET_OK ? find_output(l) : status;
}
