/* A model's plan, read through resnet_plan_op and resnet_plan_block. */
#ifndef RESNET_CLI_PLAN_H
#define RESNET_CLI_PLAN_H

#include "cli/model.h"

typedef struct plan {
  resnet_op *ops;
  uint32_t op_count;
  resnet_block *blocks;
  uint32_t block_count;
} plan;

/* On failure says why on standard error, and holds nothing. */
bool plan_read(const loaded_model *m, plan *p);
void plan_release(plan *p);

/* The name of the op's block, or "". */
const char *plan_block_name(const plan *p, const resnet_op *op);

bool has_shortcut(const plan *p, uint32_t block);

/* "identity", "projection", "option A", "none". */
const char *shortcut_name(resnet_shortcut shortcut);

#endif
