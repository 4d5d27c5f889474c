/* 3x3 convolutions of stride 2 by Winograd's algorithm + bias + clamp (vector/strided.h). Tiles of all pictures of the
 * batch are numbered through and worked on in blocks, as in winograd.c; no tile's result depends on its neighbours'. */
#include <string.h>

#include "runtime/kernels/kernel.h"
#include "runtime/kernels/vector/matrix.h"
#include "runtime/kernels/vector/strided.h"
#include "runtime/kernels/winograd.h"

enum {
  BLOCK_BYTES = 512 * 1024, /* of transformed inputs and products */
  MIN_BLOCK = 16,           /* tiles: below, reading the weights anew for each block costs more than caches save */
  MAX_BLOCK = 32,
  LINE = 16, /* floats of a cache line, and no fewer than of any vector */
  SKEW = LINE
};

const strided_group strided_groups[STRIDED_GROUPS] = {
    {STRIDED_POINTS * STRIDED_POINTS, 1},
    {STRIDED_POINTS, STRIDED_OUT},
    {STRIDED_POINTS, STRIDED_OUT},
    {1, STRIDED_OUT *STRIDED_OUT},
};

bool winograd_strided_applies(const plan_op *op) {
  const graph_window *w = &op->window;
  return op->kernel == KERNEL_CONV && op->groups == 1 && w->kernel_h == 3 && w->kernel_w == 3 && w->stride_h == 2 &&
         w->stride_w == 2 && w->dilation_h == 1 && w->dilation_w == 1;
}

/* ---- weights: matrices x panels x (c,panel), then the bias ---- */

/* Output channels, rounded up to whole panels. */
static size_t columns(const plan_op *op) { return round_up(op->shape.c, matrix_variant(0)->panel); }

static size_t matrix_floats(const plan_op *op) { return columns(op) * op->in.c; }

static const float *bias_of(const plan_op *op) {
  return (const float *)op->packed.data + STRIDED_MATRICES * matrix_floats(op);
}

static size_t packed_size(const plan_op *op) {
  return (STRIDED_MATRICES * matrix_floats(op) + op->shape.c) * sizeof(float);
}

static resnet_status check(const plan_op *op, const memory *m, resnet_error *error) {
  (void)m;
  return check_packed_weights(op, columns(op), (size_t)STRIDED_MATRICES * op->in.c, error);
}

static resnet_status pack(plan_op *op, memory *m, resnet_error *error) {
  const size_t c = op->in.c, panel = matrix_variant(0)->panel;
  float *packed = memory_allocate(m, packed_size(op), 1);
  if (!packed) return fail_memory(error, "transformed weights");
  for (size_t o = 0; o < op->shape.c; o += panel) {
    const size_t count = op->shape.c - o < panel ? op->shape.c - o : panel;
    strided_variant(0)->weights(op->weights + o * 9 * c, count, c, packed + o * c, matrix_floats(op));
  }
  op->packed = (weights_slot){.data = packed, .size = packed_size(op)};
  memcpy(packed + STRIDED_MATRICES * matrix_floats(op), op->bias, op->shape.c * sizeof *packed);
  op_release_weights(op, m);
  return RESNET_OK;
}

/* ---- running ---- */

/* Transformed inputs, or products, of a block. */
typedef struct layout {
  size_t row, tiles; /* floats of a row; tiles that there is room for */
} layout;

static size_t matrix_stride(layout l, size_t group) { return l.tiles * strided_groups[group].rows * l.row + SKEW; }

static size_t layout_floats(layout l) {
  size_t floats = 0;
  for (size_t g = 0; g < STRIDED_GROUPS; g++) floats += strided_groups[g].matrices * matrix_stride(l, g);
  return floats;
}

static strided_place place_of(layout l, float *floats, size_t tile) {
  strided_place place = {.row = l.row};
  for (size_t g = 0; g < STRIDED_GROUPS; g++) {
    place.first[g] = floats + tile * strided_groups[g].rows * l.row;
    place.matrix[g] = matrix_stride(l, g);
    floats += strided_groups[g].matrices * place.matrix[g];
  }
  return place;
}

static size_t block_tiles(const plan_op *op) {
  const size_t products = STRIDED_MATRICES + STRIDED_PIXELS; /* no fewer than 81 */
  const size_t tile = products * sizeof(float) * (round_up(op->in.c, LINE) + round_up(op->shape.c, LINE));
  const size_t tiles = BLOCK_BYTES / tile / MIN_BLOCK * MIN_BLOCK;
  return tiles < MIN_BLOCK ? MIN_BLOCK : tiles > MAX_BLOCK ? MAX_BLOCK : tiles;
}

typedef struct work {
  const kernel_call *call;
  size_t tiles_h, tiles_w, tiles; /* of a picture: down and across; of the whole batch */
  layout spread, products;
  size_t first, count; /* the tiles of the block that all threads share */
  const float *zeros;
  float *blocks; /* one for each thread */
} work;

static void set_block(work *w, size_t tiles) {
  w->spread = (layout){round_up(w->call->op->in.c, LINE), tiles};
  w->products = (layout){round_up(w->call->op->shape.c, LINE), tiles};
}

static size_t block_floats(const work *w) { return layout_floats(w->spread) + layout_floats(w->products); }

static float *products_of(const work *w, float *block) { return block + layout_floats(w->spread); }

typedef struct tile_place {
  size_t picture, row, column; /* of the tile's first output */
} tile_place;

static tile_place find_tile(const work *w, size_t tile) {
  const size_t per_picture = w->tiles_h * w->tiles_w, inside = tile % per_picture;
  return (tile_place){tile / per_picture, inside / w->tiles_w * STRIDED_OUT, inside % w->tiles_w * STRIDED_OUT};
}

static void spread_tile(const work *w, size_t tile, float *block, size_t slot) {
  const plan_op *op = w->call->op;
  const tile_place at = find_tile(w, tile);
  const float *pixels[STRIDED_PIXELS], *picture = w->call->input[0] + at.picture * shape_floats(op->in);
  const size_t c = op->in.c, left = 2 * at.column - op->window.pad_left; /* wraps where outside, as h does */
  for (size_t row = 0; row < STRIDED_IN; row++) {
    const size_t h = 2 * at.row + row - op->window.pad_top;
    const bool inside = h < op->in.h;
    const float *line = inside ? picture + h * op->in.w * c : w->zeros;
    for (size_t column = 0; column < STRIDED_IN; column++)
      pixels[row * STRIDED_IN + column] = inside && left + column < op->in.w ? line + (left + column) * c : w->zeros;
  }
  const strided_place to = place_of(w->spread, block, slot);
  strided_variant(0)->input(pixels, c, &to);
}

/* All matrices' products for `channels` outputs from `channel` on, `count` tiles. */
static void multiply_channels(const work *w, float *block, size_t count, size_t channel, size_t channels) {
  const plan_op *op = w->call->op;
  const float *packed = (const float *)op->packed.data + channel * op->in.c;
  const strided_place spread = place_of(w->spread, block, 0),
                      products = place_of(w->products, products_of(w, block), 0);
  for (size_t g = 0; g < STRIDED_GROUPS; g++) {
    const matrix_product product = {
        .a = spread.first[g],
        .a_stride = spread.row,
        .packed = packed,
        .c = op->in.c,
        .o = channels,
        .out = products.first[g] + channel,
        .out_stride = products.row,
        .count = strided_groups[g].matrices,
        .a_next = spread.matrix[g],
        .packed_next = matrix_floats(op),
        .out_next = products.matrix[g],
        .fetch = true,
    };
    matrix_variant(0)->multiply(&product, count * strided_groups[g].rows);
    packed += strided_groups[g].matrices * matrix_floats(op);
  }
}

static void gather_tile(const work *w, size_t tile, float *block, size_t slot) {
  const plan_op *op = w->call->op;
  const tile_place at = find_tile(w, tile);
  const size_t rows = op->shape.h - at.row, columns = op->shape.w - at.column, o = op->shape.c;
  const strided_place products = place_of(w->products, products_of(w, block), slot);
  float *out = w->call->output + ((at.picture * op->shape.h + at.row) * op->shape.w + at.column) * o;
  strided_variant(0)->output(&products, o, bias_of(op), out, op->shape.w * o, rows < STRIDED_OUT ? rows : STRIDED_OUT,
                             columns < STRIDED_OUT ? columns : STRIDED_OUT, op->clamp_min, op->clamp_max);
}

/* One block, all steps, on one thread. */
static void run_block(void *context, size_t thread, size_t index) {
  const work *w = context;
  const size_t first = index * w->spread.tiles;
  const size_t count = w->tiles - first < w->spread.tiles ? w->tiles - first : w->spread.tiles;
  float *block = w->blocks + thread * block_floats(w);
  for (size_t i = 0; i < count; i++) spread_tile(w, first + i, block, i);
  multiply_channels(w, block, count, 0, w->call->op->shape.c);
  for (size_t i = 0; i < count; i++) gather_tile(w, first + i, block, i);
}

/* The steps of one block that all threads share. */
static void share_spread(void *context, size_t i) {
  const work *w = context;
  spread_tile(w, w->first + i, w->blocks, i);
}

static void share_multiply(void *context, size_t channel, size_t channels) {
  const work *w = context;
  multiply_channels(w, w->blocks, w->count, channel, channels);
}

static void share_gather(void *context, size_t i) {
  const work *w = context;
  gather_tile(w, w->first + i, w->blocks, i);
}

static void run_shared(work *w) {
  for (; w->first < w->tiles; w->first += w->spread.tiles) {
    w->count = w->tiles - w->first < w->spread.tiles ? w->tiles - w->first : w->spread.tiles;
    pthreadpool_parallelize_1d(w->call->pool, share_spread, w, w->count, 0);
    pthreadpool_parallelize_1d_tile_1d(w->call->pool, share_multiply, w, w->call->op->shape.c, matrix_variant(0)->panel,
                                       0);
    pthreadpool_parallelize_1d(w->call->pool, share_gather, w, w->count, 0);
  }
}

static work make_work(const kernel_call *call) {
  const plan_op *op = call->op;
  work w = {.call = call,
            .tiles_h = (op->shape.h + STRIDED_OUT - 1) / STRIDED_OUT,
            .tiles_w = (op->shape.w + STRIDED_OUT - 1) / STRIDED_OUT,
            .zeros = call->workspace};
  w.tiles = call->batch * w.tiles_h * w.tiles_w;
  set_block(&w, block_tiles(op));
  if (call->workspace) w.blocks = (float *)call->workspace + round_up(op->in.c, LINE);
  return w;
}

static resnet_status shape(kernel_call *call, resnet_error *error) {
  const work w = make_work(call);
  return tile_workspace(call, round_up(call->op->in.c, LINE), block_floats(&w), error);
}

/* Blocks for all threads, or, where there are too few, steps for all threads. */
static void run(const kernel_call *call) {
  work w = make_work(call);
  const size_t threads = pthreadpool_get_threads_count(call->pool);
  memset(call->workspace, 0, round_up(call->op->in.c, LINE) * sizeof(float));
  const size_t blocks = (w.tiles + w.spread.tiles - 1) / w.spread.tiles;
  if (threads == 1 || blocks >= 2 * threads)
    pthreadpool_parallelize_1d_with_thread(call->pool, run_block, &w, blocks, 0);
  else
    run_shared(&w);
}

static void describe(const plan_op *op, char *text, size_t size) {
  describe_window(op, text, size);
  describe_append(text, size, " winograd %dx%d", STRIDED_OUT, STRIDED_OUT);
  describe_clamp(op, text, size);
}

const kernel kernel_winograd_strided = {.name = "winograd_strided",
                                        .check = check,
                                        .packed_size = packed_size,
                                        .pack = pack,
                                        .shape = shape,
                                        .run = run,
                                        .describe = describe};
