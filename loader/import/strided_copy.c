#include "loader/import/strided_copy.h"

void strided_steps(const constant *t, int64_t steps[MAX_RANK]) {
  int64_t step = t->count > 0; /* no overflow: at most the number of elements */
  for (uint32_t i = t->rank; i-- > 0; step *= t->dims[i]) steps[i] = step;
}

/* Return how many elements the innermost axes visit in order; *axes is the number of the
 * other axes. */
static size_t find_run(const strided_walk *walk, uint32_t *axes) {
  int64_t run = 1;
  for (*axes = walk->rank; *axes > 0; --*axes) {
    const uint32_t i = *axes - 1;
    if (walk->dims[i] != 1 && walk->steps[i] != run) break;
    run *= walk->dims[i];
  }
  return (size_t)run;
}

resnet_status strided_copy(import_context *ctx, constant *to, const constant *from, int64_t base,
                           const strided_walk *walk) {
  int64_t position[STRIDED_RANK] = {0}, at = base;
  uint32_t axes;
  if (to->count == 0) return RESNET_OK;
  const size_t run = find_run(walk, &axes);
  resnet_status status = import_spend(ctx, to->count, WORK_MOVE);
  if (status == RESNET_OK) status = import_spend(ctx, to->count / run, WORK_GATHER);
  for (size_t k = 0; k < to->count && status == RESNET_OK; k += run) {
    if (!constant_copy(ctx, to, k, from, (size_t)at, run))
      status = err_no_memory(ctx->error, "a constant");
    for (uint32_t i = axes; i-- > 0;) {
      at += walk->steps[i];
      if (++position[i] < walk->dims[i]) break;
      at -= walk->steps[i] * position[i];
      position[i] = 0;
    }
  }
  return status;
}

resnet_status strided_fill(import_context *ctx, constant *to, const constant *from) {
  const resnet_status status = import_spend(ctx, to->count, WORK_MOVE);
  if (status != RESNET_OK) return status;
  for (size_t i = 0; to->is_float && i < to->count; i++) to->floats[i] = from->floats[0];
  for (size_t i = 0; to->doubles && i < to->count; i++) to->doubles[i] = from->doubles[0];
  for (size_t i = 0; to->ints && i < to->count; i++) to->ints[i] = from->ints[0];
  return status;
}
