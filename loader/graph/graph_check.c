/* The runtime and XNNPACK rely on these promises and check nothing again. A plan file may
 * be forged, so that the loader's limits are enforced here, too. */
#include <math.h>
#include <string.h>

#include "loader/base/mask.h"
#include "loader/graph/graph_check.h"

typedef struct check {
  const graph *graph;
  const graph_node *node; /* being checked */
  uint32_t index;
  resnet_error *error;
} check;

static resnet_status refuse(const check *c, const char *what) {
  return err_fail(
      c->error, RESNET_ERROR_FORMAT,
      "the plan file contradicts itself: node %u '%.60s': %s; compile the plan again from "
      "its .onnx file",
      c->index, c->node->name, what);
}

static graph_shape input_shape(const check *c, uint32_t k) {
  return c->graph->nodes[c->node->input[k]].shape;
}

static bool same_shape(graph_shape a, graph_shape b) {
  return a.h == b.h && a.w == b.w && a.c == b.c;
}

/* A vector of all elements of an image may be longer than a side. */
static bool shape_fits(graph_op op, graph_shape s) {
  return s.h >= 1 && s.w >= 1 && s.c >= 1 && s.h <= GRAPH_MAX_SIDE && s.w <= GRAPH_MAX_SIDE &&
         (s.c <= GRAPH_MAX_SIDE || op == GRAPH_FLATTEN) &&
         (uint64_t)s.h * s.w <= GRAPH_MAX_ACTIVATION / s.c;
}

static resnet_status check_inputs(const check *c) {
  const graph_node *n = c->node;
  if ((n->op == GRAPH_INPUT) != (c->index == 0))
    return refuse(c, "the first node, and no other, is the input");
  if (n->input_count != graph_op_rows[n->op].inputs)
    return refuse(c, "its operator takes another number of inputs");
  for (uint32_t k = 0; k < 2; k++) {
    if (k < n->input_count && n->input[k] >= c->index)
      return refuse(c, "it reads a node that comes later");
    if (k >= n->input_count && n->input[k] != RESNET_NO_INDEX)
      return refuse(c, "it has an input too many");
  }
  return RESNET_OK;
}

/* Return whether one side of a window gives `out` (import/windows.c computes it). */
static bool span_fits(uint32_t in, uint32_t kernel, uint32_t stride, uint32_t dilation,
                      uint32_t before, uint32_t after, uint32_t out) {
  if (kernel < 1 || kernel > GRAPH_MAX_WINDOW || stride < 1 || stride > GRAPH_MAX_WINDOW)
    return false;
  if (dilation < 1 || dilation > GRAPH_MAX_SIDE) return false;
  const uint64_t dilated = (uint64_t)(kernel - 1) * dilation + 1,
                 padded = (uint64_t)in + before + after;
  return before < dilated && after < dilated && dilated <= padded &&
         out == (padded - dilated) / stride + 1;
}

static resnet_status check_window(const check *c) {
  const graph_window *w = &c->node->window;
  const graph_shape in = input_shape(c, 0), out = c->node->shape;
  if (!span_fits(in.h, w->kernel_h, w->stride_h, w->dilation_h, w->pad_top, w->pad_bottom, out.h) ||
      !span_fits(in.w, w->kernel_w, w->stride_w, w->dilation_w, w->pad_left, w->pad_right, out.w))
    return refuse(c, "its window does not give its shape");
  return RESNET_OK;
}

/* Return whether a * b * d * e == count. */
static bool is_product(size_t count, size_t a, size_t b, size_t d, size_t e) {
  size_t product;
  return mem_size_multiply(a, b, &product) && mem_size_multiply(product, d, &product) &&
         mem_size_multiply(product, e, &product) && product == count;
}

static resnet_status check_conv(const check *c) {
  const graph_node *n = c->node;
  const graph_shape in = input_shape(c, 0);
  if (n->groups < 1 || in.c % n->groups || n->shape.c % n->groups)
    return refuse(c, "its groups do not divide its channels");
  resnet_status status = check_window(c);
  if (status != RESNET_OK) return status;
  if (!is_product(n->weight_count, n->shape.c, n->window.kernel_h, n->window.kernel_w,
                  in.c / n->groups) ||
      n->bias_count != n->shape.c)
    return refuse(c, "its weights do not fit its shape");
  return RESNET_OK;
}

static resnet_status check_linear(const check *c) {
  const graph_node *n = c->node;
  const graph_shape in = input_shape(c, 0);
  if (n->shape.h != 1 || n->shape.w != 1 ||
      !is_product(n->weight_count, n->shape.c, in.h, in.w, in.c) || n->bias_count != n->shape.c)
    return refuse(c, "its weights do not fit its shape");
  return RESNET_OK;
}

static resnet_status check_affine(const check *c) {
  const graph_node *n = c->node;
  if (!same_shape(n->shape, input_shape(c, 0)) || n->weight_count != n->shape.c ||
      n->bias_count != n->shape.c)
    return refuse(c, "its weights do not fit its shape");
  return RESNET_OK;
}

static resnet_status check_prelu(const check *c) {
  const graph_node *n = c->node;
  if (!same_shape(n->shape, input_shape(c, 0)) || n->weight_count != n->shape.c || n->bias_count)
    return refuse(c, "its weights do not fit its shape");
  return RESNET_OK;
}

static resnet_status check_subsample(const check *c) {
  const graph_node *n = c->node;
  const graph_shape in = input_shape(c, 0), out = n->shape;
  if (n->stride_h < 1 || n->stride_h > GRAPH_MAX_WINDOW || n->stride_w < 1 ||
      n->stride_w > GRAPH_MAX_WINDOW || out.h != (in.h - 1) / n->stride_h + 1 ||
      out.w != (in.w - 1) / n->stride_w + 1)
    return refuse(c, "its strides do not give its shape");
  if ((uint64_t)n->channels_before + in.c > out.c)
    return refuse(c, "its channels do not fit its shape");
  return RESNET_OK;
}

static resnet_status check_pool(const check *c) {
  const graph_window *w = &c->node->window;
  const graph_shape in = input_shape(c, 0);
  if (c->node->shape.c != in.c) return refuse(c, "a pool keeps the channels");
  resnet_status status = check_window(c);
  if (status != RESNET_OK || graph_pool_has_taps(w, in, c->node->shape)) return status;
  return refuse(c, "one of its windows covers only padding");
}

static resnet_status check_global_pool(const check *c) {
  const graph_shape out = {1, 1, input_shape(c, 0).c};
  return same_shape(c->node->shape, out) ? RESNET_OK : refuse(c, "it is not (1,1,channels)");
}

static resnet_status check_same_shape(const check *c) {
  for (uint32_t k = 0; k < c->node->input_count; k++)
    if (!same_shape(c->node->shape, input_shape(c, k)))
      return refuse(c, "its shape is not that of its input");
  return RESNET_OK;
}

static resnet_status check_scale(const check *c) {
  const graph_shape gate = {1, 1, c->node->shape.c};
  if (!same_shape(c->node->shape, input_shape(c, 0)))
    return refuse(c, "its shape is not that of its input");
  if (same_shape(gate, input_shape(c, 1)) || same_shape(c->node->shape, input_shape(c, 1)))
    return RESNET_OK;
  return refuse(c, "its gate is neither (1,1,channels) nor of its shape");
}

/* Return whether the window is one row of taps along the channels, padded with zeros so
 * that the number of channels stays. */
static bool is_along_channels(const graph_window *w) {
  const graph_window along = {.kernel_h = 1,
                              .kernel_w = w->kernel_w,
                              .stride_h = 1,
                              .stride_w = 1,
                              .dilation_h = 1,
                              .dilation_w = 1,
                              .pad_left = w->pad_left,
                              .pad_right = w->kernel_w - 1 - w->pad_left};
  return w->kernel_w >= 1 && w->kernel_w <= GRAPH_MAX_WINDOW && w->pad_left < w->kernel_w &&
         memcmp(w, &along, sizeof along) == 0;
}

static resnet_status check_channel_conv(const check *c) {
  const graph_window *w = &c->node->window;
  const graph_shape in = {1, 1, c->node->shape.c};
  if (!same_shape(in, c->node->shape) || !same_shape(in, input_shape(c, 0)))
    return refuse(c, "it is not (1,1,channels)");
  if (!is_along_channels(w)) return refuse(c, "its window is not along the channels");
  if (c->node->weight_count != w->kernel_w || c->node->bias_count != 1)
    return refuse(c, "its weights do not fit its window");
  return RESNET_OK;
}

static bool borders_fit(graph_pad_mode mode, uint32_t in, uint32_t before, uint32_t after,
                        uint32_t out) {
  const bool mirrored = mode != GRAPH_PAD_REFLECT || (before < in && after < in);
  return mirrored && (uint64_t)in + before + after == out;
}

static resnet_status check_pad(const check *c) {
  const graph_node *n = c->node;
  const graph_shape in = input_shape(c, 0), out = n->shape;
  const graph_window *w = &n->window;
  if (in.c != out.c) return refuse(c, "borders keep the channels");
  if (w->kernel_h || w->kernel_w || w->stride_h || w->stride_w || w->dilation_h || w->dilation_w)
    return refuse(c, "it sets a field of its window or border that its operator does not use");
  if (!borders_fit(n->pad_mode, in.h, w->pad_top, w->pad_bottom, out.h) ||
      !borders_fit(n->pad_mode, in.w, w->pad_left, w->pad_right, out.w))
    return refuse(c, "its borders do not give its shape");
  if (n->pad_mode != GRAPH_PAD_CONSTANT && n->scalar != 0.0f)
    return refuse(c, "it sets a field of its window or border that its operator does not use");
  return RESNET_OK;
}

static resnet_status check_flatten(const check *c) {
  const graph_shape in = input_shape(c, 0), out = c->node->shape;
  const bool fits = out.h == 1 && out.w == 1 && (uint64_t)in.h * in.w * in.c == out.c;
  return fits ? RESNET_OK : refuse(c, "it is not (1,1,elements)");
}

static resnet_status check_power(const check *c) { return check_same_shape(c); }

static resnet_status check_l2_normalize(const check *c) {
  if (c->node->scalar < 0) return refuse(c, "its epsilon is negative");
  return check_same_shape(c);
}

typedef resnet_status check_function(const check *c);

static check_function *const check_shapes[] = {
#define GRAPH_OP(NAME, name, inputs, fields, check, kernel) [GRAPH_##NAME] = check_##check,
#include "loader/graph/ops.def"
};
_Static_assert(sizeof check_shapes / sizeof *check_shapes == GRAPH_OP_COUNT, "a row for each op");

/* Refuse values in fields that the operator does not use. */
static resnet_status check_unused(const check *c) {
  const graph_node *n = c->node;
#define GRAPH_FIELD(type, member, use, empty)                                                      \
  if (!graph_op_uses(n->op, GRAPH_USES_##use) && n->member != (empty))                             \
    return refuse(c, "it sets '" #member "', which its operator does not use");
#include "loader/graph/ops.def"
  if ((unsigned)n->winograd_safety > GRAPH_WINOGRAD_UNSAFE)
    return refuse(c, "its winograd_safety is out of range");
  if (!isfinite(n->scalar)) return refuse(c, "its scalar is NaN or infinity");
  if (fpclassify(n->clamp_min) == FP_SUBNORMAL || fpclassify(n->clamp_max) == FP_SUBNORMAL)
    return refuse(c, "its clamp is subnormal");
  return n->clamp_min <= n->clamp_max ? RESNET_OK : refuse(c, "its clamp is no range");
}

static resnet_status check_node(const check *c) {
  const graph_node *n = c->node;
  if (!shape_fits(n->op, n->shape)) return refuse(c, "its shape is beyond what is accepted");
  if (n->block != RESNET_NO_INDEX && n->block >= c->graph->block_count)
    return refuse(c, "its block does not exist");
  resnet_status status = check_inputs(c);
  if (status == RESNET_OK) status = check_unused(c);
  return status == RESNET_OK ? check_shapes[n->op](c) : status;
}

/* ---- blocks ------------------------------------------------------------------------ */

static resnet_status refuse_block(const graph *g, uint32_t index, resnet_error *error,
                                  const char *what) {
  return err_fail(
      error, RESNET_ERROR_FORMAT,
      "the plan file contradicts itself: block %u '%.60s': %s; compile the plan again from "
      "its .onnx file",
      index, g->blocks[index].name, what);
}

/* Return whether nodes of the block lead from `end` back to its source. A gate's nodes
 * are the block's, too. */
static bool branch_leads_back(const graph *g, uint32_t index, uint32_t end) {
  for (; end != g->blocks[index].source; end = g->nodes[end].input[0]) {
    const graph_node *n = &g->nodes[end];
    if (n->block != index || !graph_continues_branch(g, end)) return false;
    for (uint32_t gate = n->input[1]; n->input_count == 2 && gate != n->input[0];
         gate = g->nodes[gate].input[0])
      if (g->nodes[gate].block != index) return false;
  }
  return true;
}

static resnet_status check_block(const graph *g, uint32_t index, resnet_error *error) {
  const graph_block *b = &g->blocks[index];
  if (b->add >= g->node_count || b->source >= b->add)
    return refuse_block(g, index, error, "its nodes do not exist");
  const graph_node *add = &g->nodes[b->add];
  const bool residual = b->shortcut != RESNET_SHORTCUT_NONE;
  if (add->block != index || add->op != (residual ? GRAPH_ADD : GRAPH_CONV))
    return refuse_block(g, index, error, "its last node does not end it");
  if (!branch_leads_back(g, index, add->input[0]) ||
      (residual && !branch_leads_back(g, index, add->input[1])))
    return refuse_block(g, index, error, "its branches do not come from its source");
  if (residual && b->shortcut != graph_shortcut_kind(g, b->source, add->input[1]))
    return refuse_block(g, index, error, "its shortcut is of another kind");
  return RESNET_OK;
}

/* Fail unless the nodes of each block are adjacent and end in its `add`, and the blocks
 * have the order of their nodes. */
static resnet_status check_order_of_blocks(const graph *g, resnet_error *error) {
  uint32_t next = 0; /* the first block without a node so far */
  for (uint32_t i = 0; i < g->node_count; i++) {
    const uint32_t block = g->nodes[i].block;
    if (block == RESNET_NO_INDEX) continue;
    const bool begins = i == 0 || g->nodes[i - 1].block != block, ends = g->blocks[block].add == i;
    const bool next_leaves = i + 1 == g->node_count || g->nodes[i + 1].block != block;
    if ((begins && block != next) || ends != next_leaves)
      return refuse_block(g, block, error, "its nodes are not adjacent");
    next += begins;
  }
  return next == g->block_count ? RESNET_OK : refuse_block(g, next, error, "it has no nodes");
}

/* ---- diagnostics ------------------------------------------------------------------- */

/* Fail if a message holds what mask.h masks: it will be printed to a terminal. */
static resnet_status check_diagnostics(const graph *g, resnet_error *error) {
  for (uint32_t i = 0; i < g->diagnostic_count; i++)
    if (!mask_is_clean(g->diagnostics[i].message))
      return err_fail(error, RESNET_ERROR_FORMAT,
                      "the plan file's diagnostic %u is not a line of text: compile the plan "
                      "again from its .onnx file",
                      i);
  return RESNET_OK;
}

/* ---- all --------------------------------------------------------------------------- */

static resnet_status check_nodes(const graph *g, resnet_error *error) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < g->node_count; i++) {
    const check c = {.graph = g, .node = &g->nodes[i], .index = i, .error = error};
    resnet_status status = check_node(&c);
    if (status != RESNET_OK) return status;
    total += (uint64_t)c.node->shape.h * c.node->shape.w * c.node->shape.c;
  }
  if (total <= GRAPH_MAX_ACTIVATION) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_LIMIT,
                  "the activations of one image take %llu numbers: at most %d are accepted",
                  (unsigned long long)total, GRAPH_MAX_ACTIVATION);
}

static resnet_status check_readers(const graph *g, resnet_error *error) {
  bool *is_read = mem_allocate(g->memory, g->node_count, sizeof *is_read);
  if (!is_read) return err_no_memory(error, "the plan file's graph");
  resnet_status status = RESNET_OK;
  for (uint32_t i = 0; i < g->node_count; i++)
    for (uint32_t k = 0; k < g->nodes[i].input_count; k++) is_read[g->nodes[i].input[k]] = true;
  for (uint32_t i = 0; i < g->node_count && status == RESNET_OK; i++) {
    const check c = {.graph = g, .node = &g->nodes[i], .index = i, .error = error};
    if (i != g->output && !is_read[i]) status = refuse(&c, "nothing reads it");
  }
  mem_release(g->memory, is_read);
  return status;
}

resnet_status graph_check(const graph *g, resnet_error *error) {
  if (g->node_count < 2 || g->output == 0 || g->output >= g->node_count)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "the plan file's graph has %u nodes and its output is node %u: compile the "
                    "plan again from its .onnx file",
                    g->node_count, g->output);
  resnet_status status = check_nodes(g, error);
  if (status == RESNET_OK) status = check_readers(g, error);
  for (uint32_t i = 0; i < g->block_count && status == RESNET_OK; i++)
    status = check_block(g, i, error);
  if (status == RESNET_OK) status = check_order_of_blocks(g, error);
  if (status == RESNET_OK) status = check_diagnostics(g, error);
  if (status != RESNET_OK) return status;
  const graph_shape scores = g->nodes[g->output].shape;
  const uint32_t classes = graph_class_count(g->scores, scores.c);
  if (scores.h != 1 || scores.w != 1 || (g->label_count && g->label_count != classes) ||
      (graph_is_binary(g->scores) && scores.c != 1))
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "the plan file's scores are (%u,%u,%u) and it has %u labels: compile the plan "
                    "again from its .onnx "
                    "file",
                    scores.h, scores.w, scores.c, g->label_count);
  return RESNET_OK;
}
