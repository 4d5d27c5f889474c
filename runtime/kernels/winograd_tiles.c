#include "runtime/kernels/winograd_tiles.h"

#include <string.h>

#include "runtime/kernels/workspace.h"

enum {
  TILE_ROWS = 8, /* tiles that the matrix product handles at once */
  /* With fewer tiles, reading the weights for each block costs more than L2 saves. */
  MIN_BLOCK = 16,
  MAX_BLOCK = 64,
  L2_PARTS = 3, /* one for a block; the others hold weights and activations */
  L3_PARTS = 8, /* one for a large block */
  /* times L2: more weights are worth a block in L3, even if it cannot hold all tiles */
  HEAVY = 4,
  /* bytes; more would make sessions much larger */
  LARGE_BLOCK = 2 << 20
};

resnet_status winograd_workspace(kernel_call *call, size_t block_floats, resnet_error *error) {
  return kernel_size_workspace(call, kernel_pixel_floats(call->op), block_floats, error);
}

/* Return the bytes of one block of transformed values. Those of all tiles take `bytes`.
 * Weights that do not fit L2 are read once for each block: then larger blocks pay, as far
 * as L3 holds them. The number of threads plays no part, as a forked child has one thread
 * and the same workspace. */
static size_t block_bytes(system_caches caches, size_t bytes, size_t weight_bytes) {
  const size_t share = min_size(LARGE_BLOCK, caches.l3 / L3_PARTS);
  if (weight_bytes <= caches.l2) return caches.l2 / L2_PARTS;
  if (weight_bytes <= HEAVY * caches.l2 && bytes > share) return caches.l2;
  return share > caches.l2 ? share : caches.l2;
}

/* Return the tiles of a block of at most `bytes`. */
static size_t block_tiles(size_t bytes, size_t tiles, size_t tile_bytes) {
  const size_t fit = bytes / tile_bytes;
  const size_t block = fit < MIN_BLOCK ? MIN_BLOCK : min_size(fit, MAX_BLOCK);
  return min_size(block / TILE_ROWS * TILE_ROWS, round_up(tiles, TILE_ROWS));
}

size_t winograd_max_block(const kernel_call *call, size_t tiles, size_t tile_bytes,
                          size_t weight_bytes) {
  const size_t bytes = block_bytes(call->caches, tiles * tile_bytes, weight_bytes);
  return block_tiles(bytes, tiles, tile_bytes);
}

size_t winograd_block_room(const kernel_call *call, size_t tiles, size_t tile_bytes,
                           size_t weight_bytes) {
  return block_tiles(block_bytes(call->caches, 0, weight_bytes), tiles, tile_bytes);
}

size_t winograd_even_block(size_t tiles, size_t max_block, size_t parts) {
  const size_t blocks = round_up((tiles + max_block - 1) / max_block, parts);
  const size_t even = (tiles + blocks - 1) / blocks;
  /* a few rows more or less matter in small blocks */
  return even > MAX_BLOCK / 2 ? even : min_size(round_up(even, TILE_ROWS), max_block);
}

void winograd_task_init(winograd_task *t, const kernel_call *call, size_t out_h, size_t out_w) {
  const plan_op *op = call->op;
  float *zeros = call->workspace;
  memset(zeros, 0, kernel_pixel_floats(op) * sizeof *zeros);
  t->call = call;
  t->out_h = out_h;
  t->out_w = out_w;
  t->tiles_h = (op->shape.h + out_h - 1) / out_h;
  t->tiles_w = (op->shape.w + out_w - 1) / out_w;
  t->tiles = call->batch * t->tiles_h * t->tiles_w;
  t->zeros = zeros;
  t->blocks = zeros + kernel_pixel_floats(op);
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
