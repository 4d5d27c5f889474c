#include "runtime/plan/plan.h"

#include <string.h>

static void release_weights(plan_op *op, memory *m) {
  if (!op->weights_borrowed) {
    mem_release(m, op->weights);
    mem_release(m, op->bias);
  }
  op->weights = op->bias = NULL;
}

static void release_op(memory *m, plan_op *op) {
  release_weights(op, m);
  if (!op->packed.in_file) mem_release(m, op->packed.data);
  mem_release(m, op->name);
  mem_release(m, op->output);
  mem_release(m, op->detail);
}

void plan_release(plan *p) {
  if (!p->memory) return;
  for (uint32_t i = 0; i < p->op_count; i++) release_op(p->memory, &p->ops[i]);
  for (uint32_t i = 0; i < p->block_count; i++) mem_release(p->memory, p->blocks[i].name);
  mem_release(p->memory, p->ops);
  mem_release(p->memory, p->blocks);
  memset(p, 0, sizeof *p);
}

void plan_op_release_weights(plan_op *op, memory *m) {
  if (!op->weights_borrowed) release_weights(op, m);
}

size_t plan_op_weights_bytes(const plan_op *op) {
  if (op->packed.data || !op->weights) return op->packed.size;
  return (op->weight_count + op->bias_count) * sizeof(float);
}

/* A projection has the shortcut's kind and one input. A layer that adds the shortcut
 * itself has the shortcut's kind, too, but two inputs. */
bool plan_op_is_layer(const plan_op *op) {
  return op->macs > 0 && !op->gates && !op->blurs &&
         (op->shortcut == RESNET_SHORTCUT_NONE || op->input_count == 2);
}

size_t plan_shape_floats(graph_shape shape) { return (size_t)shape.h * shape.w * shape.c; }

const char *plan_shortcut_name(resnet_shortcut shortcut) {
  static const char *const names[] = {
      [RESNET_SHORTCUT_NONE] = "none",
      [RESNET_SHORTCUT_IDENTITY] = "identity",
      [RESNET_SHORTCUT_PROJECTION] = "projection",
      [RESNET_SHORTCUT_OPTION_A] = "option A",
      [RESNET_SHORTCUT_POOL] = "pool",
  };
  return (size_t)shortcut < sizeof names / sizeof *names ? names[shortcut] : "unknown";
}
