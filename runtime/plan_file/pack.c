#include "runtime/plan_file/pack.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/kernels/table.h"
#include "runtime/plan_file/checksum.h"
#include "runtime/plan_file/pack_ops.h"

uint32_t plan_file_kernel_crc(const plan_op *op) {
  return plan_file_name_crc(kernel_table[op->kernel]->name);
}

/* ---- verifying --------------------------------------------------------------------- */

#define DAMAGED(what)                                                                              \
  "the plan file is damaged: the checksum of " what                                                \
  " is wrong; fetch it again, or compile the plan again from its .onnx file"

uint64_t plan_file_weights_checksum(const plan_file_weights *w) {
  const uint64_t both[2] = {plan_file_checksum(w->weights, w->weight_count * sizeof *w->weights),
                            plan_file_checksum(w->bias, w->bias_count * sizeof *w->bias)};
  return plan_file_checksum(both, sizeof both);
}

resnet_status plan_file_weights_verify(const plan_file_weights *w, resnet_error *error) {
  if (plan_file_weights_checksum(w) != w->checksum)
    return err_fail(error, RESNET_ERROR_FORMAT, DAMAGED("a layer's weights"));
  if (graph_all_finite(w->weights, w->weight_count) && graph_all_finite(w->bias, w->bias_count))
    return RESNET_OK;
  return err_fail(
      error, RESNET_ERROR_FORMAT,
      "the plan file's weights hold NaN or infinity: compile the plan again from its .onnx file");
}

static resnet_status verify_all_weights(const plan_file *f, resnet_error *error) {
  resnet_status status = RESNET_OK;
  for (uint32_t i = 0; i < f->weights_count && status == RESNET_OK; i++)
    status = plan_file_weights_verify(&f->weights[i], error);
  return status;
}

/* Find the file's entry of the weights that the op borrows, by bisection: their addresses
 * ascend. */
static const plan_file_weights *find_weights(const plan_file *f, const plan_op *op) {
  uint32_t low = 0, high = f->weights_count;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (f->weights[middle].weights <= op->weights)
      low = middle;
    else
      high = middle;
  }
  return &f->weights[low];
}

resnet_status plan_file_verify_packed(const plan_op *op, resnet_error *error) {
  plan_file_packed *packed = op->packed.in_file;
  if (!packed || atomic_load(&packed->verified)) return RESNET_OK;
  if (plan_file_checksum(packed->data, packed->size) != packed->checksum)
    return err_fail(error, RESNET_ERROR_FORMAT, DAMAGED("the packed weights of node '%.80s'"),
                    op->name);
  atomic_store(&packed->verified, true);
  return RESNET_OK;
}

resnet_status plan_file_verify(const plan_file *f, const plan *p, resnet_error *error) {
  if (!f->bytes) return RESNET_OK;
  resnet_status status = verify_all_weights(f, error);
  for (uint32_t i = 0; i < p->op_count && status == RESNET_OK; i++)
    status = plan_file_verify_packed(&p->ops[i], error);
  return status;
}

/* ---- the file's packed weights ----------------------------------------------------- */

/* Verify the weights that kernels read as they are in the file. They are few: vectors,
 * and filters of depthwise convolutions. */
static resnet_status verify_unpacked(const plan *p, const plan_file *f, resnet_error *error) {
  resnet_status status = RESNET_OK;
  for (uint32_t i = 0; i < p->op_count && status == RESNET_OK; i++)
    if (!f->packed[i].size && p->ops[i].weights)
      status = plan_file_weights_verify(find_weights(f, &p->ops[i]), error);
  return status;
}

/* Use the packed weights of the file. Verifying them reads the whole file: that waits
 * until a run needs them (plan_file_verify_packed). */
static resnet_status use_packed(plan *p, const plan_file *f, resnet_error *error) {
  resnet_status status = verify_unpacked(p, f, error);
  for (uint32_t i = 0; i < p->op_count && status == RESNET_OK; i++)
    if (f->packed[i].size)
      p->ops[i].packed = (plan_packed_weights){
          .data = f->packed[i].data, .size = f->packed[i].size, .in_file = &f->packed[i]};
  return status;
}

/* Return whether the file's packed weights are those that the kernels here would make. If
 * not, write the reason to `why`. */
static bool fits(const plan *p, const plan_file *f, const plan_file_key *key, char *why,
                 size_t size) {
  if (plan_file_key_differs(&f->key, key, why, size)) return false;
  bool same = f->packed_count == p->op_count;
  for (uint32_t i = 0; i < p->op_count && same; i++)
    same = f->packed[i].kernel == plan_file_kernel_crc(&p->ops[i]) &&
           f->packed[i].size == kernel_packed_size(&p->ops[i]);
  if (!same) (void)snprintf(why, size, "its packed weights differ from what this library makes");
  return same;
}

/* ---- packing ----------------------------------------------------------------------- */

/* Refuse a plan whose sessions would all exceed the budget. */
static resnet_status check_state(const plan *p, resnet_error *error) {
  const uint64_t budget = p->memory->budget;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < p->op_count; i++) {
    const uint64_t bytes = kernel_state_bytes(&p->ops[i]);
    if (budget && (bytes > budget || (sum += bytes) > budget))
      return err_fail(error, RESNET_ERROR_LIMIT,
                      "node '%s': a session's tables for the layers up to this one take more "
                      "memory than max_memory_bytes allows, which is %" PRIu64 " bytes (%.4g GiB)",
                      p->ops[i].name, budget, (double)budget / 0x1p30);
  }
  return RESNET_OK;
}

static resnet_status check_ops(const plan *p, resnet_error *error) {
  for (uint32_t i = 0; i < p->op_count; i++) {
    const kernel *k = kernel_table[p->ops[i].kernel];
    resnet_status status = k->check ? k->check(&p->ops[i], error) : RESNET_OK;
    if (status != RESNET_OK) return status;
  }
  return check_state(p, error);
}

resnet_status plan_file_pack(plan *p, const plan_file *f, const plan_options *options, char *notice,
                             size_t size, resnet_error *error) {
  resnet_status status = check_ops(p, error);
  if (status != RESNET_OK || !f->bytes)
    return status == RESNET_OK ? plan_file_pack_ops(p, options->memory, error) : status;
  plan_file_key key;
  char why[2 * PLAN_KEY_TEXT + 48];
  status = plan_file_key_make(&key, p->memory, options, error);
  if (status != RESNET_OK) return status;
  if (fits(p, f, &key, why, sizeof why)) return use_packed(p, f, error);
  (void)snprintf(notice, size,
                 "the plan file's weights were packed anew: %s; save it again to map it", why);
  status = verify_all_weights(f, error);
  return status == RESNET_OK ? plan_file_pack_ops(p, options->memory, error) : status;
}
