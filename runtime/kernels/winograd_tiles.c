#include "runtime/kernels/winograd_tiles.h"

#include <string.h>

/* The workspace starts with one pixel of zeros, for inputs outside the image. */
static size_t zero_floats(const plan_op *op) { return round_up(op->in.c, TILE_LINE); }

resnet_status winograd_workspace(kernel_call *call, size_t block_floats, resnet_error *error) {
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

void winograd_task_init(winograd_task *t, const kernel_call *call, size_t out_h, size_t out_w) {
  const plan_op *op = call->op;
  float *zeros = call->workspace;
  memset(zeros, 0, zero_floats(op) * sizeof *zeros);
  t->call = call;
  t->out_h = out_h;
  t->out_w = out_w;
  t->tiles_h = (op->shape.h + out_h - 1) / out_h;
  t->tiles_w = (op->shape.w + out_w - 1) / out_w;
  t->tiles = call->batch * t->tiles_h * t->tiles_w;
  t->zeros = zeros;
  t->blocks = zeros + zero_floats(op);
}

static winograd_tile find_tile(const winograd_task *t, size_t tile) {
  const size_t per_sample = t->tiles_h * t->tiles_w, inside = tile % per_sample;
  return (winograd_tile){tile / per_sample, inside / t->tiles_w * t->out_h,
                         inside % t->tiles_w * t->out_w};
}

/* Return the tile behind `at`. Divisions for each tile would take as long as a part of
 * its transform. */
static winograd_tile next_tile(const winograd_task *t, winograd_tile at) {
  at.column += t->out_w;
  if (at.column < t->call->op->shape.w) return at;
  at.column = 0;
  at.row += t->out_h;
  if (at.row < t->call->op->shape.h) return at;
  return (winograd_tile){at.sample + 1, 0, 0};
}

static size_t tiles_from(const winograd_task *t, size_t first) {
  return min_size(t->tiles - first, t->block);
}

/* Compute one block, all steps, on one thread. */
static void run_block(void *context, size_t thread, size_t index) {
  const winograd_task *t = context;
  const size_t first = index * t->block, count = tiles_from(t, first);
  const winograd_tile start = find_tile(t, first);
  float *block = t->blocks + thread * t->block_floats;
  winograd_tile at = start;
  for (size_t i = 0; i < count; i++, at = next_tile(t, at)) t->input_transform(t, at, block, i);
  t->multiply(t, block, 0, t->slices, count);
  at = start;
  for (size_t i = 0; i < count; i++, at = next_tile(t, at)) t->output_transform(t, at, block, i);
}

void winograd_run_blocks(const winograd_task *t) {
  pthreadpool_parallelize_1d_with_thread(t->call->pool, run_block, (void *)(uintptr_t)t,
                                         (t->tiles + t->block - 1) / t->block, POOL_FLAGS);
}

static void shared_input(void *context, size_t i) {
  const winograd_task *t = context;
  t->input_transform(t, find_tile(t, t->first + i), t->blocks, i);
}

static void shared_slice(void *context, size_t slice) {
  const winograd_task *t = context;
  t->multiply(t, t->blocks, slice, 1, t->count);
}

static void shared_output(void *context, size_t i) {
  const winograd_task *t = context;
  t->output_transform(t, find_tile(t, t->first + i), t->blocks, i);
}

void winograd_run_shared(winograd_task *t) {
  for (t->first = 0; t->first < t->tiles; t->first += t->block) {
    t->count = tiles_from(t, t->first);
    pthreadpool_parallelize_1d(t->call->pool, shared_input, t, t->count, POOL_FLAGS);
    pthreadpool_parallelize_1d(t->call->pool, shared_slice, t, t->slices, POOL_FLAGS);
    pthreadpool_parallelize_1d(t->call->pool, shared_output, t, t->count, POOL_FLAGS);
  }
}
