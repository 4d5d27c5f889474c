/* Plan to plan: written op by op in a new order, then what the answer does not need is
 * dropped. */
#include "runtime/plan/ablate.h"

#include <math.h>
#include <string.h>

#include "runtime/kernels/kernel.h"
#include "runtime/plan/arena.h"

/* an op becomes at most as many: a convolution, its shortcut's tensor, the addition */
enum { OPS_OF_ONE = 3 };

typedef struct writer {
  const plan *from;
  const plan_block_ablation *edits;
  bool observed;
  plan *to;
  plan_op_role *roles;
  uint32_t class_layer; /* op of `from` that has a CLASS_MAP, or RESNET_NO_INDEX */
} writer;

/* ---- what can be changed ---- */

static resnet_status check_same(const plan *p, uint32_t block, graph_shape a, graph_shape b,
                                const char *what, resnet_error *error) {
  if (a.h == b.h && a.w == b.w && a.c == b.c) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                  "block %u (%s): %s (h %u, w %u, c %u) and (h %u, w %u, c %u): equal "
                  "shapes are accepted",
                  block, p->blocks[block].name, what, a.h, a.w, a.c, b.h, b.w, b.c);
}

/* Whether the block reads nothing but its source, and nobody reads of it but its last
 * op's output. */
static bool is_closed(const plan *p, uint32_t index) {
  const plan_block *block = &p->blocks[index];
  for (uint32_t i = 0; i < p->op_count; i++)
    for (uint32_t k = 0; k < p->ops[i].input_count; k++) {
      const uint32_t source = p->ops[i].input[k];
      const bool reads = i >= block->first_op && i <= block->last_op;
      const bool read = source >= block->first_op && source < block->last_op;
      if (reads && !read && source != block->source) return false;
      if (!reads && read) return false;
    }
  return p->output < block->first_op || p->output >= block->last_op;
}

static resnet_status check_swap(const plan *p, uint32_t block, uint32_t other,
                                resnet_error *error) {
  const plan_block *a = &p->blocks[block], *b = &p->blocks[other];
  resnet_status status = check_same(p, block, p->ops[a->source].shape, p->ops[b->source].shape,
                                    "what it and the other block take differs:", error);
  if (status == RESNET_OK)
    status = check_same(p, block, p->ops[a->last_op].shape, p->ops[b->last_op].shape,
                        "what it and the other block give differs:", error);
  if (status != RESNET_OK || (is_closed(p, block) && is_closed(p, other))) return status;
  return err_fail(
      error, RESNET_ERROR_UNSUPPORTED,
      "block %u (%s) and block %u (%s) cannot be swapped: others read what lies within one of them",
      block, a->name, other, b->name);
}

static resnet_status check_edit(const plan *p, uint32_t index, const plan_block_ablation *edit,
                                resnet_error *error) {
  const plan_block *block = &p->blocks[index];
  const bool plain = block->shortcut == RESNET_SHORTCUT_NONE;
  if (edit->mode == RESNET_SKIP_SWAP) return check_swap(p, index, edit->other, error);
  if (edit->mode == RESNET_SKIP_BRANCH && plain)
    return check_same(p, index, p->ops[block->source].shape, p->ops[block->last_op].shape,
                      "it has no shortcut, and what it takes and gives differs:", error);
  if (edit->mode == RESNET_SKIP_SHORTCUT && plain)
    return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                    "block %u (%s): it has no shortcut that could be left out", index, block->name);
  return RESNET_OK;
}

/* ---- writing ops ---- */

static uint32_t write_op(writer *w, const plan_op *op, uint32_t origin, unsigned tells) {
  const uint32_t index = w->to->op_count++;
  w->to->ops[index] = *op;
  w->roles[index] = (plan_op_role){.op = origin, .tells = tells};
  return index;
}

static bool clamps(const plan_op *op) {
  return op->clamp_min != -INFINITY || op->clamp_max != INFINITY;
}

static bool adds(const plan_op *op) {
  return op->input_count == 2 &&
         (op->kernel == KERNEL_ADD || kernel_table[op->kernel]->adds_shortcut);
}

/* An op without weights that stands for a part of `op`. */
static plan_op part_of(const plan_op *op, plan_kernel kind) {
  return (plan_op){.kernel = kind,
                   .input_count = 1,
                   .in = op->shape,
                   .shape = op->shape,
                   .clamp_min = op->clamp_min,
                   .clamp_max = op->clamp_max,
                   .block = op->block,
                   .shortcut = op->shortcut,
                   .name = op->name,
                   .output = op->output,
                   .detail = op->detail};
}

/* `source` behind the op's clamp, if it has one. */
static uint32_t write_clamp(writer *w, uint32_t origin, uint32_t source) {
  const plan_op *op = &w->from->ops[origin];
  if (!clamps(op)) return source;
  plan_op clamp = part_of(op, KERNEL_CLAMP);
  clamp.input[0] = source;
  return write_op(w, &clamp, origin, PLAN_EMITS_OUTPUT);
}

/* What the adding op `origin` adds, as a tensor of the sum's shape: an option-A shortcut
 * is made for real. */
static uint32_t write_shortcut(writer *w, uint32_t origin, uint32_t source) {
  const plan_op *op = &w->from->ops[origin];
  if (!op->subsampled) return source;
  plan_op subsample = part_of(op, KERNEL_SUBSAMPLE);
  subsample.subsampled = true;
  subsample.stride_h = op->stride_h;
  subsample.stride_w = op->stride_w;
  subsample.channels_before = op->channels_before;
  subsample.source_shape = subsample.in = op->source_shape;
  subsample.input[0] = source;
  return write_op(w, &subsample, origin, PLAN_EMITS_SHORTCUT);
}

/* An addition that reads an option-A shortcut from its source goes on to do so, for the
 * same bits (-0 + 0 is 0); the tensor is made beside it, to be told. */
static uint32_t write_addition(writer *w, uint32_t origin, const plan_op *op, uint32_t residual) {
  plan_op add = op->kernel == KERNEL_ADD ? *op : part_of(op, KERNEL_ADD);
  add.input_count = 2;
  add.input[0] = residual;
  add.input[1] = op->input[1];
  const bool made = write_shortcut(w, origin, op->input[1]) != op->input[1];
  return write_op(w, &add, origin, PLAN_EMITS_OUTPUT | (made ? 0u : PLAN_EMITS_INPUT));
}

/* The op with each of its points as an op of its own. */
static uint32_t write_apart(writer *w, uint32_t origin, const plan_op *op) {
  const bool convolution = kernel_table[op->kernel]->is_convolution;
  if (!convolution && adds(op)) return write_addition(w, origin, op, op->input[0]);
  if (!convolution) return write_op(w, op, origin, PLAN_EMITS_OUTPUT);
  if (!adds(op) && !clamps(op))
    return write_op(w, op, origin, PLAN_EMITS_RESPONSE | PLAN_EMITS_OUTPUT);
  plan_op bare = *op;
  bare.input_count = 1;
  bare.clamp_min = -INFINITY;
  bare.clamp_max = INFINITY;
  const uint32_t response = write_op(w, &bare, origin, PLAN_EMITS_RESPONSE);
  return adds(op) ? write_addition(w, origin, op, response) : write_clamp(w, origin, response);
}

/* The layer's weights on every pixel that the pool before it takes the mean of. */
static void write_class_map(writer *w, uint32_t origin, const uint32_t *now) {
  const plan_op *pool = &w->from->ops[w->from->ops[origin].input[0]];
  plan_op map = w->from->ops[origin];
  map.in = pool->in;
  map.shape.h = pool->in.h;
  map.shape.w = pool->in.w;
  map.input[0] = now[pool->input[0]];
  (void)write_op(w, &map, origin, PLAN_EMITS_CLASS_MAP);
}

/* Op `origin` with its inputs where `now` says, and its block changed; its output is
 * where now[origin] says. */
static void write_changed(writer *w, uint32_t origin, resnet_skip mode, uint32_t *now) {
  plan_op op = w->from->ops[origin];
  for (uint32_t k = 0; k < op.input_count; k++) op.input[k] = now[op.input[k]];
  if (mode == RESNET_SKIP_BRANCH && adds(&op)) {
    now[origin] = write_clamp(w, origin, write_shortcut(w, origin, op.input[1]));
    return;
  }
  if (mode == RESNET_SKIP_BRANCH) {
    now[origin] = now[w->from->blocks[op.block].source];
    return;
  }
  if (mode == RESNET_SKIP_SHORTCUT && op.kernel == KERNEL_ADD) {
    now[origin] = write_clamp(w, origin, op.input[0]);
    return;
  }
  if (mode == RESNET_SKIP_SHORTCUT) op.input_count = 1;
  now[origin] =
      w->observed ? write_apart(w, origin, &op) : write_op(w, &op, origin, PLAN_EMITS_OUTPUT);
  if (w->observed && origin == w->class_layer) write_class_map(w, origin, now);
}

/* The ops of block `other` in the place of `block`. `inner` is room for a copy of `now`:
 * within a block that is swapped, what stands for the ops is its own affair. */
static void write_swapped(writer *w, uint32_t block, uint32_t other, uint32_t *now,
                          uint32_t *inner) {
  const plan_block *a = &w->from->blocks[block], *b = &w->from->blocks[other];
  memcpy(inner, now, w->from->op_count * sizeof *inner);
  inner[b->source] = now[a->source];
  for (uint32_t i = b->first_op; i <= b->last_op; i++) write_changed(w, i, RESNET_SKIP_NONE, inner);
  now[a->last_op] = inner[b->last_op];
}

static void write_ops(writer *w, uint32_t *now, uint32_t *inner) {
  for (uint32_t i = 0; i < w->from->op_count; i++) {
    const uint32_t block = w->from->ops[i].block;
    const plan_block_ablation edit =
        block == RESNET_NO_INDEX ? (plan_block_ablation){RESNET_SKIP_NONE, 0} : w->edits[block];
    if (edit.mode == RESNET_SKIP_SWAP) {
      if (i == w->from->blocks[block].first_op) write_swapped(w, block, edit.other, now, inner);
      continue;
    }
    const bool last = block != RESNET_NO_INDEX && i == w->from->blocks[block].last_op;
    write_changed(w, i, last ? edit.mode : RESNET_SKIP_NONE, now);
  }
  w->to->output = now[w->from->output];
}

/* ---- dropping ops ---- */

/* Keep the input, what the scores depend on, and what is computed to be told only;
 * `place` is room for each op's new index. */
static void drop_unused(writer *w, uint32_t *place) {
  plan *p = w->to;
  memset(place, 0, p->op_count * sizeof *place);
  place[0] = place[p->output] = 1;
  for (uint32_t i = p->op_count; i-- > 0;) {
    if (w->roles[i].tells & (PLAN_EMITS_CLASS_MAP | PLAN_EMITS_SHORTCUT)) place[i] = 1;
    for (uint32_t k = 0; place[i] && k < p->ops[i].input_count; k++) place[p->ops[i].input[k]] = 1;
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < p->op_count; i++) {
    if (!place[i]) continue;
    p->ops[kept] = p->ops[i];
    for (uint32_t k = 0; k < p->ops[kept].input_count; k++)
      p->ops[kept].input[k] = place[p->ops[kept].input[k]];
    w->roles[kept] = w->roles[i];
    place[i] = kept++;
  }
  p->output = place[p->output];
  p->op_count = kept;
}

static bool makes_probabilities(const plan_op *op) {
  return op->kernel == KERNEL_SOFTMAX || op->kernel == KERNEL_LOG_SOFTMAX ||
         op->kernel == KERNEL_SIGMOID;
}

/* A fully connected layer (or a 1x1 convolution of one pixel) behind global average
 * pooling that makes the scores, or what a softmax makes them of. */
static uint32_t find_class_layer(const plan *p) {
  const uint32_t i =
      makes_probabilities(&p->ops[p->output]) ? p->ops[p->output].input[0] : p->output;
  const plan_op *op = &p->ops[i];
  const graph_window *w = &op->window;
  const bool pixelwise = op->kernel == KERNEL_CONV && op->groups == 1 && w->kernel_h == 1 &&
                         w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 &&
                         !(w->pad_top | w->pad_left | w->pad_bottom | w->pad_right);
  if (!pixelwise || op->gates || clamps(op)) return RESNET_NO_INDEX;
  return p->ops[op->input[0]].kernel == KERNEL_GLOBAL_AVERAGE_POOL ? i : RESNET_NO_INDEX;
}

static resnet_status write_plan(plan_ablated *out, writer *w, resnet_error *error) {
  const plan *from = w->from;
  memory *m = from->memory;
  /* and the class map */
  const size_t most = (size_t)from->op_count * OPS_OF_ONE + 1;
  out->plan.memory = m;
  w->to = &out->plan;
  w->to->ops = mem_allocate(m, most, sizeof *w->to->ops);
  w->roles = out->roles = mem_allocate(m, most, sizeof *out->roles);
  uint32_t *now = mem_allocate(m, most, sizeof *now), *inner = mem_allocate(m, most, sizeof *inner);
  const bool allocated = w->to->ops && w->roles && now && inner;
  if (allocated) {
    write_ops(w, now, inner);
    drop_unused(w, inner);
  }
  mem_release(m, now);
  mem_release(m, inner);
  return allocated ? plan_assign_arena(w->to, error) : err_no_memory(error, "a session's own plan");
}

resnet_status plan_ablate(plan_ablated *out, const plan *from, const plan_block_ablation *edits,
                          bool observed, resnet_error *error) {
  memset(out, 0, sizeof *out);
  for (uint32_t i = 0; i < from->block_count; i++) {
    resnet_status status = check_edit(from, i, &edits[i], error);
    if (status != RESNET_OK) return status;
  }
  writer w = {
      .from = from, .edits = edits, .observed = observed, .class_layer = find_class_layer(from)};
  resnet_status status = write_plan(out, &w, error);
  if (status != RESNET_OK) plan_ablated_release(out);
  return status;
}

void plan_ablated_release(plan_ablated *edited) {
  if (!edited->plan.memory) return;
  mem_release(edited->plan.memory, edited->plan.ops);
  mem_release(edited->plan.memory, edited->roles);
  memset(edited, 0, sizeof *edited);
}
