/* Field numbers: onnx/onnx.proto. */
#include "loader_network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { VARINT = 0, LENGTH = 2, FIXED32 = 5 };
enum { TYPE_FLOAT = 1, TYPE_INT64 = 7 };
enum {
  ATTRIBUTE_FLOAT = 1,
  ATTRIBUTE_INT = 2,
  ATTRIBUTE_STRING = 3,
  ATTRIBUTE_FLOATS = 6,
  ATTRIBUTE_INTS = 7
};

/* ---- bytes ------------------------------------------------------------------------- */

void buffer_release(buffer *b) {
  free(b->data);
  memset(b, 0, sizeof *b);
}

void put_bytes(buffer *b, const void *bytes, size_t size) {
  if (b->size + size > b->capacity) {
    b->capacity = 2 * (b->size + size);
    b->data = realloc(b->data, b->capacity);
    if (!b->data) abort();
  }
  if (size) memcpy(b->data + b->size, bytes, size);
  b->size += size;
}

void put_varint(buffer *b, uint64_t number) {
  for (; number >= 0x80; number >>= 7) put_bytes(b, &(uint8_t){(uint8_t)(number | 0x80)}, 1);
  put_bytes(b, &(uint8_t){(uint8_t)number}, 1);
}

static void put_tag(buffer *b, uint32_t field, unsigned wire) {
  put_varint(b, (uint64_t)field << 3 | wire);
}

void put_number(buffer *b, uint32_t field, uint64_t number) {
  put_tag(b, field, VARINT);
  put_varint(b, number);
}

static void put_little_endian(buffer *b, uint64_t bits, size_t size) {
  for (size_t i = 0; i < size; i++) put_bytes(b, &(uint8_t){(uint8_t)(bits >> (8 * i))}, 1);
}

static uint32_t bits_of(float number) {
  uint32_t bits;
  memcpy(&bits, &number, sizeof bits);
  return bits;
}

void put_float(buffer *b, uint32_t field, float number) {
  put_tag(b, field, FIXED32);
  put_little_endian(b, bits_of(number), 4);
}

void put_field(buffer *b, uint32_t field, const void *bytes, size_t size) {
  put_tag(b, field, LENGTH);
  put_varint(b, size);
  put_bytes(b, bytes, size);
}

void put_text(buffer *b, uint32_t field, const char *text) {
  put_field(b, field, text, strlen(text));
}

void put_message(buffer *b, uint32_t field, buffer *message) {
  put_field(b, field, message->data, message->size);
  buffer_release(message);
}

/* ---- lists in text ----------------------------------------------------------------- */

/* Copy the next piece of *rest up to `separator` to `piece`; return false at the end. */
static bool next_piece(const char **rest, char separator, char piece[512]) {
  if (!*rest || !**rest) return false;
  const char *end = strchr(*rest, separator);
  size_t length = end ? (size_t)(end - *rest) : strlen(*rest);
  assert_in_range(length, 0, 511);
  memcpy(piece, *rest, length);
  piece[length] = '\0';
  *rest = end ? end + 1 : NULL;
  return true;
}

static void put_names(buffer *b, uint32_t field, const char *names) {
  char name[512];
  while (next_piece(&names, ',', name)) put_text(b, field, name);
}

/* ---- nodes ------------------------------------------------------------------------- */

static void put_attribute_value(buffer *b, const char *text) {
  char piece[512];
  if (strchr(text, ',') && strchr(text, '.')) {
    put_number(b, 20, ATTRIBUTE_FLOATS);
    while (next_piece(&text, ',', piece)) put_float(b, 7, strtof(piece, NULL));
  } else if (strchr(text, ',')) {
    put_number(b, 20, ATTRIBUTE_INTS);
    while (next_piece(&text, ',', piece)) put_number(b, 8, (uint64_t)strtoll(piece, NULL, 10));
  } else if (strchr("-0123456789", *text) && !strpbrk(text, ".e")) {
    put_number(b, 20, ATTRIBUTE_INT);
    put_number(b, 3, (uint64_t)strtoll(text, NULL, 10));
  } else if (strchr("-0123456789", *text)) {
    put_number(b, 20, ATTRIBUTE_FLOAT);
    put_float(b, 2, strtof(text, NULL));
  } else {
    put_number(b, 20, ATTRIBUTE_STRING);
    put_text(b, 4, text);
  }
}

static void put_attribute(buffer *node, const char *text) {
  buffer b = {0};
  const char *equals = strchr(text, '=');
  assert_non_null(equals);
  put_field(&b, 1, text, (size_t)(equals - text));
  put_attribute_value(&b, equals + 1);
  put_message(node, 5, &b);
}

void add(network *n, const char *operator_type, const char *inputs, const char *outputs,
         const char *attributes) {
  buffer b = {0};
  char name[640], piece[512] = "";
  const char *rest = outputs;
  (void)next_piece(&rest, ',', piece);
  (void)snprintf(name, sizeof name, "%s_%s", operator_type, piece);
  put_names(&b, 1, inputs);
  put_names(&b, 2, outputs);
  put_text(&b, 3, name);
  put_text(&b, 4, operator_type);
  while (next_piece(&attributes, ' ', piece)) put_attribute(&b, piece);
  put_message(&n->graph, 1, &b);
}

/* ---- initialisers ------------------------------------------------------------------ */

static size_t put_tensor_head(buffer *b, const char *name, const char *dims, int type) {
  char piece[512];
  size_t count = 1;
  while (next_piece(&dims, ',', piece)) {
    put_number(b, 1, (uint64_t)strtoll(piece, NULL, 10));
    count *= (size_t)strtoll(piece, NULL, 10);
  }
  put_number(b, 2, (uint64_t)type);
  put_text(b, 8, name);
  return count;
}

void add_floats(network *n, const char *name, const char *dims, const float *numbers) {
  buffer b = {0}, raw = {0};
  size_t count = put_tensor_head(&b, name, dims, TYPE_FLOAT);
  for (size_t i = 0; i < count; i++) put_little_endian(&raw, bits_of(numbers[i]), 4);
  put_message(&b, 9, &raw);
  put_message(&n->graph, 5, &b);
}

void add_integers(network *n, const char *name, const char *dims, const int64_t *numbers) {
  buffer b = {0}, packed = {0};
  size_t count = put_tensor_head(&b, name, dims, TYPE_INT64);
  for (size_t i = 0; i < count; i++) put_varint(&packed, (uint64_t)numbers[i]);
  put_message(&b, 7, &packed);
  put_message(&n->graph, 5, &b);
}

float random_float(uint32_t seed, size_t index) {
  uint32_t x = seed * 0x9e3779b9U + (uint32_t)index * 0x85ebca6bU + 1;
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  return (float)(x >> 8) / 16777216.0F - 0.5F;
}

void add_random(network *n, const char *name, const char *dims, uint32_t seed) {
  buffer b = {0}, raw = {0};
  size_t count = put_tensor_head(&b, name, dims, TYPE_FLOAT);
  for (size_t i = 0; i < count; i++) put_little_endian(&raw, bits_of(random_float(seed, i)), 4);
  put_message(&b, 9, &raw);
  put_message(&n->graph, 5, &b);
}

void add_metadata(network *n, const char *key, const char *text) {
  buffer b = {0};
  put_text(&b, 1, key);
  put_text(&b, 2, text);
  put_message(&n->extra, 14, &b);
}

/* ---- the file ---------------------------------------------------------------------- */

static void put_value_info(buffer *into, uint32_t field, const char *name, const char *dims,
                           int type_number) {
  buffer shape = {0}, tensor = {0}, type = {0}, info = {0};
  char piece[512];
  while (next_piece(&dims, ',', piece)) {
    buffer dim = {0};
    if (strchr("-0123456789", *piece) && *piece)
      put_number(&dim, 1, (uint64_t)strtoll(piece, NULL, 10));
    else
      put_text(&dim, 2, piece);
    put_message(&shape, 1, &dim);
  }
  put_text(&info, 1, name);
  put_number(&tensor, 1, (uint64_t)type_number);
  put_message(&tensor, 2, &shape);
  put_message(&type, 1, &tensor);
  put_message(&info, 2, &type);
  put_message(into, field, &info);
}

void put_external_entry(buffer *tensor, const char *key, const void *value, size_t size) {
  buffer entry = {0};
  put_text(&entry, 1, key);
  put_field(&entry, 2, value, size);
  put_message(tensor, 13, &entry);
}

void put_external(buffer *tensor, const char *entries) {
  char text[2048];
  (void)snprintf(text, sizeof text, "%s", entries);
  for (char *rest, *entry = strtok_r(text, " ", &rest); entry; entry = strtok_r(NULL, " ", &rest)) {
    char *value = strchr(entry, '=');
    *value++ = '\0';
    put_external_entry(tensor, entry, value, strlen(value));
  }
}

void add_conv(network *n, const char *input, const char *output, const char *dims,
              const char *attributes) {
  char weights[64], inputs[512];
  (void)snprintf(weights, sizeof weights, "w_%s", output);
  (void)snprintf(inputs, sizeof inputs, "%s,%s", input, weights);
  add_random(n, weights, dims, 1);
  add(n, "Conv", inputs, output, attributes);
}

void begin_network(network *n) {
  add_random(n, "w", "4,3,3,3", 1);
  add(n, "Conv", "x,w", "c", "pads=1,1,1,1");
}

void end_network(network *n) {
  add(n, "GlobalAveragePool", "t", "p", "");
  add(n, "Flatten", "p", "y", "");
}

/* Write a required part last: a file that was cut off anywhere is then no model. */
buffer finish(network *n) {
  buffer file = {0}, opset = {0};
  const char *outputs = n->output ? n->output : "y";
  char piece[512];
  put_text(&n->graph, 2, "test net");
  put_value_info(&n->graph, 11, "x", n->input ? n->input : "N,3,8,8",
                 n->input_type ? n->input_type : TYPE_FLOAT);
  while (next_piece(&outputs, ',', piece)) put_value_info(&n->graph, 12, piece, "", TYPE_FLOAT);
  put_number(&file, 1, (uint64_t)(n->ir ? n->ir : 7));
  put_text(&file, 2, "tests");
  put_text(&file, 3, "1.0");
  put_bytes(&file, n->extra.data, n->extra.size);
  buffer_release(&n->extra);
  put_message(&file, 7, &n->graph);
  put_number(&opset, 2, (uint64_t)(n->opset ? n->opset : 13));
  put_message(&file, 8, &opset);
  return file;
}

buffer gzip(const void *bytes, size_t size) {
  buffer out = {0};
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  out.capacity = deflateBound(&z, size);
  out.data = malloc(out.capacity);
  assert_non_null(out.data);
  z.next_in = (Bytef *)(uintptr_t)bytes;
  z.avail_in = (uInt)size;
  z.next_out = out.data;
  z.avail_out = (uInt)out.capacity;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.size = z.total_out;
  (void)deflateEnd(&z);
  return out;
}

/* ---- loading ----------------------------------------------------------------------- */

static const load_options defaults = {.max_file_bytes = 1 << 24};
static memory everything;

resnet_status load_bytes(const buffer *file, const load_options *options, graph *g,
                         resnet_error *error) {
  mem_init(&everything, NULL, UINT64_C(1) << 28);
  memset(g, 0xa5, sizeof *g); /* not initialised: load_memory must not read it */
  resnet_status status =
      load_memory(g, &everything, file->data, file->size, options ? options : &defaults, error);
  assert_int_equal(status, error->status);
  if (status != RESNET_OK) {
    const graph zero = {0};
    assert_memory_equal(g, &zero, sizeof zero);
    assert_int_equal(everything.used, 0);
    assert_string_not_equal(error->message, "");
  }
  return status;
}

resnet_status load(network *n, graph *g, resnet_error *error) {
  buffer file = finish(n);
  resnet_status status = load_bytes(&file, NULL, g, error);
  buffer_release(&file);
  return status;
}

void load_good(network *n, graph *g) {
  resnet_error error;
  if (load(n, g, &error) != RESNET_OK) fail_msg("%s", error.message);
}

void unload(graph *g) {
  graph_release(g);
  assert_int_equal(everything.used, 0);
}

void refuse_network(network *n, resnet_status status, const char *fragments) {
  graph g;
  resnet_error error;
  char fragment[512];
  if (load(n, &g, &error) == RESNET_OK) fail_msg("loaded, should be refused: %s", fragments);
  while (next_piece(&fragments, '|', fragment))
    if (!strstr(error.message, fragment)) fail_msg("'%s' lacks '%s'", error.message, fragment);
  if (error.status != status)
    fail_msg("status %d, should be %d: %s", error.status, status, error.message);
}

uint32_t find_index(const graph *g, const char *name) {
  for (uint32_t i = 0; i < g->node_count; i++)
    if (strcmp(g->nodes[i].name, name) == 0) return i;
  fail_msg("no node '%s'", name);
  return 0;
}

const graph_node *find_node(const graph *g, const char *name) {
  return &g->nodes[find_index(g, name)];
}

const graph_node *find_scores(const graph *g) { return &g->nodes[g->output]; }

void check_block(const graph *g, uint32_t index, const char *name, resnet_shortcut shortcut,
                 const char *source, const char *last) {
  assert_in_range(index, 0, g->block_count - 1);
  const graph_block *b = &g->blocks[index];
  assert_string_equal(b->name, name);
  assert_int_equal(b->shortcut, shortcut);
  assert_int_equal(b->source, find_index(g, source));
  assert_int_equal(b->add, find_index(g, last));
}

void check_invariants(const graph *g) {
  assert_int_equal(g->nodes[0].op, GRAPH_INPUT);
  for (uint32_t i = 0; i < g->node_count; i++) {
    const graph_node *n = &g->nodes[i];
    assert_int_equal(n->input_count, graph_op_rows[n->op].inputs);
    for (uint32_t k = 0; k < n->input_count; k++) assert_true(n->input[k] < i);
    bool changes = i > 0 && n->block != g->nodes[i - 1].block;
    for (uint32_t k = i; changes && n->block != RESNET_NO_INDEX && k-- > 0;)
      assert_int_not_equal(g->nodes[k].block, n->block);
    bool has_weights = graph_op_uses(n->op, GRAPH_USES_WEIGHTS);
    bool has_bias = has_weights && n->op != GRAPH_PRELU;
    assert_true(has_bias == (n->bias != NULL) && has_weights == (n->weights != NULL));
    assert_true(!n->sigmoid || graph_op_uses(n->op, GRAPH_USES_SIGMOID));
  }
  for (uint32_t i = 0; i < g->block_count; i++) {
    assert_int_equal(g->nodes[g->blocks[i].add].block, i);
    assert_int_not_equal(g->nodes[g->blocks[i].source].block, i);
  }
  assert_true(g->output < g->node_count);
}

/* ---- graphs beside each other ------------------------------------------------------ */

static void load_apart(network *n, memory *m, graph *g) {
  resnet_error error;
  buffer file = finish(n);
  mem_init(m, NULL, 0);
  if (load_memory(g, m, file.data, file.size, &defaults, &error) != RESNET_OK)
    fail_msg("%s", error.message);
  buffer_release(&file);
  check_invariants(g);
}

static void same_floats(const float *a, size_t a_count, const float *b, size_t b_count) {
  assert_int_equal(a_count, b_count);
  for (size_t i = 0; i < a_count; i++) {
    float size = fabsf(a[i]) > 1 ? fabsf(a[i]) : 1;
    if (!(fabsf(a[i] - b[i]) <= 1e-6F * size))
      fail_msg("number %zu is %.9g and %.9g", i, (double)a[i], (double)b[i]);
  }
}

static void same_node(const graph_node *a, const graph_node *b) {
  if (a->op != b->op) fail_msg("'%s' is op %d, '%s' op %d", a->name, a->op, b->name, b->op);
  assert_int_equal(a->input_count, b->input_count);
  assert_memory_equal(a->input, b->input, sizeof a->input);
  assert_memory_equal(&a->shape, &b->shape, sizeof a->shape);
  assert_memory_equal(&a->window, &b->window, sizeof a->window);
  assert_int_equal(a->groups, b->groups);
  assert_int_equal(a->count_padding, b->count_padding);
  assert_int_equal(a->sigmoid, b->sigmoid);
  assert_int_equal(a->pad_mode, b->pad_mode);
  assert_memory_equal(&a->scalar, &b->scalar, sizeof a->scalar);
  assert_int_equal(a->stride_h, b->stride_h);
  assert_int_equal(a->stride_w, b->stride_w);
  assert_int_equal(a->channels_before, b->channels_before);
  assert_memory_equal(&a->clamp_min, &b->clamp_min, sizeof a->clamp_min);
  assert_memory_equal(&a->clamp_max, &b->clamp_max, sizeof a->clamp_max);
  assert_int_equal(a->block, b->block);
  same_floats(a->weights, a->weight_count, b->weights, b->weight_count);
  same_floats(a->bias, a->bias_count, b->bias, b->bias_count);
}

void same_graphs(network *a, network *b) {
  memory m[2];
  graph g[2];
  load_apart(a, &m[0], &g[0]);
  load_apart(b, &m[1], &g[1]);
  for (uint32_t i = 0; i < g[0].node_count && i < g[1].node_count; i++)
    same_node(&g[0].nodes[i], &g[1].nodes[i]);
  assert_int_equal(g[0].node_count, g[1].node_count);
  assert_int_equal(g[0].output, g[1].output);
  assert_int_equal(g[0].block_count, g[1].block_count);
  for (size_t k = 0; k < 2; k++) {
    graph_release(&g[k]);
    assert_int_equal(m[k].used, 0);
  }
}
