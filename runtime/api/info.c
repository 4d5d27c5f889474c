/* Public functions that return facts about the library, a model and its plan. */
#include <string.h>

#include "runtime/api/model.h"
#include "runtime/kernels/table.h"

const char *resnet_version(void) { return RESNET_VERSION_STRING; }

uint32_t resnet_abi(void) { return RESNET_ABI; }

const char *resnet_status_string(resnet_status status) {
  switch (status) {
  case RESNET_OK:
    return "RESNET_OK";
  case RESNET_ERROR_ARGUMENT:
    return "RESNET_ERROR_ARGUMENT";
  case RESNET_ERROR_IO:
    return "RESNET_ERROR_IO";
  case RESNET_ERROR_FORMAT:
    return "RESNET_ERROR_FORMAT";
  case RESNET_ERROR_UNSUPPORTED:
    return "RESNET_ERROR_UNSUPPORTED";
  case RESNET_ERROR_LIMIT:
    return "RESNET_ERROR_LIMIT";
  case RESNET_ERROR_MEMORY:
    return "RESNET_ERROR_MEMORY";
  case RESNET_ERROR_SYSTEM:
    return "RESNET_ERROR_SYSTEM";
  }
  return "an unknown resnet_status";
}

const char *resnet_shortcut_string(resnet_shortcut shortcut) {
  return plan_shortcut_name(shortcut);
}

/* Copy the first struct_size bytes of `from`: the members that the caller's header
 * knows. */
static resnet_status copy_known(void *to, const void *from, size_t from_size, const char *what,
                                resnet_error *error) {
  size_t to_size = 0;
  if (to) memcpy(&to_size, to, sizeof to_size);
  if (to_size < sizeof to_size || to_size > from_size)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "%s: struct_size is %zu: set it to sizeof(%s), which is %zu in this library",
                    what, to_size, what, from_size);
  memcpy((char *)to + sizeof to_size, (const char *)from + sizeof to_size,
         to_size - sizeof to_size);
  return err_clear(error);
}

resnet_status resnet_model_get_info(const resnet_model *model, resnet_model_info *info,
                                    resnet_error *error) {
  if (!model) return err_null(error, "resnet_model_get_info", "model");
  if (!info) return err_null(error, "resnet_model_get_info", "info");
  const plan *p = &model->plan;
  const graph_shape input = p->ops[0].shape;
  uint64_t weights_bytes = 0;
  for (uint32_t i = 0; i < p->op_count; i++) weights_bytes += plan_op_weights_bytes(&p->ops[i]);
  const resnet_model_info all = {
      .name = model->name,
      .producer = model->producer,
      .opset = model->opset,
      .input_height = input.h,
      .input_width = input.w,
      .input_channels = input.c,
      .classes = model_class_count(model),
      .score_count = p->ops[p->output].shape.c,
      .labels = (const char *const *)model->labels,
      .preprocess = model->preprocess,
      .preprocess_source = model->preprocess_source,
      .precision = "fp32",
      .op_count = p->op_count,
      .block_count = p->block_count,
      .conv_layers = p->conv_layers,
      .parameters = p->parameters,
      .macs = p->macs,
      .weights_bytes = weights_bytes,
      .arena_bytes = p->arena_floats * sizeof(float),
      .arena_lower_bound = p->arena_lower_bound * sizeof(float),
      .notice = model->notice,
      .findings = model->findings,
      .finding_count = model->finding_count,
      .scores = model->scores,
  };
  return copy_known(info, &all, sizeof all, "resnet_model_info", error);
}

resnet_status resnet_plan_op(const resnet_model *model, uint32_t index, resnet_op *op,
                             resnet_error *error) {
  if (!model) return err_null(error, "resnet_plan_op", "model");
  if (!op) return err_null(error, "resnet_plan_op", "op");
  if (index >= model->plan.op_count)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "resnet_plan_op: index %u: the plan has ops 0 to %u", index,
                    model->plan.op_count - 1);
  const plan_op *from = &model->plan.ops[index];
  const resnet_op all = {
      .name = from->name,
      .output = from->output,
      .kernel = kernel_table[from->kernel]->name,
      .detail = from->detail,
      .input = {from->input_count > 0 ? from->input[0] : RESNET_NO_INDEX,
                from->input_count > 1 ? from->input[1] : RESNET_NO_INDEX},
      .height = from->shape.h,
      .width = from->shape.w,
      .channels = from->shape.c,
      .block = from->block,
      .shortcut = from->shortcut,
      .parameters = from->parameters,
      .macs = from->macs,
      .weights_bytes = plan_op_weights_bytes(from),
      .output_bytes = plan_shape_floats(from->shape) * sizeof(float),
      .arena_offset = from->arena_offset * sizeof(float),
      .cost = from->cost,
      .layer = from->layer,
      .multiplications = kernel_multiplications(from),
  };
  return copy_known(op, &all, sizeof all, "resnet_op", error);
}

resnet_status resnet_plan_block(const resnet_model *model, uint32_t index, resnet_block *block,
                                resnet_error *error) {
  if (!model) return err_null(error, "resnet_plan_block", "model");
  if (!block) return err_null(error, "resnet_plan_block", "block");
  if (index >= model->plan.block_count)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "resnet_plan_block: index %u: the plan has %u blocks, counted from 0", index,
                    model->plan.block_count);
  const plan_block *from = &model->plan.blocks[index];
  const resnet_block all = {
      .name = from->name,
      .shortcut = from->shortcut,
      .first_op = from->first_op,
      .last_op = from->last_op,
      .convs = from->convs,
  };
  return copy_known(block, &all, sizeof all, "resnet_block", error);
}
