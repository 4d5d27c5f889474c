/* What Winograd's convolutions share, whatever they compute of a tile: the outputs of all
 * pictures of a batch numbered through as tiles, and these worked on in blocks, so that a
 * block's transformed inputs and products stay in the core's own cache. A tile's result
 * must not depend on which tiles share its block: then neither threads nor batches change
 * a bit. */
#ifndef LIBRESNET_RUNTIME_KERNELS_WINOGRAD_TILES_H
#define LIBRESNET_RUNTIME_KERNELS_WINOGRAD_TILES_H

#include "runtime/kernels/kernel.h"

enum {
  /* floats of a cache line, and no fewer than of any vector */
  TILE_LINE = 16,
  TILE_SKEW =
      TILE_LINE /* floats between matrices, which would all fall into the same sets of a cache */
};

typedef struct tile_place {
  size_t picture, row, column; /* of the tile's first output */
} tile_place;

/* One run of one convolution; kernels put it first into what they know besides. */
typedef struct tile_work tile_work;
struct tile_work {
  const kernel_call *call;
  size_t out_h, out_w; /* of a tile */
  /* of a picture: down and across; of the whole batch */
  size_t tiles_h, tiles_w, tiles;
  size_t block;        /* tiles of a block */
  size_t block_floats; /* of each thread's, in the workspace */
  /* into which a block's multiplications can be split */
  size_t parts;
  /* the tiles of the block that all threads share */
  size_t first, count;
  const float *zeros; /* a pixel outside of a picture */
  float *blocks;      /* one for each thread */

  /* Transform the inputs of tile `tile` into place `slot` of the block. */
  void (*spread)(const tile_work *w, size_t tile, float *block, size_t slot);
  /* Multiply: parts part..part + parts - 1, for the first `count` tiles of the block. */
  void (*multiply)(const tile_work *w, float *block, size_t part, size_t parts, size_t count);
  /* Transform the products in place `slot` of the block into the outputs of tile
   * `tile`. */
  void (*gather)(const tile_work *w, size_t tile, float *block, size_t slot);
};

/* Set what follows from the call and from out_h and out_w. */
void tile_init(tile_work *w, const kernel_call *call, size_t out_h, size_t out_w);

/* Ask for a workspace with a block of so many floats for each thread. */
resnet_status tile_workspace(kernel_call *call, size_t block_floats, resnet_error *error);

/* These are asked for every tile, so they stand here to be inlined. */

static inline size_t tile_least(size_t a, size_t b) { return a < b ? a : b; }

/* Where a tile begins... */
static inline tile_place tile_find(const tile_work *w, size_t tile) {
  const size_t per_picture = w->tiles_h * w->tiles_w, inside = tile % per_picture;
  return (tile_place){tile / per_picture, inside / w->tiles_w * w->out_h,
                      inside % w->tiles_w * w->out_w};
}

/* ...and how many floats before it in the output. */
static inline size_t tile_offset(const tile_work *w, tile_place at) {
  const graph_shape out = w->call->op->shape;
  return ((at.picture * out.h + at.row) * out.w + at.column) * out.c;
}

/* Outputs of the tile that lie inside the picture. */
static inline size_t tile_rows(const tile_work *w, tile_place at) {
  return tile_least(w->call->op->shape.h - at.row, w->out_h);
}

static inline size_t tile_columns(const tile_work *w, tile_place at) {
  return tile_least(w->call->op->shape.w - at.column, w->out_w);
}

/* Where the in_h x in_w inputs of a tile lie; outside of the picture they are
 * w->zeros. */
static inline void tile_pixels(const tile_work *w, tile_place at, size_t in_h, size_t in_w,
                               const float **pixels) {
  const plan_op *op = w->call->op;
  const float *picture = w->call->input[0] + at.picture * plan_shape_floats(op->in);
  /* wraps where outside... */
  const size_t c = op->in.c, top = at.row * op->window.stride_h - op->window.pad_top;
  /* ...and so does this */
  const size_t left = at.column * op->window.stride_w - op->window.pad_left;
  for (size_t row = 0; row < in_h; row++, pixels += in_w) {
    const bool inside = top + row < op->in.h;
    const float *line = inside ? picture + (top + row) * op->in.w * c : w->zeros;
    for (size_t column = 0; column < in_w; column++)
      pixels[column] = inside && left + column < op->in.w ? line + (left + column) * c : w->zeros;
  }
}

/* Each thread does whole blocks... */
void tile_run_blocks(const tile_work *w);

/* ...or all threads share the steps of one block after the other. */
void tile_run_shared(tile_work *w);

#endif
