#include "mutate_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 16 << 20, MAX_TENSOR = 1 << 14 };

/* ---- memory of one mutation -------------------------------------------------------- */

static _Alignas(16) uint8_t arena[ARENA_BYTES];
static size_t arena_used;

static void *arena_allocate(void *context, size_t size) {
  (void)context;
  const size_t rounded = (size + 15) & ~(size_t)15;
  if (size > ARENA_BYTES || rounded > ARENA_BYTES - arena_used) return NULL;
  void *block = arena + arena_used;
  arena_used += rounded;
  return block;
}

static void arena_release(void *context, void *block) {
  (void)context;
  (void)block;
}

ProtobufCAllocator arena_allocator = {arena_allocate, arena_release, NULL};

void arena_reset(void) { arena_used = 0; }

bool arena_has_room(void) { return arena_used < ARENA_BYTES / 4; }

void *take(size_t size) {
  void *block = arena_allocate(NULL, size);
  if (!block) abort();
  memset(block, 0, size);
  return block;
}

char *text(const char *from) {
  const size_t size = strlen(from) + 1;
  return memcpy(take(size), from, size);
}

/* ---- numbers ----------------------------------------------------------------------- */

uint32_t below(mutation *m, size_t count) { return next_random(m->random) % (uint32_t)count; }

int64_t some_integer(mutation *m) {
  static const int64_t usual[] = {0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 16, -1, -1, -2};
  static const int64_t rare[] = {17,    32,        64,        224,       1000, 1024, 65535,
                                 65536, INT32_MAX, INT64_MAX, INT64_MIN, -3,   -4};
  return below(m, 8) ? PICK(m, usual) : PICK(m, rare);
}

static float some_float(mutation *m) {
  static const uint32_t rare[] = {0x7f800000, 0xff800000, 0x7fc00000, 0x7f7fffff,
                                  0x00000001, 0x80000000, 0x7e967699};
  static const float usual[] = {0, 1, -1, 0.5F, 6, 3, 1e-5F, 2, 1.0F / 6, 0.2F, 255, 1e-3F};
  float number;
  if (below(m, 8)) return PICK(m, usual);
  memcpy(&number, &PICK(m, rare), sizeof number);
  return number;
}

/* ---- lists ------------------------------------------------------------------------- */

void insert(void *list, size_t *count, size_t at, void *item) {
  void **from, **to = take((*count + 1) * sizeof *to);
  memcpy(&from, list, sizeof from);
  if (at > 0) memcpy(to, from, at * sizeof *to);
  to[at] = item;
  if (at < *count) memcpy(to + at + 1, from + at, (*count - at) * sizeof *to);
  memcpy(list, &to, sizeof to);
  (*count)++;
}

void drop(void *list, size_t *count, size_t at) {
  void **items;
  memcpy(&items, list, sizeof items);
  (*count)--;
  memmove(items + at, items + at + 1, (*count - at) * sizeof *items);
}

/* ---- names ------------------------------------------------------------------------- */

const char *name_of(const char *name) { return name ? name : ""; }

char *some_tensor(mutation *m) {
  const Onnx__GraphProto *g = m->graph;
  const uint32_t kind = below(m, 8);
  if (kind == 0 && g->n_input) return text(name_of(g->input[below(m, g->n_input)]->name));
  if (kind <= 2 && g->n_initializer)
    return text(name_of(g->initializer[below(m, g->n_initializer)]->name));
  if (!g->n_node) return text("input");
  const Onnx__NodeProto *node = g->node[below(m, g->n_node)];
  return text(node->n_output ? node->output[0] : "");
}

char *new_name(mutation *m) {
  char name[24];
  (void)snprintf(name, sizeof name, "m%u", next_random(m->random) % 1000000);
  return text(name);
}

void rename_readers(mutation *m, const char *from, char *to) {
  for (size_t i = 0; i < m->graph->n_node; i++)
    for (size_t k = 0; k < m->graph->node[i]->n_input; k++)
      if (strcmp(m->graph->node[i]->input[k], from) == 0) m->graph->node[i]->input[k] = to;
  for (size_t i = 0; i < m->graph->n_output; i++)
    if (strcmp(name_of(m->graph->output[i]->name), from) == 0) m->graph->output[i]->name = to;
}

/* ---- tensors ----------------------------------------------------------------------- */

static size_t element_size(int32_t type) {
  switch (type) {
  case TYPE_FLOAT:
  case TYPE_INT32:
    return 4;
  case TYPE_INT64:
  case TYPE_DOUBLE:
    return 8;
  case TYPE_HALF:
    return 2;
  default:
    return 1;
  }
}

/* Resize raw_data to the size that the dims ask for, repeating its content. */
static void fit_data(Onnx__TensorProto *t) {
  size_t count = 1;
  for (size_t i = 0; i < t->n_dims; i++) {
    if (t->dims[i] < 0 || (uint64_t)t->dims[i] > MAX_TENSOR) return;
    count *= (size_t)t->dims[i];
    if (count > MAX_TENSOR) return;
  }
  const size_t size = count * element_size(t->data_type), old = t->raw_data.len;
  if (!t->has_raw_data || size == old) return;
  uint8_t *data = take(size + 1);
  for (size_t i = 0; i < size; i++) data[i] = old ? t->raw_data.data[i % old] : 0;
  t->raw_data = (ProtobufCBinaryData){size, data};
}

static void change_dims(mutation *m, Onnx__TensorProto *t) {
  const uint32_t kind = below(m, 4);
  if (kind == 0 || t->n_dims == 0) { /* one dimension more, or one less */
    int64_t *dims = take((t->n_dims + 1) * sizeof *dims);
    const size_t at = below(m, t->n_dims + 1);
    for (size_t i = 0; i <= t->n_dims; i++)
      dims[i] = i < at ? t->dims[i] : i == at ? 1 : t->dims[i - 1];
    t->dims = dims;
    t->n_dims++;
  } else if (kind == 1) {
    const size_t a = below(m, t->n_dims), b = below(m, t->n_dims);
    const int64_t dim = t->dims[a];
    t->dims[a] = t->dims[b];
    t->dims[b] = dim;
  } else {
    t->dims[below(m, t->n_dims)] = some_integer(m);
  }
  if (below(m, 8)) fit_data(t);
}

static void change_number(mutation *m, Onnx__TensorProto *t) {
  const size_t size = element_size(t->data_type);
  if (t->n_float_data) t->float_data[below(m, t->n_float_data)] = some_float(m);
  if (t->n_int64_data) t->int64_data[below(m, t->n_int64_data)] = some_integer(m);
  if (!t->has_raw_data || t->raw_data.len < size) return;
  uint8_t *at = t->raw_data.data + below(m, t->raw_data.len / size) * size;
  const int64_t integer = some_integer(m);
  const float number = some_float(m);
  const double wide = (double)number;
  if (t->data_type == TYPE_FLOAT)
    memcpy(at, &number, sizeof number);
  else if (t->data_type == TYPE_DOUBLE)
    memcpy(at, &wide, sizeof wide);
  else
    memcpy(at, &integer, size);
}

/* Return a half that is truncated, not rounded: any number will do. */
static uint16_t half_of(float number) {
  uint32_t bits;
  memcpy(&bits, &number, sizeof bits);
  const int32_t exponent = (int32_t)(bits >> 23 & 255) - 112;
  const uint32_t sign = bits >> 16 & 0x8000;
  if (exponent <= 0) return (uint16_t)sign;
  return (uint16_t)(sign |
                    (exponent > 30 ? 0x7c00U : (uint32_t)exponent << 10 | (bits >> 13 & 0x3ff)));
}

/* Store the same floats in another way: as doubles, halves or float_data. */
static void respell_floats(mutation *m, Onnx__TensorProto *t) {
  if (t->data_type != TYPE_FLOAT || !t->has_raw_data || t->raw_data.len > MAX_TENSOR) return;
  const size_t count = t->raw_data.len / sizeof(float);
  float *floats = take(count * sizeof *floats + 1);
  double *doubles = take(count * sizeof *doubles + 1);
  uint16_t *halves = take(count * sizeof *halves + 1);
  if (count) memcpy(floats, t->raw_data.data, count * sizeof *floats);
  for (size_t i = 0; i < count; i++) {
    doubles[i] = (double)floats[i];
    halves[i] = half_of(floats[i]);
  }
  const uint32_t kind = below(m, 3);
  if (kind == 0) {
    t->has_raw_data = 0;
    t->float_data = floats;
    t->n_float_data = count;
    return;
  }
  t->data_type = kind == 1 ? TYPE_DOUBLE : TYPE_HALF;
  t->raw_data.data = kind == 1 ? (uint8_t *)doubles : (uint8_t *)halves;
  t->raw_data.len = count * element_size(t->data_type);
}

static ProtobufCBinaryData bytes_of(const char *from) {
  return (ProtobufCBinaryData){strlen(from), (uint8_t *)text(from)};
}

static void add_entry(Onnx__TensorProto *t, const char *key, const char *value) {
  Onnx__ExternalDataProto *entry = take(sizeof *entry);
  onnx__external_data_proto__init(entry);
  entry->has_key = entry->has_value = 1;
  entry->key = bytes_of(key);
  entry->value = bytes_of(value);
  insert(&t->external_data, &t->n_external_data, t->n_external_data, entry);
}

/* Move the tensor's numbers to another file, mostly the one that exercise.c writes beside
 * the model. */
static void make_external(mutation *m, Onnx__TensorProto *t) {
  static const char *const files[] = {"weights.bin", "./weights.bin", "../weights.bin",
                                      "/dev/null",   "none",          ""};
  static const char *const numbers[] = {
      "0", "4", "4096", "8188", "8192", "-1", "9223372036854775807", "0x10", ""};
  char length[24];
  (void)snprintf(length, sizeof length, "%zu", t->raw_data.len);
  t->has_data_location = 1;
  t->data_location = 1;
  t->n_external_data = 0;
  add_entry(t, "location", below(m, 4) ? files[0] : PICK(m, files));
  if (below(m, 2)) add_entry(t, "offset", below(m, 2) ? numbers[below(m, 3)] : PICK(m, numbers));
  if (below(m, 2)) add_entry(t, "length", below(m, 4) ? length : PICK(m, numbers));
  if (!below(m, 8)) add_entry(t, "checksum", "0");
  if (below(m, 8)) t->has_raw_data = 0;
}

void change_tensor(mutation *m, Onnx__TensorProto *t) {
  static const int32_t types[] = {TYPE_FLOAT, TYPE_FLOAT, TYPE_INT32,  TYPE_INT64,
                                  TYPE_BOOL,  TYPE_HALF,  TYPE_DOUBLE, 16};
  switch (below(m, 8)) {
  case 7:
    make_external(m, t);
    break;
  case 0:
  case 1:
    change_dims(m, t);
    break;
  case 2:
    t->data_type = PICK(m, types);
    if (below(m, 4)) fit_data(t);
    break;
  case 3:
    respell_floats(m, t);
    break;
  default:
    change_number(m, t);
  }
}

Onnx__TensorProto *new_tensor(char *name, int32_t type, size_t rank) {
  Onnx__TensorProto *t = take(sizeof *t);
  onnx__tensor_proto__init(t);
  t->name = name;
  t->has_data_type = 1;
  t->data_type = type;
  t->dims = take((rank + 1) * sizeof *t->dims);
  t->n_dims = rank;
  for (size_t i = 0; i < rank; i++) t->dims[i] = 1;
  t->has_raw_data = 1;
  return t;
}

char *add_constant(mutation *m, int32_t type) {
  static const size_t float_ranks[] = {0, 1, 3, 4};
  const size_t rank = type == TYPE_FLOAT ? PICK(m, float_ranks) : 1;
  Onnx__TensorProto *t = new_tensor(new_name(m), type, rank);
  if (rank) t->dims[rank > 1 ? rank - 3 : 0] = 1 + below(m, 8);
  fit_data(t);
  for (size_t i = 0; i < 8; i++) change_number(m, t);
  insert(&m->graph->initializer, &m->graph->n_initializer, m->graph->n_initializer, t);
  return t->name;
}

Onnx__TensorProto *some_constant(mutation *m) {
  if (!m->graph->n_initializer) (void)add_constant(m, TYPE_FLOAT);
  return m->graph->initializer[below(m, m->graph->n_initializer)];
}

/* ---- attributes -------------------------------------------------------------------- */

static const struct {
  const char *name;
  int type;
  size_t count; /* for a list: how many numbers */
} known_attributes[] = {
    {"kernel_shape", ATTRIBUTE_INTS, 2},
    {"strides", ATTRIBUTE_INTS, 2},
    {"dilations", ATTRIBUTE_INTS, 2},
    {"pads", ATTRIBUTE_INTS, 4},
    {"pads", ATTRIBUTE_INTS, 8},
    {"axes", ATTRIBUTE_INTS, 2},
    {"perm", ATTRIBUTE_INTS, 4},
    {"starts", ATTRIBUTE_INTS, 1},
    {"ends", ATTRIBUTE_INTS, 1},
    {"group", ATTRIBUTE_INT, 0},
    {"axis", ATTRIBUTE_INT, 0},
    {"keepdims", ATTRIBUTE_INT, 0},
    {"ceil_mode", ATTRIBUTE_INT, 0},
    {"count_include_pad", ATTRIBUTE_INT, 0},
    {"transA", ATTRIBUTE_INT, 0},
    {"transB", ATTRIBUTE_INT, 0},
    {"to", ATTRIBUTE_INT, 0},
    {"allowzero", ATTRIBUTE_INT, 0},
    {"spatial", ATTRIBUTE_INT, 0},
    {"training_mode", ATTRIBUTE_INT, 0},
    {"storage_order", ATTRIBUTE_INT, 0},
    {"start", ATTRIBUTE_INT, 0},
    {"end", ATTRIBUTE_INT, 0},
    {"epsilon", ATTRIBUTE_FLOAT, 0},
    {"alpha", ATTRIBUTE_FLOAT, 0},
    {"beta", ATTRIBUTE_FLOAT, 0},
    {"min", ATTRIBUTE_FLOAT, 0},
    {"max", ATTRIBUTE_FLOAT, 0},
    {"value", ATTRIBUTE_FLOAT, 0},
    {"auto_pad", ATTRIBUTE_STRING, 0},
    {"mode", ATTRIBUTE_STRING, 0},
};

static const char *const words[] = {"NOTSET",   "SAME_UPPER", "SAME_LOWER", "VALID",
                                    "constant", "reflect",    "edge",       "wrap"};

static void set_word(mutation *m, Onnx__AttributeProto *a) {
  char *word = text(PICK(m, words));
  a->s = (ProtobufCBinaryData){strlen(word), (uint8_t *)word};
}

static void change_attribute(mutation *m, Onnx__AttributeProto *a) {
  if (a->n_ints) {
    a->ints[below(m, a->n_ints)] = some_integer(m);
    if (below(m, 2)) a->ints[below(m, a->n_ints)] = a->ints[0];
    if (!below(m, 8)) a->n_ints--;
  }
  if (a->n_floats) a->floats[below(m, a->n_floats)] = some_float(m);
  if (a->has_i) a->i = some_integer(m);
  if (a->has_f) a->f = some_float(m);
  if (a->has_s) set_word(m, a);
  if (a->t) change_tensor(m, a->t);
}

Onnx__AttributeProto *new_attribute(const char *name, int32_t type) {
  Onnx__AttributeProto *a = take(sizeof *a);
  onnx__attribute_proto__init(a);
  a->name = text(name);
  a->has_type = 1;
  a->type = type;
  return a;
}

static void add_attribute(mutation *m, Onnx__NodeProto *node) {
  const size_t kind = below(m, sizeof known_attributes / sizeof *known_attributes);
  Onnx__AttributeProto *a = new_attribute(known_attributes[kind].name, known_attributes[kind].type);
  a->has_i = a->type == ATTRIBUTE_INT;
  a->has_f = a->type == ATTRIBUTE_FLOAT;
  a->has_s = a->type == ATTRIBUTE_STRING;
  a->n_ints = known_attributes[kind].count;
  a->ints = take((a->n_ints + 1) * sizeof *a->ints);
  for (size_t i = 0; i < a->n_ints; i++) a->ints[i] = 1;
  change_attribute(m, a);
  for (size_t i = 0; i < node->n_attribute; i++)
    if (strcmp(name_of(node->attribute[i]->name), a->name) == 0 && below(m, 16)) {
      node->attribute[i] = a;
      return;
    }
  insert(&node->attribute, &node->n_attribute, node->n_attribute, a);
}

void change_attributes(mutation *m, Onnx__NodeProto *node) {
  const uint32_t kind = below(m, 8);
  if (!node->n_attribute || kind == 0)
    add_attribute(m, node);
  else if (kind == 1)
    drop(&node->attribute, &node->n_attribute, below(m, node->n_attribute));
  else
    change_attribute(m, node->attribute[below(m, node->n_attribute)]);
}
