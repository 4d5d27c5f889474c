/* A mutator that knows ONNX. It decodes the model, changes a few things as an exporter, a
 * careless converter or an attacker might, and encodes it again. The result is always
 * well-formed protobuf and mostly refers to names that exist, so that it reaches the
 * loader's last stages and the runtime. */
#include <string.h>

#include "mutate_parts.h"

enum { MAX_DEPTH = 20, MAX_ITEMS = 4096 };

/* ---- nodes ------------------------------------------------------------------------- */

static const char *const operators[] = {"Add",
                                        "AveragePool",
                                        "BatchNormalization",
                                        "Cast",
                                        "Clip",
                                        "Concat",
                                        "Constant",
                                        "Conv",
                                        "Div",
                                        "Dropout",
                                        "Exp",
                                        "Expand",
                                        "Flatten",
                                        "Floor",
                                        "Gather",
                                        "GatherND",
                                        "Gemm",
                                        "GlobalAveragePool",
                                        "Identity",
                                        "LogSoftmax",
                                        "MatMul",
                                        "Max",
                                        "MaxPool",
                                        "Min",
                                        "Mul",
                                        "Neg",
                                        "Pad",
                                        "Pow",
                                        "Range",
                                        "ReduceMean",
                                        "ReduceSum",
                                        "Relu",
                                        "Reshape",
                                        "Shape",
                                        "Sigmoid",
                                        "HardSigmoid",
                                        "HardSwish",
                                        "Slice",
                                        "Softmax",
                                        "Split",
                                        "Sqrt",
                                        "Squeeze",
                                        "Sub",
                                        "Sum",
                                        "Transpose",
                                        "Unsqueeze",
                                        "Where",
                                        "Equal",
                                        "LeakyRelu",
                                        "PRelu",
                                        "ConstantOfShape",
                                        "GlobalMaxPool",
                                        "QuantizeLinear",
                                        "DequantizeLinear",
                                        "Reciprocal",
                                        "Mod",
                                        "If",
                                        "Abs",
                                        "ArgMax",
                                        "CastLike",
                                        "Ceil",
                                        "Tile",
                                        "LayerNormalization",
                                        "LpNormalization",
                                        "ReduceL2",
                                        "ReduceSumSquare"};

/* operators of one activation and nothing else */
static const char *const unary[] = {"Relu",       "Identity",          "Sigmoid",    "HardSigmoid",
                                    "Clip",       "GlobalAveragePool", "Dropout",    "Softmax",
                                    "LogSoftmax", "Flatten",           "Shape",      "Transpose",
                                    "Squeeze",    "MaxPool",           "ReduceMean", "HardSwish"};
static const char *const binary[] = {"Add", "Add", "Mul", "Mul",    "Sub",    "Div",
                                     "Max", "Min", "Sum", "Concat", "MatMul", "PRelu"};

static Onnx__NodeProto *new_node(mutation *m, const char *operator_type, size_t inputs) {
  Onnx__NodeProto *node = take(sizeof *node);
  onnx__node_proto__init(node);
  node->op_type = text(operator_type);
  node->name = new_name(m);
  node->output = take(sizeof *node->output);
  node->output[0] = new_name(m);
  node->n_output = 1;
  node->input = take((inputs + 1) * sizeof *node->input);
  node->n_input = inputs;
  return node;
}

static Onnx__NodeProto *some_node(mutation *m) {
  if (!m->graph->n_node) insert(&m->graph->node, &m->graph->n_node, 0, new_node(m, "Relu", 0));
  return m->graph->node[below(m, m->graph->n_node)];
}

static size_t place_of(const mutation *m, const Onnx__NodeProto *node) {
  for (size_t i = 0; i < m->graph->n_node; i++)
    if (m->graph->node[i] == node) return i;
  return m->graph->n_node;
}

/* Return a Pad with its borders as an input, as since opset 11. */
static Onnx__NodeProto *new_pad(mutation *m) {
  Onnx__TensorProto *pads = new_tensor(new_name(m), TYPE_INT64, 1);
  Onnx__NodeProto *node = new_node(m, "Pad", 2);
  int64_t sizes[8] = {0};
  for (size_t i = 0; i < 8; i++)
    if (i % 4 >= 2 || !below(m, 8)) sizes[i] = below(m, 8) ? below(m, 4) : some_integer(m);
  pads->dims[0] = 8;
  pads->raw_data =
      (ProtobufCBinaryData){sizeof sizes, memcpy(take(sizeof sizes), sizes, sizeof sizes)};
  insert(&m->graph->initializer, &m->graph->n_initializer, m->graph->n_initializer, pads);
  node->input[1] = pads->name;
  return node;
}

static Onnx__NodeProto *new_transpose(mutation *m) {
  static const int64_t orders[][4] = {
      {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 1, 3, 2}, {0, 1, 2, 3}, {3, 2, 1, 0}};
  Onnx__NodeProto *node = new_node(m, "Transpose", 1);
  Onnx__AttributeProto *a = new_attribute("perm", ATTRIBUTE_INTS);
  a->n_ints = 4;
  a->ints = memcpy(take(sizeof *orders), orders[below(m, 5)], sizeof *orders);
  insert(&node->attribute, &node->n_attribute, 0, a);
  return node;
}

static Onnx__NodeProto *node_to_insert(mutation *m) {
  switch (below(m, 4)) {
  case 0:
    return new_pad(m);
  case 1:
    return new_transpose(m);
  case 2: {
    Onnx__NodeProto *node = new_node(m, PICK(m, binary), 2);
    node->input[1] = below(m, 2) ? some_tensor(m) : add_constant(m, TYPE_FLOAT);
    return node;
  }
  default:
    return new_node(m, PICK(m, unary), 1);
  }
}

/* Insert a node behind another. It takes over all of the other's readers, or one. */
static void insert_node(mutation *m) {
  Onnx__NodeProto *before = some_node(m), *node = node_to_insert(m);
  if (!before->n_output) return;
  if (below(m, 2)) {
    rename_readers(m, before->output[0], node->output[0]);
  } else {
    Onnx__NodeProto *reader = some_node(m);
    if (reader->n_input) reader->input[below(m, reader->n_input)] = node->output[0];
  }
  node->input[0] = before->output[0];
  if (below(m, 8) == 0 && node->n_input > 1) {
    char *first = node->input[0];
    node->input[0] = node->input[1];
    node->input[1] = first;
  }
  insert(&m->graph->node, &m->graph->n_node, place_of(m, before) + 1, node);
}

static void drop_node(mutation *m) {
  Onnx__NodeProto *node = some_node(m);
  if (node->n_output && node->n_input && below(m, 8))
    rename_readers(m, node->output[0], node->input[0]);
  drop(&m->graph->node, &m->graph->n_node, place_of(m, node));
}

/* Copy a node; one reader reads the copy's output instead. */
static void duplicate_node(mutation *m) {
  Onnx__NodeProto *node = some_node(m), *copy = new_node(m, name_of(node->op_type), node->n_input),
                  *reader;
  if (node->n_input) memcpy(copy->input, node->input, node->n_input * sizeof *copy->input);
  copy->attribute = node->attribute;
  copy->n_attribute = node->n_attribute;
  copy->domain = node->domain;
  if (!below(m, 16)) copy->output[0] = text(node->n_output ? node->output[0] : "");
  reader = some_node(m);
  if (reader->n_input) reader->input[below(m, reader->n_input)] = copy->output[0];
  insert(&m->graph->node, &m->graph->n_node, place_of(m, node) + 1, copy);
}

static void change_inputs(mutation *m) {
  Onnx__NodeProto *node = some_node(m);
  const uint32_t kind = below(m, 8);
  if (!node->n_input || kind == 0) {
    insert(&node->input, &node->n_input, below(m, node->n_input + 1),
           below(m, 4) ? some_tensor(m) : text(""));
  } else if (kind == 1) {
    drop(&node->input, &node->n_input, below(m, node->n_input));
  } else if (kind == 2) {
    const size_t a = below(m, node->n_input), b = below(m, node->n_input);
    char *input = node->input[a];
    node->input[a] = node->input[b];
    node->input[b] = input;
  } else {
    node->input[below(m, node->n_input)] = some_tensor(m);
  }
}

static void change_operator(mutation *m) {
  static const char *const domains[] = {"", "ai.onnx", "com.microsoft", "ai.onnx.ml"};
  Onnx__NodeProto *node = some_node(m);
  if (below(m, 16))
    node->op_type = text(PICK(m, operators));
  else
    node->domain = text(PICK(m, domains));
}

static void swap_nodes(mutation *m) {
  Onnx__NodeProto *a = some_node(m), *b = some_node(m);
  const size_t from = place_of(m, a), to = place_of(m, b);
  m->graph->node[from] = b;
  m->graph->node[to] = a;
}

/* Turn an initialiser into a Constant node, or the reverse. */
static void move_constant(mutation *m) {
  Onnx__NodeProto *node = some_node(m);
  if (strcmp(name_of(node->op_type), "Constant") == 0 && node->n_attribute &&
      node->attribute[0]->t && node->n_output) {
    node->attribute[0]->t->name = node->output[0];
    insert(&m->graph->initializer, &m->graph->n_initializer, 0, node->attribute[0]->t);
    drop(&m->graph->node, &m->graph->n_node, place_of(m, node));
    return;
  }
  const size_t at = below(m, m->graph->n_initializer + 1);
  if (at == m->graph->n_initializer) return;
  Onnx__AttributeProto *a = new_attribute("value", ATTRIBUTE_TENSOR);
  a->t = m->graph->initializer[at];
  node = new_node(m, "Constant", 0);
  node->output[0] = text(name_of(a->t->name));
  insert(&node->attribute, &node->n_attribute, 0, a);
  insert(&m->graph->node, &m->graph->n_node, 0, node);
  drop(&m->graph->initializer, &m->graph->n_initializer, at);
}

/* ---- the rest of the file ---------------------------------------------------------- */

static void change_input_shape(mutation *m) {
  const Onnx__GraphProto *g = m->graph;
  if (!g->n_input) return;
  Onnx__TypeProto *type = g->input[below(m, g->n_input)]->type;
  Onnx__TensorShapeProto *shape = type && type->tensor_type ? type->tensor_type->shape : NULL;
  if (!shape || !shape->n_dim) return;
  Onnx__TensorShapeProto__Dimension *dim = shape->dim[below(m, shape->n_dim)];
  dim->has_dim_value = below(m, 4) != 0;
  dim->dim_value = some_integer(m);
  dim->dim_param = dim->has_dim_value ? NULL : text("N");
  if (below(m, 16)) return;
  if (below(m, 2))
    type->tensor_type->elem_type = (int32_t)below(m, 20);
  else
    drop(&shape->dim, &shape->n_dim, below(m, shape->n_dim));
}

static void change_outputs(mutation *m) {
  Onnx__GraphProto *g = m->graph;
  const uint32_t kind = below(m, 4);
  if (!g->n_output || kind == 0) {
    Onnx__ValueInfoProto *info = take(sizeof *info);
    onnx__value_info_proto__init(info);
    info->name = some_tensor(m);
    insert(&g->output, &g->n_output, g->n_output, info);
  } else if (kind == 1 && g->n_output > 1) {
    drop(&g->output, &g->n_output, below(m, g->n_output));
  } else {
    g->output[below(m, g->n_output)]->name = some_tensor(m);
  }
}

static void change_header(mutation *m) {
  static const char *const keys[] = {"resnet.labels", "resnet.preprocess", "resnet.name", "other"};
  static const char *const values[] = {
      "cat\ndog\nship\ntruck",
      "one\ntwo",
      "",
      "\n\n\n",
      "seed",
      "resize=8 crop=8 order=rgb scale=255 mean=0.5,0.5,0.5 std=0.25,0.25,0.25",
      "resize=none crop=none order=bgr scale=1 mean=0,0,0 std=1,1,1",
      "resize=8 crop=8 order=rgb scale=0 mean=0,0 std=1"};
  Onnx__ModelProto *model = m->model;
  if (below(m, 3) && model->n_opset_import) {
    model->opset_import[below(m, model->n_opset_import)]->version = 1 + below(m, 28);
    return;
  }
  if (!below(m, 4)) {
    model->ir_version = 1 + below(m, 14);
    return;
  }
  Onnx__StringStringEntryProto *entry = take(sizeof *entry);
  onnx__string_string_entry_proto__init(entry);
  entry->key = text(PICK(m, keys));
  entry->value = text(PICK(m, values));
  insert(&model->metadata_props, &model->n_metadata_props, model->n_metadata_props, entry);
}

static void mutate_model(mutation *m) {
  switch (below(m, 16)) {
  case 0:
    change_header(m);
    break;
  case 1:
    change_outputs(m);
    break;
  case 2:
    change_input_shape(m);
    break;
  case 3:
    swap_nodes(m);
    break;
  case 4:
    move_constant(m);
    break;
  case 5:
    duplicate_node(m);
    break;
  case 6:
    drop_node(m);
    break;
  case 7:
    change_operator(m);
    break;
  case 8:
  case 9:
    insert_node(m);
    break;
  case 10:
  case 11:
    change_inputs(m);
    break;
  case 12:
  case 13:
    change_tensor(m, some_constant(m));
    break;
  default:
    change_attributes(m, some_node(m));
  }
}

/* ---- bytes ------------------------------------------------------------------------- */

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
    const uint8_t byte = *(*at)++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/* Return whether messages are nested to a depth that protobuf-c can decode here. It
 * recurses as deep as the bytes say and allocates a list for each level: the mutator must
 * not crash where the library may not. */
static bool is_shallow(const uint8_t *at, const uint8_t *end,
                       const ProtobufCMessageDescriptor *type, int depth) {
  size_t items = 0;
  while (at < end) {
    uint64_t tag, size = 0;
    if (depth > MAX_DEPTH || ++items > MAX_ITEMS || !read_varint(&at, end, &tag)) return false;
    switch (tag & 7) {
    case 0:
      if (!read_varint(&at, end, &size)) return false;
      continue;
    case 1:
      size = 8;
      break;
    case 2:
      if (!read_varint(&at, end, &size)) return false;
      break;
    case 5:
      size = 4;
      break;
    default:
      return false;
    }
    if (size > (uint64_t)(end - at)) return false;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
    if ((tag & 7) == 2 && field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
        !is_shallow(at, at + size, field->descriptor, depth + 1))
      return false;
    at += size;
  }
  return true;
}

static Onnx__ModelProto *decode(const uint8_t *data, size_t size) {
  if (!is_shallow(data, data + size, &onnx__model_proto__descriptor, 0)) return NULL;
  Onnx__ModelProto *model = onnx__model_proto__unpack(&arena_allocator, size, data);
  return model && model->graph && arena_has_room() ? model : NULL;
}

static size_t encode(const Onnx__ModelProto *model, uint8_t *data, size_t max_size) {
  const size_t size = onnx__model_proto__get_packed_size(model);
  return size > max_size ? 0 : onnx__model_proto__pack(model, data);
}

size_t mutate_onnx(uint8_t *data, size_t size, size_t max_size, uint32_t *random) {
  arena_reset();
  mutation m = {.model = decode(data, size), .random = random};
  if (!m.model) return 0;
  m.graph = m.model->graph;
  for (uint32_t changes = 1 + below(&m, 3); changes > 0; changes--) mutate_model(&m);
  return encode(m.model, data, max_size);
}

static char *prefixed(const char *name) {
  char *to = take(strlen(name) + 2);
  *to = '~';
  strcpy(to + 1, name);
  return name[0] ? to : text("");
}

/* Prefix all names of the second graph, so that they differ from the first one's; its
 * input becomes `joint`. */
static void rename_apart(Onnx__GraphProto *g, const char *input, char *joint) {
  for (size_t i = 0; i < g->n_node; i++) {
    for (size_t k = 0; k < g->node[i]->n_input; k++)
      g->node[i]->input[k] =
          strcmp(g->node[i]->input[k], input) == 0 ? joint : prefixed(g->node[i]->input[k]);
    for (size_t k = 0; k < g->node[i]->n_output; k++)
      g->node[i]->output[k] = prefixed(g->node[i]->output[k]);
  }
  for (size_t i = 0; i < g->n_initializer; i++)
    g->initializer[i]->name = prefixed(name_of(g->initializer[i]->name));
  for (size_t i = 0; i < g->n_output; i++)
    g->output[i]->name = prefixed(name_of(g->output[i]->name));
}

static void append(mutation *m, Onnx__GraphProto *other) {
  Onnx__GraphProto *g = m->graph;
  rename_apart(other, other->n_input ? name_of(other->input[0]->name) : "", some_tensor(m));
  for (size_t i = 0; i < other->n_node; i++)
    insert(&g->node, &g->n_node, g->n_node, other->node[i]);
  for (size_t i = 0; i < other->n_initializer; i++)
    insert(&g->initializer, &g->n_initializer, g->n_initializer, other->initializer[i]);
  for (size_t i = 0; i < other->n_output; i++)
    insert(&g->output, &g->n_output, g->n_output, other->output[i]);
  if (g->n_output > 1 && below(m, 2)) drop(&g->output, &g->n_output, 0);
}

size_t splice_onnx(const uint8_t *data, size_t size, const uint8_t *other, size_t other_size,
                   uint8_t *out, size_t max_size, uint32_t *random) {
  arena_reset();
  mutation m = {.model = decode(data, size), .random = random};
  const Onnx__ModelProto *second = m.model ? decode(other, other_size) : NULL;
  if (!second || second->graph->n_node + second->graph->n_initializer > 256) return 0;
  m.graph = m.model->graph;
  append(&m, second->graph);
  return encode(m.model, out, max_size);
}
