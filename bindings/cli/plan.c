#include "cli/plan.h"

#include <stdlib.h>

#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"

static resnet_status read_all(const loaded_model *m, cli_plan *p, resnet_error *error) {
  resnet_status status = RESNET_OK;
  for (uint32_t i = 0; i < p->op_count && status == RESNET_OK; i++) {
    p->ops[i].struct_size = sizeof p->ops[i];
    status = resnet_plan_op(m->model, i, &p->ops[i], error);
  }
  for (uint32_t i = 0; i < p->block_count && status == RESNET_OK; i++) {
    p->blocks[i].struct_size = sizeof p->blocks[i];
    status = resnet_plan_block(m->model, i, &p->blocks[i], error);
  }
  return status;
}

bool cli_plan_read(const loaded_model *m, cli_plan *p) {
  resnet_error error;
  p->op_count = m->info.op_count;
  p->block_count = m->info.block_count;
  p->ops = cli_allocate(p->op_count, sizeof *p->ops);
  p->blocks = cli_allocate(p->block_count, sizeof *p->blocks);
  if (read_all(m, p, &error) == RESNET_OK) return true;
  cli_print_error(m->file, &error);
  cli_plan_release(p);
  return false;
}

void cli_plan_release(cli_plan *p) {
  free(p->ops);
  free(p->blocks);
  *p = (cli_plan){0};
}

const char *cli_plan_block_name(const cli_plan *p, const resnet_op *op) {
  return op->block < p->block_count ? p->blocks[op->block].name : "";
}

bool cli_plan_has_shortcut(const cli_plan *p, uint32_t block) {
  return p->blocks[block].shortcut != RESNET_SHORTCUT_NONE;
}
