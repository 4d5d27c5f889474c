#include "loader/graph/graph_io.h"

#include <math.h>
#include <string.h>

#include "loader/graph/graph_check.h"

enum {
  MAX_NODES = GRAPH_MAX_NODES + 1, /* the input, too */
  MAX_LABELS = 65535,
  MIN_NODE_BYTES = 100
};

/* ---- writing ----------------------------------------------------------------------- */

#define PUT_U32(w, value) serial_put_u32(w, value)
#define PUT_BOOL(w, value) serial_put_u32(w, value)
#define PUT_PAD_MODE(w, value) serial_put_u32(w, value)
#define PUT_NORM_MODE(w, value) serial_put_u32(w, value)
#define PUT_SAFETY(w, value) serial_put_u32(w, value)
#define PUT_FLOAT(w, value) serial_put_float(w, value)
#define PUT_SIZE(w, value) serial_put_u64(w, value)

static void write_node(serial_writer *w, const graph_node *n) {
  const uint32_t first[] = {n->op,      n->input_count, n->input[0], n->input[1],
                            n->shape.h, n->shape.w,     n->shape.c,  n->block};
  serial_put_bytes(w, first, sizeof first);
  serial_put_text(w, n->name);
  serial_put_text(w, n->output);
#define GRAPH_FIELD(type, member, use, empty) PUT_##type(w, n->member);
#include "loader/graph/ops.def"
}

void graph_write(serial_writer *w, const graph *g) {
  const uint32_t first[] = {g->node_count, g->block_count, g->label_count, g->diagnostic_count,
                            g->output,     g->scores,      g->opset};
  serial_put_bytes(w, first, sizeof first);
  serial_put_text(w, g->name);
  serial_put_text(w, g->producer);
  for (uint32_t i = 0; i < g->node_count; i++) write_node(w, &g->nodes[i]);
  for (uint32_t i = 0; i < g->block_count; i++) {
    serial_put_text(w, g->blocks[i].name);
    serial_put_u32(w, g->blocks[i].shortcut);
    serial_put_u32(w, g->blocks[i].source);
    serial_put_u32(w, g->blocks[i].add);
  }
  for (uint32_t i = 0; i < g->label_count; i++) serial_put_text(w, g->labels[i]);
  for (uint32_t i = 0; i < g->diagnostic_count; i++) {
    serial_put_u32(w, g->diagnostics[i].severity);
    serial_put_text(w, g->diagnostics[i].message);
  }
}

/* ---- reading ----------------------------------------------------------------------- */

/* Return a number for an enum or a bool; fail, and return 0, unless it is below
 * `limit`. */
static uint32_t get_below(serial_reader *r, uint32_t limit) {
  const uint32_t number = serial_get_u32(r);
  if (number >= limit) r->failed = true;
  return number < limit ? number : 0;
}

static size_t get_size(serial_reader *r) {
  const uint64_t number = serial_get_u64(r);
  if (number > SIZE_MAX) r->failed = true;
  return number > SIZE_MAX ? 0 : (size_t)number;
}

#define GET_U32(r) serial_get_u32(r)
#define GET_BOOL(r) (get_below(r, 2) == 1)
#define GET_PAD_MODE(r) ((graph_pad_mode)get_below(r, GRAPH_PAD_EDGE + 1))
#define GET_NORM_MODE(r) ((graph_norm_mode)get_below(r, GRAPH_NORM_ADD_SQUARE + 1))
#define GET_SAFETY(r) ((graph_winograd_safety)get_below(r, GRAPH_WINOGRAD_UNSAFE + 1))
#define GET_FLOAT(r) serial_get_float(r)
#define GET_SIZE(r) get_size(r)

/* Return false if there is no memory, or if r->failed. */
static bool read_node(serial_reader *r, memory *m, graph_node *n) {
  n->op = (graph_op)get_below(r, GRAPH_OP_COUNT);
  n->input_count = get_below(r, 3);
  n->input[0] = serial_get_u32(r);
  n->input[1] = serial_get_u32(r);
  n->shape.h = serial_get_u32(r);
  n->shape.w = serial_get_u32(r);
  n->shape.c = serial_get_u32(r);
  n->block = serial_get_u32(r);
  n->name = serial_get_text(r, m);
  n->output = n->name ? serial_get_text(r, m) : NULL;
  if (!n->output) return false;
#define GRAPH_FIELD(type, member, use, empty) n->member = GET_##type(r);
#include "loader/graph/ops.def"
  return !r->failed;
}

static bool read_block(serial_reader *r, memory *m, graph_block *block) {
  block->name = serial_get_text(r, m);
  block->shortcut = (resnet_shortcut)get_below(r, RESNET_SHORTCUT_POOL + 1);
  block->source = serial_get_u32(r);
  block->add = serial_get_u32(r);
  return block->name && !r->failed;
}

static bool read_diagnostic(serial_reader *r, memory *m, graph_diagnostic *diagnostic) {
  diagnostic->severity = (resnet_severity)get_below(r, RESNET_WARNING + 1);
  diagnostic->message = serial_get_text(r, m);
  return diagnostic->message && !r->failed;
}

static bool allocate_arrays(memory *m, graph *g, uint32_t nodes, uint32_t blocks, uint32_t labels,
                            uint32_t diagnostics) {
  g->nodes = mem_allocate(m, nodes, sizeof *g->nodes);
  g->blocks = mem_allocate(m, blocks, sizeof *g->blocks);
  if (labels) g->labels = mem_allocate(m, labels, sizeof *g->labels);
  /* Opening the model may add more. */
  if (diagnostics) g->diagnostics = mem_allocate(m, GRAPH_MAX_DIAGNOSTICS, sizeof *g->diagnostics);
  return g->nodes && g->blocks && (!labels || g->labels) && (!diagnostics || g->diagnostics);
}

/* The counts in *g grow with what has to be released on failure. */
static bool read_all(serial_reader *r, memory *m, graph *g) {
  const uint32_t nodes = get_below(r, MAX_NODES + 1), blocks = get_below(r, MAX_NODES + 1);
  const uint32_t labels = get_below(r, MAX_LABELS + 1),
                 diagnostics = get_below(r, GRAPH_MAX_DIAGNOSTICS + 1);
  g->output = serial_get_u32(r);
  g->scores = (resnet_scores)get_below(r, RESNET_SCORES_EMBEDDING + 1);
  g->opset = serial_get_u32(r);
  g->name = serial_get_text(r, m);
  g->producer = g->name ? serial_get_text(r, m) : NULL;
  if (nodes > (size_t)(r->end - r->at) / MIN_NODE_BYTES) r->failed = true;
  if (!g->producer || r->failed) return false;
  if (!allocate_arrays(m, g, nodes, blocks, labels, diagnostics)) return false;
  while (g->node_count < nodes)
    if (!read_node(r, m, &g->nodes[g->node_count++])) return false;
  while (g->block_count < blocks)
    if (!read_block(r, m, &g->blocks[g->block_count++])) return false;
  while (g->label_count < labels)
    if (!(g->labels[g->label_count++] = serial_get_text(r, m))) return false;
  while (g->diagnostic_count < diagnostics)
    if (!read_diagnostic(r, m, &g->diagnostics[g->diagnostic_count++])) return false;
  return true;
}

resnet_status graph_read(graph *out, memory *m, const uint8_t *bytes, size_t size,
                         resnet_error *error) {
  serial_reader r = {.at = bytes, .end = bytes + size};
  resnet_status status = RESNET_OK;
  memset(out, 0, sizeof *out);
  out->memory = m;
  const bool whole = read_all(&r, m, out);
  if (r.failed || (whole && r.at != r.end))
    status =
        err_fail(error, RESNET_ERROR_FORMAT,
                 "the graph in the plan file is not well-formed: compile the plan again from its "
                 ".onnx file");
  else if (!whole)
    status = err_no_memory(error, "the plan file's graph");
  if (status == RESNET_OK) status = graph_check(out, error);
  if (status != RESNET_OK) graph_release(out);
  return status;
}
