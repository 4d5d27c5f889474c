/* Each node becomes one op, except what is fused: an option-A shortcut, which the
 * addition reads from its source, and an addition that the convolution before it
 * computes. */
#include "runtime/plan/lower.h"

#include <math.h>
#include <string.h>

#include "loader/base/work.h"
#include "runtime/kernels/table.h"
#include "runtime/plan/cost_model.h"
#include "runtime/plan/select_kernels.h"

enum {
  MAX_OPS = 16384, /* ResNet-1202 has 1,808 */
  DETAIL_SIZE = 160
};

static const plan_kernel kernel_of[GRAPH_OP_COUNT] = {
#define GRAPH_OP(NAME, name, inputs, fields, check, kernel) [GRAPH_##NAME] = KERNEL_##kernel,
#include "loader/graph/ops.def"
};

bool plan_selects_algorithm(graph_op op) { return kernel_of[op] == KERNEL_CONV; }

typedef struct lowering {
  graph *graph;
  plan *plan;
  const plan_options *options;
  plan_op *shapes;       /* by node: ops without inputs, names and weights */
  uint32_t *op_of;       /* by node; RESNET_NO_INDEX: fused into its reader */
  uint32_t *readers;     /* by node: how many inputs name it */
  bool *adds;            /* by node: one reader, an addition, as the residual branch */
  work_budget gate_work; /* for the walks along gates */
} lowering;

static bool is_fused_subsample(const lowering *l, uint32_t node) {
  return l->graph->nodes[node].op == GRAPH_SUBSAMPLE && l->readers[node] == 1;
}

/* Count the readers of each node. A subsample is fused if its one reader is an addition
 * that takes it as the shortcut; any other reader of a subsample counts twice. */
static void count_readers(lowering *l) {
  const graph *g = l->graph;
  for (uint32_t i = 0; i < g->node_count; i++)
    for (uint32_t k = 0; k < g->nodes[i].input_count; k++) {
      const uint32_t source = g->nodes[i].input[k];
      const bool shortcut = g->nodes[i].op == GRAPH_ADD && k == 1;
      const bool fusable = g->nodes[source].op != GRAPH_SUBSAMPLE || shortcut;
      l->readers[source] += fusable ? 1 : 2;
      if (g->nodes[i].op == GRAPH_ADD && k == 0) l->adds[source] = true;
    }
  l->readers[g->output] += 2;
}

static void take(char **to, char **from) {
  *to = *from;
  *from = NULL;
}

static void lower_window(plan_op *op, const graph_node *node) {
  op->window = node->window;
  op->groups = node->groups;
  op->count_padding = node->count_padding;
  if (node->op != GRAPH_LINEAR) return;
  op->in = (graph_shape){1, 1, op->in.h * op->in.w * op->in.c};
  op->window = (graph_window){
      .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
  op->groups = 1;
}

static void lower_subsample(plan_op *op, const graph *g, const graph_node *node) {
  op->subsampled = true;
  op->stride_h = node->stride_h;
  op->stride_w = node->stride_w;
  op->channels_before = node->channels_before;
  op->source_shape = g->nodes[node->input[0]].shape;
}

static resnet_status count_macs(plan_op *op, graph_op node, resnet_error *error) {
  op->parameters = op->weight_count + op->bias_count;
  if (node != GRAPH_CONV && node != GRAPH_LINEAR && node != GRAPH_CHANNEL_CONV) return RESNET_OK;
  const size_t times = node == GRAPH_CHANNEL_CONV ? op->shape.c : (size_t)op->shape.h * op->shape.w;
  size_t macs;
  if (mem_size_multiply(times, op->weight_count, &macs)) {
    op->macs = macs;
    return RESNET_OK;
  }
  return err_fail(error, RESNET_ERROR_LIMIT, "node '%s': its multiplications exceed a 64-bit count",
                  op->name);
}

/* Fuse an addition into the convolution that ends its residual branch, if that is a
 * kernel of ours with no other reader. The convolution then adds the shortcut while its
 * outputs are in registers, so the shortcut must be computed before it. */
static bool fuse_add(lowering *l, uint32_t index) {
  graph_node *add = &l->graph->nodes[index];
  const uint32_t residual = add->input[0], shortcut = add->input[1];
  if (add->op != GRAPH_ADD || residual == shortcut || l->readers[residual] != 1) return false;
  const uint32_t conv = l->op_of[residual], source = l->op_of[shortcut];
  if (is_fused_subsample(l, shortcut) || source > conv) return false;
  plan_op *op = &l->plan->ops[conv];
  if (!kernel_table[op->kernel]->adds_shortcut || op->input_count != 1) return false;
  if (op->clamp_min != -INFINITY || op->clamp_max != INFINITY) return false;
  op->input[1] = source;
  op->input_count = 2;
  op->clamp_min = add->clamp_min;
  op->clamp_max = add->clamp_max;
  mem_release(l->plan->memory, op->output);
  take(&op->output, &add->output);
  l->op_of[index] = conv;
  return true;
}

static bool is_spatial(graph_shape shape) { return shape.h > 1 || shape.w > 1; }

/* Return true for BlurPool (Zhang 2019, "Making Convolutional Networks Shift-Invariant
 * Again"): a low-pass filter, the same for every channel, without bias. Trained filters
 * of different channels are never equal. */
static bool is_blur(const graph_node *node, graph_shape in) {
  const size_t area = (size_t)node->window.kernel_h * node->window.kernel_w;
  if (node->op != GRAPH_CONV || node->groups != in.c || node->shape.c != in.c || in.c < 2 ||
      area < 2)
    return false;
  for (size_t c = 0; c < node->bias_count; c++)
    if (node->bias[c] < 0 || node->bias[c] > 0) return false;
  for (size_t c = 1; c < in.c; c++)
    if (memcmp(node->weights, node->weights + c * area, area * sizeof *node->weights) != 0)
      return false;
  return true;
}

/* Set the op of a node, except inputs, names and weights. */
static void lower_shape(lowering *l, uint32_t index) {
  const graph *g = l->graph;
  const graph_node *node = &g->nodes[index];
  plan_op *op = &l->shapes[index];
  op->kernel = kernel_of[node->op];
  if (node->op == GRAPH_SCALE && is_spatial(g->nodes[node->input[1]].shape))
    op->kernel = KERNEL_MULTIPLY;
  op->input_count = node->input_count;
  op->shape = node->shape;
  op->in = node->input_count ? g->nodes[node->input[0]].shape : node->shape;
  op->clamp_min = node->clamp_min;
  op->clamp_max = node->clamp_max;
  op->block = node->block;
  op->weight_count = node->weight_count;
  op->bias_count = node->bias_count;
  lower_window(op, node);
  op->winograd_unsafe = node->winograd_safety == GRAPH_WINOGRAD_UNSAFE;
  op->blurs = node->input_count == 1 && is_blur(node, op->in);
  op->sigmoid = node->sigmoid;
  op->pad_mode = node->pad_mode;
  op->scalar = node->scalar;
  op->channels_last = node->channels_last;
  op->norm_mode = node->norm_mode;
  if (node->op == GRAPH_SUBSAMPLE) lower_subsample(op, g, node);
}

/* Mark the chain of one-input nodes from the tensor that a SCALE scales to its gate. A
 * gate that is computed from another tensor is not marked: its layers count as any
 * others. Gates have few layers; a forged graph may make all of them walk far. */
static resnet_status mark_gate(lowering *l, const graph_node *scale, resnet_error *error) {
  const graph_node *nodes = l->graph->nodes;
  uint32_t node = scale->input[1];
  while (node > scale->input[0] && nodes[node].input_count == 1 &&
         work_spend(&l->gate_work, 1, WORK_WALK))
    node = nodes[node].input[0];
  if (!work_is_left(&l->gate_work))
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "node '%.60s' (Mul): the gates of the model have more layers than are "
                    "accepted, counted for each gate",
                    scale->name);
  if (node != scale->input[0]) return RESNET_OK;
  for (node = scale->input[1]; node != scale->input[0]; node = nodes[node].input[0])
    l->shapes[node].gates = true;
  return RESNET_OK;
}

static resnet_status lower_node(lowering *l, uint32_t index, resnet_error *error) {
  graph *g = l->graph;
  graph_node *node = &g->nodes[index];
  plan_op *op = &l->plan->ops[l->plan->op_count];
  *op = l->shapes[index];
  l->op_of[index] = l->plan->op_count++;
  for (uint32_t k = 0; k < node->input_count; k++) {
    const uint32_t source = node->input[k];
    const bool fused = is_fused_subsample(l, source);
    if (fused) lower_subsample(op, g, &g->nodes[source]);
    op->input[k] = l->op_of[fused ? g->nodes[source].input[0] : source];
  }
  take(&op->name, &node->name);
  take(&op->output, &node->output);
  op->weights = node->weights;
  op->bias = node->bias;
  op->weights_borrowed = node->weights_borrowed;
  node->weights = node->bias = NULL;
  return count_macs(op, node->op, error);
}

/* Set the shortcut's kind on the ops of the shortcut branch and on the addition. */
static void mark_shortcut(lowering *l, const graph_block *block) {
  const graph *g = l->graph;
  if (block->shortcut == RESNET_SHORTCUT_NONE) return;
  l->plan->ops[l->op_of[block->add]].shortcut = block->shortcut;
  uint32_t node = g->nodes[block->add].input[1];
  while (node != block->source && g->nodes[node].block == g->nodes[block->add].block &&
         g->nodes[node].input_count) {
    if (l->op_of[node] != RESNET_NO_INDEX) l->plan->ops[l->op_of[node]].shortcut = block->shortcut;
    node = g->nodes[node].input[0];
  }
}

static void lower_block(lowering *l, uint32_t index) {
  graph_block *from = &l->graph->blocks[index];
  plan_block *block = &l->plan->blocks[index];
  take(&block->name, &from->name);
  block->shortcut = from->shortcut;
  block->source = l->op_of[from->source];
  block->last_op = l->op_of[from->add];
  block->first_op = block->last_op;
  mark_shortcut(l, from);
}

/* Find the first op and the number of layers of each block. */
static void measure_blocks(plan *p) {
  for (uint32_t i = 0; i < p->op_count; i++) {
    if (p->ops[i].block == RESNET_NO_INDEX) continue;
    plan_block *block = &p->blocks[p->ops[i].block];
    if (i < block->first_op) block->first_op = i;
    if (plan_op_is_layer(&p->ops[i])) block->convs++;
  }
}

static resnet_status describe_op(plan *p, plan_op *op, resnet_error *error) {
  char detail[DETAIL_SIZE] = "";
  if (kernel_table[op->kernel]->describe)
    kernel_table[op->kernel]->describe(op, detail, sizeof detail);
  const char *start = detail[0] == ' ' ? detail + 1 : detail;
  op->detail = mem_copy_string(p->memory, start, strlen(start));
  return op->detail ? RESNET_OK : err_no_memory(error, "the plan");
}

static resnet_status summarise(plan *p, resnet_error *error) {
  for (uint32_t i = 0; i < p->op_count; i++) {
    plan_op *op = &p->ops[i];
    resnet_status status = describe_op(p, op, error);
    if (status != RESNET_OK) return status;
    p->parameters += op->parameters;
    if (op->macs > UINT64_MAX - p->macs)
      return err_fail(error, RESNET_ERROR_LIMIT,
                      "the model's multiplications exceed a 64-bit count");
    p->macs += op->macs;
    if (plan_op_is_layer(op)) op->layer = ++p->conv_layers;
  }
  return RESNET_OK;
}

static resnet_status lower_graph(lowering *l, resnet_error *error) {
  graph *g = l->graph;
  plan *p = l->plan;
  count_readers(l);
  if (plan_may_transform(l->options)) plan_find_winograd_safety(g);
  for (uint32_t i = 0; i < g->node_count; i++) {
    lower_shape(l, i);
    l->adds[i] = l->adds[i] && l->readers[i] == 1;
    if (g->nodes[i].op != GRAPH_SCALE) continue;
    resnet_status marked = mark_gate(l, &g->nodes[i], error);
    if (marked != RESNET_OK) return marked;
  }
  resnet_status chosen =
      plan_select_kernels(l->shapes, l->adds, g->node_count, l->options, p->memory, error);
  if (chosen != RESNET_OK) return chosen;
  for (uint32_t i = 0; i < g->node_count; i++) {
    l->op_of[i] = RESNET_NO_INDEX;
    if (is_fused_subsample(l, i) || fuse_add(l, i)) continue;
    resnet_status status = lower_node(l, i, error);
    if (status != RESNET_OK) return status;
  }
  p->output = l->op_of[g->output];
  p->block_count = g->block_count;
  for (uint32_t i = 0; i < g->block_count; i++) lower_block(l, i);
  measure_blocks(p);
  return summarise(p, error);
}

resnet_status plan_lower(plan *out, memory *m, graph *g, const plan_options *options,
                         resnet_error *error) {
  memset(out, 0, sizeof *out);
  out->memory = m;
  if (g->node_count > MAX_OPS || g->block_count > MAX_OPS)
    return err_fail(error, RESNET_ERROR_LIMIT, "the model has %u layers: at most %d are supported",
                    g->node_count, MAX_OPS);
  lowering l = {.graph = g, .plan = out, .options = options};
  work_start(&l.gate_work, 0);
  l.op_of = mem_allocate(m, g->node_count, sizeof *l.op_of);
  l.readers = mem_allocate(m, g->node_count, sizeof *l.readers);
  l.shapes = mem_allocate(m, g->node_count, sizeof *l.shapes);
  l.adds = mem_allocate(m, g->node_count, sizeof *l.adds);
  out->ops = mem_allocate(m, g->node_count, sizeof *out->ops);
  out->blocks = mem_allocate(m, g->block_count, sizeof *out->blocks);
  resnet_status status = l.op_of && l.readers && l.shapes && l.adds && out->ops && out->blocks
                             ? lower_graph(&l, error)
                             : err_no_memory(error, "the plan");
  mem_release(m, l.op_of);
  mem_release(m, l.readers);
  mem_release(m, l.shapes);
  mem_release(m, l.adds);
  if (status != RESNET_OK) plan_release(out);
  return status;
}
