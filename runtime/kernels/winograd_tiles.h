/* What the kernels of Winograd's algorithm share. The outputs of all samples of a batch
 * are numbered through as tiles and computed in blocks: a block's transformed inputs and
 * products stay in a core's own cache. A tile's result must not depend on the other tiles
 * of its block: then neither threads nor batches change a bit. */
#ifndef LIBRESNET_RUNTIME_KERNELS_WINOGRAD_TILES_H
#define LIBRESNET_RUNTIME_KERNELS_WINOGRAD_TILES_H

#include "runtime/kernels/workspace.h"

enum {
  /* floats between matrices, which would otherwise share the same sets of a cache */
  TILE_SKEW = KERNEL_LINE
};

/* The place of a tile's first output. */
typedef struct winograd_tile {
  size_t sample, row, column;
} winograd_tile;

/* One run of one convolution: the first member of each kernel's own task. */
typedef struct winograd_task winograd_task;
struct winograd_task {
  const kernel_call *call;
  size_t out_h, out_w;     /* of a tile */
  size_t tiles_h, tiles_w; /* down and across a sample */
  size_t tiles;            /* of the whole batch */
  size_t block;            /* tiles of a block */
  size_t block_floats;     /* of each thread's block, in the workspace */
  size_t slices;           /* parts into which a block's products can be split */
  size_t first, count;     /* tiles of the block that all threads share */
  const float *zeros;      /* a pixel outside the image */
  float *blocks;           /* one for each thread */

  /* Transform the inputs of a tile into row `row` of the block. */
  void (*input_transform)(const winograd_task *t, winograd_tile at, float *block, size_t row);
  /* Multiply slices slice..slice + slices - 1 of the first `count` rows of the block. */
  void (*multiply)(const winograd_task *t, float *block, size_t slice, size_t slices, size_t count);
  /* Transform the products in row `row` of the block into the outputs of a tile. */
  void (*output_transform)(const winograd_task *t, winograd_tile at, float *block, size_t row);
};

/* Set the members that follow from the call, out_h and out_w. */
void winograd_task_init(winograd_task *t, const kernel_call *call, size_t out_h, size_t out_w);

/* Return the most tiles of a block, whose transformed values take tile_bytes a tile. */
size_t winograd_max_block(const kernel_call *call, size_t tiles, size_t tile_bytes,
                          size_t weight_bytes);

/* Return the largest winograd_max_block of up to `tiles` tiles: a smaller batch may have
 * larger blocks, and uses the same workspace. */
size_t winograd_block_room(const kernel_call *call, size_t tiles, size_t tile_bytes,
                           size_t weight_bytes);

/* Return the tiles of a block if they are split evenly into a multiple of `parts` blocks,
 * each of at most max_block. */
size_t winograd_even_block(size_t tiles, size_t max_block, size_t parts);

/* Request a workspace with one pixel of zeros, for inputs outside the image, and a block
 * of `block_floats` for each thread. */
resnet_status winograd_workspace(kernel_call *call, size_t block_floats, resnet_error *error);

/* Compute all tiles; each thread takes whole blocks. */
void winograd_run_blocks(const winograd_task *t);

/* Compute all tiles; all threads share the steps of one block after the other. */
void winograd_run_shared(winograd_task *t);

/* ---- for every tile, hence inlined ---- */

/* Return the floats before the tile's first output. */
static inline size_t winograd_tile_offset(const winograd_task *t, winograd_tile at) {
  const graph_shape out = t->call->op->shape;
  return ((at.sample * out.h + at.row) * out.w + at.column) * out.c;
}

/* Return the rows of the tile that are inside the image. */
static inline size_t winograd_tile_rows(const winograd_task *t, winograd_tile at) {
  return min_size(t->call->op->shape.h - at.row, t->out_h);
}

static inline size_t winograd_tile_columns(const winograd_task *t, winograd_tile at) {
  return min_size(t->call->op->shape.w - at.column, t->out_w);
}

/* Find the in_h x in_w inputs of a tile; outside the image they are t->zeros. */
static inline void winograd_tile_pixels(const winograd_task *t, winograd_tile at, size_t in_h,
                                        size_t in_w, const float **pixels) {
  const plan_op *op = t->call->op;
  const float *image = t->call->input[0] + at.sample * plan_shape_floats(op->in);
  const size_t c = op->in.c;
  /* both wrap around where they are negative, and are then outside the image, too */
  const size_t top = at.row * op->window.stride_h - op->window.pad_top,
               left = at.column * op->window.stride_w - op->window.pad_left;
  const bool whole =
      top < op->in.h && top + in_h <= op->in.h && left < op->in.w && left + in_w <= op->in.w;
  if (whole) {
    const float *line = image + (top * op->in.w + left) * c;
    for (size_t row = 0; row < in_h; row++, line += op->in.w * c, pixels += in_w)
      for (size_t column = 0; column < in_w; column++) pixels[column] = line + column * c;
    return;
  }
  for (size_t row = 0; row < in_h; row++, pixels += in_w) {
    const bool inside = top + row < op->in.h;
    const float *line = inside ? image + (top + row) * op->in.w * c : t->zeros;
    for (size_t column = 0; column < in_w; column++)
      pixels[column] = inside && left + column < op->in.w ? line + (left + column) * c : t->zeros;
  }
}

#endif
