/* The plan of a model, read through resnet_plan_op and resnet_plan_block. */
#ifndef RESNET_CLI_PLAN_H
#define RESNET_CLI_PLAN_H

#include "cli/model.h"
#include "resnet.h"

typedef struct cli_plan {
  resnet_op *ops;
  uint32_t op_count;
  resnet_block *blocks;
  uint32_t block_count;
} cli_plan;

/* Read the plan. On failure print the reason; *p holds nothing. */
bool cli_plan_read(const loaded_model *m, cli_plan *p);
void cli_plan_release(cli_plan *p);

/* Return the name of the op's block, or "". */
const char *cli_plan_block_name(const cli_plan *p, const resnet_op *op);

bool cli_plan_has_shortcut(const cli_plan *p, uint32_t block);

#endif
