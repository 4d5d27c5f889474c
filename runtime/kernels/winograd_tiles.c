#include "runtime/kernels/winograd_tiles.h"

#include <string.h>

/* A row of zeros, what lies outside of a picture, stands before the blocks. */
static size_t zero_floats(const plan_op *op) { return round_up(op->in.c, TILE_LINE); }

resnet_status tile_workspace(kernel_call *call, size_t block_floats, resnet_error *error) {
  const size_t threads = pthreadpool_get_threads_count(call->pool), zeros = zero_floats(call->op);
  size_t floats;
  if (!mem_size_multiply(threads, block_floats, &floats) ||
      floats > SIZE_MAX / sizeof(float) - zeros)
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "node '%s' (Conv): the buffers of %zu threads do not fit the address space",
                    call->op->name, threads);
  call->workspace_size = (zeros + floats) * sizeof(float);
  return RESNET_OK;
}

void tile_init(tile_work *w, const kernel_call *call, size_t out_h, size_t out_w) {
  const plan_op *op = call->op;
  float *zeros = call->workspace;
  memset(zeros, 0, zero_floats(op) * sizeof *zeros);
  w->call = call;
  w->out_h = out_h;
  w->out_w = out_w;
  w->tiles_h = (op->shape.h + out_h - 1) / out_h;
  w->tiles_w = (op->shape.w + out_w - 1) / out_w;
  w->tiles = call->batch * w->tiles_h * w->tiles_w;
  w->zeros = zeros;
  w->blocks = zeros + zero_floats(op);
}

static size_t tiles_from(const tile_work *w, size_t first) {
  return tile_least(w->tiles - first, w->block);
}

/* One block, all steps, on one thread. */
static void run_block(void *context, size_t thread, size_t index) {
  const tile_work *w = context;
  const size_t first = index * w->block, count = tiles_from(w, first);
  float *block = w->blocks + thread * w->block_floats;
  for (size_t i = 0; i < count; i++) w->spread(w, first + i, block, i);
  w->multiply(w, block, 0, w->parts, count);
  for (size_t i = 0; i < count; i++) w->gather(w, first + i, block, i);
}

void tile_run_blocks(const tile_work *w) {
  pthreadpool_parallelize_1d_with_thread(w->call->pool, run_block, (void *)(uintptr_t)w,
                                         (w->tiles + w->block - 1) / w->block, 0);
}

static void share_spread(void *context, size_t i) {
  const tile_work *w = context;
  w->spread(w, w->first + i, w->blocks, i);
}

static void share_multiply(void *context, size_t part) {
  const tile_work *w = context;
  w->multiply(w, w->blocks, part, 1, w->count);
}

static void share_gather(void *context, size_t i) {
  const tile_work *w = context;
  w->gather(w, w->first + i, w->blocks, i);
}

void tile_run_shared(tile_work *w) {
  for (w->first = 0; w->first < w->tiles; w->first += w->block) {
    w->count = tiles_from(w, w->first);
    pthreadpool_parallelize_1d(w->call->pool, share_spread, w, w->count, 0);
    pthreadpool_parallelize_1d(w->call->pool, share_multiply, w, w->parts, 0);
    pthreadpool_parallelize_1d(w->call->pool, share_gather, w, w->count, 0);
  }
}
