#include "loader/graph/graph_io.h"

#include <string.h>

enum {
  MAX_NODES = 20001 /* as the loader has it, and blocks */,
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

static void write_node(plan_writer *w, const graph_node *n) {
  uint32_t numbers[NODE_NUMBERS];
  const uint32_t first[] = {n->op,      n->input_count, n->input[0], n->input[1],
                            n->shape.h, n->shape.w,     n->shape.c,  n->block};
  emit_bytes(w, first, sizeof first);
  emit_text(w, n->name);
  emit_text(w, n->output);
  node_numbers(n, numbers);
  emit_bytes(w, numbers, sizeof numbers);
  emit_u32(w, n->evenness);
  emit_float(w, n->clamp_min);
  emit_float(w, n->clamp_max);
  emit_float(w, n->pad_value);
  emit_u64(w, n->weight_count);
  emit_u64(w, n->bias_count);
}

void plan_graph_write(plan_writer *w, const graph *g) {
  const uint32_t first[] = {g->node_count,    g->block_count, g->label_count,
                            g->finding_count, g->output,      g->opset};
  emit_bytes(w, first, sizeof first);
  emit_text(w, g->name);
  emit_text(w, g->producer);
  for (uint32_t i = 0; i < g->node_count; i++) write_node(w, &g->nodes[i]);
  for (uint32_t i = 0; i < g->block_count; i++) {
    emit_text(w, g->blocks[i].name);
    emit_u32(w, g->blocks[i].shortcut);
    emit_u32(w, g->blocks[i].source);
    emit_u32(w, g->blocks[i].add);
  }
  for (uint32_t i = 0; i < g->label_count; i++) emit_text(w, g->labels[i]);
  for (uint32_t i = 0; i < g->finding_count; i++) {
    emit_u32(w, g->findings[i].severity);
    emit_text(w, g->findings[i].message);
  }
}

/* ---- reading ----------------------------------------------------------------------- */

/* A number that becomes an enum or a bool, of which none is as large. */
static uint32_t take_small(plan_reader *r, uint32_t limit) {
  const uint32_t number = take_u32(r);
  if (number >= limit) r->failed = true;
  return number < limit ? number : 0;
}

static size_t take_size(plan_reader *r) {
  const uint64_t number = take_u64(r);
  if (number > SIZE_MAX) r->failed = true;
  return number > SIZE_MAX ? 0 : (size_t)number;
}

static void read_window(plan_reader *r, graph_window *w) {
  w->kernel_h = take_u32(r);
  w->kernel_w = take_u32(r);
  w->stride_h = take_u32(r);
  w->stride_w = take_u32(r);
  w->dilation_h = take_u32(r);
  w->dilation_w = take_u32(r);
  w->pad_top = take_u32(r);
  w->pad_left = take_u32(r);
  w->pad_bottom = take_u32(r);
  w->pad_right = take_u32(r);
}

/* False: no memory, or r->failed. */
static bool read_node(plan_reader *r, memory *m, graph_node *n) {
  n->op = (graph_op)take_small(r, GRAPH_OP_COUNT);
  n->input_count = take_small(r, 3);
  n->input[0] = take_u32(r);
  n->input[1] = take_u32(r);
  n->shape.h = take_u32(r);
  n->shape.w = take_u32(r);
  n->shape.c = take_u32(r);
  n->block = take_u32(r);
  n->name = take_text(r, m);
  n->output = n->name ? take_text(r, m) : NULL;
  if (!n->output) return false;
  read_window(r, &n->window);
  n->groups = take_u32(r);
  n->count_padding = take_small(r, 2) == 1;
  n->stride_h = take_u32(r);
  n->stride_w = take_u32(r);
  n->channels_before = take_u32(r);
  n->sigmoid = take_small(r, 2) == 1;
  n->pad_mode = (graph_pad_mode)take_small(r, GRAPH_PAD_EDGE + 1);
  n->evenness = (graph_evenness)take_u32(r);
  n->clamp_min = take_float(r);
  n->clamp_max = take_float(r);
  n->pad_value = take_float(r);
  n->weight_count = take_size(r);
  n->bias_count = take_size(r);
  return !r->failed;
}

static bool read_block(plan_reader *r, memory *m, graph_block *block) {
  block->name = take_text(r, m);
  block->shortcut = (resnet_shortcut)take_small(r, RESNET_SHORTCUT_POOL + 1);
  block->source = take_u32(r);
  block->add = take_u32(r);
  return block->name && !r->failed;
}

static bool read_finding(plan_reader *r, memory *m, graph_finding *finding) {
  finding->severity = (resnet_severity)take_small(r, RESNET_WARNING + 1);
  finding->message = take_text(r, m);
  return finding->message && !r->failed;
}

static bool make_room(memory *m, graph *g, uint32_t nodes, uint32_t blocks, uint32_t labels,
                      uint32_t findings) {
  g->nodes = memory_allocate(m, nodes, sizeof *g->nodes);
  g->blocks = memory_allocate(m, blocks, sizeof *g->blocks);
  if (labels) g->labels = memory_allocate(m, labels, sizeof *g->labels);
  /* more may be added */
  if (findings) g->findings = memory_allocate(m, GRAPH_MAX_FINDINGS, sizeof *g->findings);
  return g->nodes && g->blocks && (!labels || g->labels) && (!findings || g->findings);
}

/* The counts in *g rise with what is there to be released. */
static bool read_all(plan_reader *r, memory *m, graph *g) {
  const uint32_t nodes = take_small(r, MAX_NODES + 1), blocks = take_small(r, MAX_NODES + 1);
  const uint32_t labels = take_small(r, MAX_LABELS + 1),
                 findings = take_small(r, GRAPH_MAX_FINDINGS + 1);
  g->output = take_u32(r);
  g->opset = take_u32(r);
  g->name = take_text(r, m);
  g->producer = g->name ? take_text(r, m) : NULL;
  if (nodes > (size_t)(r->end - r->at) / MIN_NODE_BYTES) r->failed = true;
  if (!g->producer || r->failed) return false;
  if (!make_room(m, g, nodes, blocks, labels, findings)) return false;
  while (g->node_count < nodes)
    if (!read_node(r, m, &g->nodes[g->node_count++])) return false;
  while (g->block_count < blocks)
    if (!read_block(r, m, &g->blocks[g->block_count++])) return false;
  while (g->label_count < labels)
    if (!(g->labels[g->label_count++] = take_text(r, m))) return false;
  while (g->finding_count < findings)
    if (!read_finding(r, m, &g->findings[g->finding_count++])) return false;
  return true;
}

resnet_status plan_graph_read(graph *out, memory *m, const uint8_t *bytes, size_t size,
                              resnet_error *error) {
  plan_reader r = {.at = bytes, .end = bytes + size};
  resnet_status status = RESNET_OK;
  memset(out, 0, sizeof *out);
  out->memory = m;
  const bool whole = read_all(&r, m, out);
  if (r.failed || (whole && r.at != r.end))
    status = fail(error, RESNET_ERROR_FORMAT,
                  "the graph in the plan file is not well-formed: compile the plan again from its "
                  ".onnx file");
  else if (!whole)
    status = fail_memory(error, "the plan file's graph");
  if (status == RESNET_OK) status = plan_graph_check(out, error);
  if (status != RESNET_OK) graph_release(out);
  return status;
}
