/* Plan to plan: write the new plan op by op, then drop the ops that nothing needs. */
#include "runtime/plan/ablate.h"

#include <math.h>
#include <string.h>

#include "runtime/kernels/table.h"
#include "runtime/plan/arena.h"

/* one op becomes at most three: a convolution, its shortcut's tensor, the addition */
enum { MAX_OPS_PER_OP = 3 };

typedef struct writer {
  const plan *from;
  const plan_block_ablation *ablations;
  bool observed;
  plan *to;
  plan_op_role *roles;
  uint32_t class_layer; /* op of `from` that has a CLASS_MAP, or RESNET_NO_INDEX */
} writer;

/* ---- checks ---- */

static resnet_status check_same(const plan *p, uint32_t block, graph_shape a, graph_shape b,
                                const char *what, resnet_error *error) {
  if (a.h == b.h && a.w == b.w && a.c == b.c) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                  "block %u (%s): %s (h %u, w %u, c %u) and (h %u, w %u, c %u): they must "
                  "have equal shapes",
                  block, p->blocks[block].name, what, a.h, a.w, a.c, b.h, b.w, b.c);
}

/* Return true if the block reads its source only, and later ops read the output of its
 * last op only. */
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
                                    "its input differs from the other block's:", error);
  if (status == RESNET_OK)
    status = check_same(p, block, p->ops[a->last_op].shape, p->ops[b->last_op].shape,
                        "its output differs from the other block's:", error);
  if (status != RESNET_OK || (is_closed(p, block) && is_closed(p, other))) return status;
  return err_fail(
      error, RESNET_ERROR_UNSUPPORTED,
      "block %u (%s) and block %u (%s) cannot be swapped: ops outside read from inside one of them",
      block, a->name, other, b->name);
}

static resnet_status check_ablation(const plan *p, uint32_t index,
                                    const plan_block_ablation *ablation, resnet_error *error) {
  const plan_block *block = &p->blocks[index];
  const bool plain = block->shortcut == RESNET_SHORTCUT_NONE;
  if (ablation->mode == RESNET_SKIP_SWAP) return check_swap(p, index, ablation->other, error);
  if (ablation->mode == RESNET_SKIP_BRANCH && plain)
    return check_same(p, index, p->ops[block->source].shape, p->ops[block->last_op].shape,
                      "it has no shortcut, and its input and output differ:", error);
  if (ablation->mode == RESNET_SKIP_SHORTCUT && plain)
    return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                    "block %u (%s): it has no shortcut that could be skipped", index, block->name);
  return RESNET_OK;
}

/* ---- writing ops ---- */

static uint32_t write_op(writer *w, const plan_op *op, uint32_t origin, unsigned emits) {
  const uint32_t index = w->to->op_count++;
  w->to->ops[index] = *op;
  w->roles[index] = (plan_op_role){.op = origin, .emits = emits};
  return index;
}

static bool clamps(const plan_op *op) {
  return op->clamp_min != -INFINITY || op->clamp_max != INFINITY;
}

static bool adds(const plan_op *op) {
  return op->input_count == 2 &&
         (op->kernel == KERNEL_ADD || kernel_table[op->kernel]->adds_shortcut);
}

/* Return an op without weights that computes a part of `op`. */
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

/* Write the op's clamp of `source`, if it has one. Return the op with the result. */
static uint32_t write_clamp(writer *w, uint32_t origin, uint32_t source) {
  const plan_op *op = &w->from->ops[origin];
  if (!clamps(op)) return source;
  plan_op clamp = part_of(op, KERNEL_CLAMP);
  clamp.input[0] = source;
  return write_op(w, &clamp, origin, PLAN_EMITS_OUTPUT);
}

/* Return the op with the shortcut that op `origin` adds, in the shape of the sum. An
 * option-A shortcut is written as an op of its own. */
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

/* Write an addition. One that reads an option-A shortcut from its source keeps doing so,
 * for equal bits (-0 + 0 is 0); the shortcut's tensor is written beside it, to be
 * emitted. */
static uint32_t write_addition(writer *w, uint32_t origin, const plan_op *op, uint32_t residual) {
  plan_op add = op->kernel == KERNEL_ADD ? *op : part_of(op, KERNEL_ADD);
  add.input_count = 2;
  add.input[0] = residual;
  add.input[1] = op->input[1];
  const bool made = write_shortcut(w, origin, op->input[1]) != op->input[1];
  return write_op(w, &add, origin, PLAN_EMITS_OUTPUT | (made ? 0u : PLAN_EMITS_INPUT));
}

/* Write the op with one op for each of its points. Return the op with its output. */
static uint32_t write_unfused(writer *w, uint32_t origin, const plan_op *op) {
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

/* Write the class map: the layer's weights applied to every pixel that the pool before it
 * averages. */
static void write_class_map(writer *w, uint32_t origin, const uint32_t *place_of) {
  const plan_op *pool = &w->from->ops[w->from->ops[origin].input[0]];
  plan_op map = w->from->ops[origin];
  map.in = pool->in;
  map.shape.h = pool->in.h;
  map.shape.w = pool->in.w;
  map.input[0] = place_of[pool->input[0]];
  (void)write_op(w, &map, origin, PLAN_EMITS_CLASS_MAP);
}

/* Write op `origin` with the change of its block. place_of maps ops of the old plan to
 * ops of the new one; place_of[origin] is set. */
static void write_changed(writer *w, uint32_t origin, resnet_skip mode, uint32_t *place_of) {
  plan_op op = w->from->ops[origin];
  for (uint32_t k = 0; k < op.input_count; k++) op.input[k] = place_of[op.input[k]];
  if (mode == RESNET_SKIP_BRANCH && adds(&op)) {
    place_of[origin] = write_clamp(w, origin, write_shortcut(w, origin, op.input[1]));
    return;
  }
  if (mode == RESNET_SKIP_BRANCH) {
    place_of[origin] = place_of[w->from->blocks[op.block].source];
    return;
  }
  if (mode == RESNET_SKIP_SHORTCUT && op.kernel == KERNEL_ADD) {
    place_of[origin] = write_clamp(w, origin, op.input[0]);
    return;
  }
  if (mode == RESNET_SKIP_SHORTCUT) op.input_count = 1;
  place_of[origin] =
      w->observed ? write_unfused(w, origin, &op) : write_op(w, &op, origin, PLAN_EMITS_OUTPUT);
  if (w->observed && origin == w->class_layer) write_class_map(w, origin, place_of);
}

/* Write the ops of block `other` in place of `block`. `inner` is room for a copy of
 * place_of: inside a swapped block the map differs. */
static void write_swapped(writer *w, uint32_t block, uint32_t other, uint32_t *place_of,
                          uint32_t *inner) {
  const plan_block *a = &w->from->blocks[block], *b = &w->from->blocks[other];
  memcpy(inner, place_of, w->from->op_count * sizeof *inner);
  inner[b->source] = place_of[a->source];
  for (uint32_t i = b->first_op; i <= b->last_op; i++) write_changed(w, i, RESNET_SKIP_NONE, inner);
  place_of[a->last_op] = inner[b->last_op];
}

static void write_ops(writer *w, uint32_t *place_of, uint32_t *inner) {
  for (uint32_t i = 0; i < w->from->op_count; i++) {
    const uint32_t block = w->from->ops[i].block;
    const plan_block_ablation ablation =
        block == RESNET_NO_INDEX ? (plan_block_ablation){RESNET_SKIP_NONE, 0} : w->ablations[block];
    if (ablation.mode == RESNET_SKIP_SWAP) {
      if (i == w->from->blocks[block].first_op)
        write_swapped(w, block, ablation.other, place_of, inner);
      continue;
    }
    const bool last = block != RESNET_NO_INDEX && i == w->from->blocks[block].last_op;
    write_changed(w, i, last ? ablation.mode : RESNET_SKIP_NONE, place_of);
  }
  w->to->output = place_of[w->from->output];
}

/* ---- dropping ops ---- */

/* Keep the input, the ops that the scores depend on, and ops that are computed for the
 * observer. `place` is room for each op's new index. */
static void drop_unused(writer *w, uint32_t *place) {
  plan *p = w->to;
  memset(place, 0, p->op_count * sizeof *place);
  place[0] = place[p->output] = 1;
  for (uint32_t i = p->op_count; i-- > 0;) {
    if (w->roles[i].emits & (PLAN_EMITS_CLASS_MAP | PLAN_EMITS_SHORTCUT)) place[i] = 1;
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

/* Return the layer behind global average pooling that computes the scores or the logits,
 * or RESNET_NO_INDEX: a fully connected layer, or a 1x1 convolution of one pixel. */
static uint32_t find_class_layer(const plan *p) {
  const uint32_t i =
      makes_probabilities(&p->ops[p->output]) ? p->ops[p->output].input[0] : p->output;
  const plan_op *op = &p->ops[i];
  const graph_window *w = &op->window;
  const bool pixelwise = (op->kernel == KERNEL_CONV || op->kernel == KERNEL_GEMM) &&
                         op->groups == 1 && w->kernel_h == 1 && w->kernel_w == 1 &&
                         w->stride_h == 1 && w->stride_w == 1 &&
                         !(w->pad_top | w->pad_left | w->pad_bottom | w->pad_right);
  /* with an addition, the map would need the shortcut of every pixel */
  if (!pixelwise || op->gates || adds(op) || clamps(op)) return RESNET_NO_INDEX;
  return p->ops[op->input[0]].kernel == KERNEL_GLOBAL_AVERAGE_POOL ? i : RESNET_NO_INDEX;
}

static resnet_status write_plan(plan_ablated *out, writer *w, resnet_error *error) {
  const plan *from = w->from;
  memory *m = from->memory;
  const size_t max_ops = (size_t)from->op_count * MAX_OPS_PER_OP + 1; /* the class map */
  out->plan.memory = m;
  w->to = &out->plan;
  w->to->ops = mem_allocate(m, max_ops, sizeof *w->to->ops);
  w->roles = out->roles = mem_allocate(m, max_ops, sizeof *out->roles);
  uint32_t *place_of = mem_allocate(m, max_ops, sizeof *place_of),
           *inner = mem_allocate(m, max_ops, sizeof *inner);
  const bool allocated = w->to->ops && w->roles && place_of && inner;
  if (allocated) {
    write_ops(w, place_of, inner);
    drop_unused(w, inner);
  }
  mem_release(m, place_of);
  mem_release(m, inner);
  return allocated ? plan_assign_arena(w->to, error) : err_no_memory(error, "a session's own plan");
}

resnet_status plan_ablate(plan_ablated *out, const plan *from, const plan_block_ablation *ablations,
                          bool observed, resnet_error *error) {
  memset(out, 0, sizeof *out);
  for (uint32_t i = 0; i < from->block_count; i++) {
    resnet_status status = check_ablation(from, i, &ablations[i], error);
    if (status != RESNET_OK) return status;
  }
  writer w = {.from = from,
              .ablations = ablations,
              .observed = observed,
              .class_layer = find_class_layer(from)};
  resnet_status status = write_plan(out, &w, error);
  if (status != RESNET_OK) plan_ablated_release(out);
  return status;
}

void plan_ablated_release(plan_ablated *ablated) {
  if (!ablated->plan.memory) return;
  mem_release(ablated->plan.memory, ablated->plan.ops);
  mem_release(ablated->plan.memory, ablated->roles);
  memset(ablated, 0, sizeof *ablated);
}
