#include "loader/graph/graph_io.h"

#include <string.h>

#include "loader/graph/graph_check.h"

enum {
  MAX_NODES = GRAPH_MAX_NODES + 1, /* the input, too */
  MAX_LABELS = 65535,
  MIN_NODE_BYTES = 100
};

/* The fields of a node that are plain u32, in their order. */
enum { NODE_NUMBERS = 17 };

static void node_numbers(const graph_node *n, uint32_t numbers[NODE_NUMBERS]) {
  const graph_window *w = &n->window;
  const uint32_t all[NODE_NUMBERS] = {
      w->kernel_h, w->kernel_w, w->stride_h,        w->stride_w,  w->dilation_h, w->dilation_w,
      w->pad_top,  w->pad_left, w->pad_bottom,      w->pad_right, n->groups,     n->count_padding,
      n->stride_h, n->stride_w, n->channels_before, n->sigmoid,   n->pad_mode};
  memcpy(numbers, all, sizeof all);
}

static void write_node(serial_writer *w, const graph_node *n) {
  uint32_t numbers[NODE_NUMBERS];
  const uint32_t first[] = {n->op,      n->input_count, n->input[0], n->input[1],
                            n->shape.h, n->shape.w,     n->shape.c,  n->block};
  serial_put_bytes(w, first, sizeof first);
  serial_put_text(w, n->name);
  serial_put_text(w, n->output);
  node_numbers(n, numbers);
  serial_put_bytes(w, numbers, sizeof numbers);
  serial_put_u32(w, n->winograd_safety);
  serial_put_float(w, n->clamp_min);
  serial_put_float(w, n->clamp_max);
  serial_put_float(w, n->pad_value);
  serial_put_u64(w, n->weight_count);
  serial_put_u64(w, n->bias_count);
}

void graph_write(serial_writer *w, const graph *g) {
  const uint32_t first[] = {g->node_count,       g->block_count, g->label_count,
                            g->diagnostic_count, g->output,      g->opset};
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

/* A number that becomes an enum or a bool, of which none is as large. */
static uint32_t take_small(serial_reader *r, uint32_t limit) {
  const uint32_t number = serial_get_u32(r);
  if (number >= limit) r->failed = true;
  return number < limit ? number : 0;
}

static size_t take_size(serial_reader *r) {
  const uint64_t number = serial_get_u64(r);
  if (number > SIZE_MAX) r->failed = true;
  return number > SIZE_MAX ? 0 : (size_t)number;
}

static void read_window(serial_reader *r, graph_window *w) {
  w->kernel_h = serial_get_u32(r);
  w->kernel_w = serial_get_u32(r);
  w->stride_h = serial_get_u32(r);
  w->stride_w = serial_get_u32(r);
  w->dilation_h = serial_get_u32(r);
  w->dilation_w = serial_get_u32(r);
  w->pad_top = serial_get_u32(r);
  w->pad_left = serial_get_u32(r);
  w->pad_bottom = serial_get_u32(r);
  w->pad_right = serial_get_u32(r);
}

/* False: no memory, or r->failed. */
static bool read_node(serial_reader *r, memory *m, graph_node *n) {
  n->op = (graph_op)take_small(r, GRAPH_OP_COUNT);
  n->input_count = take_small(r, 3);
  n->input[0] = serial_get_u32(r);
  n->input[1] = serial_get_u32(r);
  n->shape.h = serial_get_u32(r);
  n->shape.w = serial_get_u32(r);
  n->shape.c = serial_get_u32(r);
  n->block = serial_get_u32(r);
  n->name = serial_get_text(r, m);
  n->output = n->name ? serial_get_text(r, m) : NULL;
  if (!n->output) return false;
  read_window(r, &n->window);
  n->groups = serial_get_u32(r);
  n->count_padding = take_small(r, 2) == 1;
  n->stride_h = serial_get_u32(r);
  n->stride_w = serial_get_u32(r);
  n->channels_before = serial_get_u32(r);
  n->sigmoid = take_small(r, 2) == 1;
  n->pad_mode = (graph_pad_mode)take_small(r, GRAPH_PAD_EDGE + 1);
  n->winograd_safety = (graph_winograd_safety)serial_get_u32(r);
  n->clamp_min = serial_get_float(r);
  n->clamp_max = serial_get_float(r);
  n->pad_value = serial_get_float(r);
  n->weight_count = take_size(r);
  n->bias_count = take_size(r);
  return !r->failed;
}

static bool read_block(serial_reader *r, memory *m, graph_block *block) {
  block->name = serial_get_text(r, m);
  block->shortcut = (resnet_shortcut)take_small(r, RESNET_SHORTCUT_POOL + 1);
  block->source = serial_get_u32(r);
  block->add = serial_get_u32(r);
  return block->name && !r->failed;
}

static bool read_diagnostic(serial_reader *r, memory *m, graph_diagnostic *diagnostic) {
  diagnostic->severity = (resnet_severity)take_small(r, RESNET_WARNING + 1);
  diagnostic->message = serial_get_text(r, m);
  return diagnostic->message && !r->failed;
}

static bool make_room(memory *m, graph *g, uint32_t nodes, uint32_t blocks, uint32_t labels,
                      uint32_t diagnostics) {
  g->nodes = mem_allocate(m, nodes, sizeof *g->nodes);
  g->blocks = mem_allocate(m, blocks, sizeof *g->blocks);
  if (labels) g->labels = mem_allocate(m, labels, sizeof *g->labels);
  /* more may be added */
  if (diagnostics) g->diagnostics = mem_allocate(m, GRAPH_MAX_DIAGNOSTICS, sizeof *g->diagnostics);
  return g->nodes && g->blocks && (!labels || g->labels) && (!diagnostics || g->diagnostics);
}

/* The counts in *g rise with what is there to be released. */
static bool read_all(serial_reader *r, memory *m, graph *g) {
  const uint32_t nodes = take_small(r, MAX_NODES + 1), blocks = take_small(r, MAX_NODES + 1);
  const uint32_t labels = take_small(r, MAX_LABELS + 1),
                 diagnostics = take_small(r, GRAPH_MAX_DIAGNOSTICS + 1);
  g->output = serial_get_u32(r);
  g->opset = serial_get_u32(r);
  g->name = serial_get_text(r, m);
  g->producer = g->name ? serial_get_text(r, m) : NULL;
  if (nodes > (size_t)(r->end - r->at) / MIN_NODE_BYTES) r->failed = true;
  if (!g->producer || r->failed) return false;
  if (!make_room(m, g, nodes, blocks, labels, diagnostics)) return false;
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
