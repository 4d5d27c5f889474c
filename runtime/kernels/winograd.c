/* 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3) + bias + the identity shortcut + clamp (vector/winograd.h).
 *
 * Tiles of all pictures of the batch are numbered through and worked on in blocks: a block's transformed inputs and
 * products stay in the core's own cache. A tile's result does not depend on which tiles share its block, so neither
 * threads nor batches change a bit.
 */
#include <string.h>

#include "runtime/kernels/kernel.h"
#include "runtime/kernels/vector/winograd.h"

enum {
  BLOCK_BYTES = 192 * 1024, /* of transformed inputs and products: what a core's L2 holds beside a panel of weights */
  MIN_BLOCK = 16,           /* tiles: below, reading the weights anew for each block costs more than L2 saves */
  MAX_BLOCK = 64,
  BLOCKS_PER_THREAD = 2, /* with fewer, threads share the steps of one block instead of having a block each... */
  SHARED_WORK = 8000000  /* ...if it has this many multiplications for each: meeting three times costs some 20 us */
};

/* (o,3,3,c) as G g G^T in double precision. */
static void transform_weights(const double g[3][3], double out[WINOGRAD_IN][WINOGRAD_IN]) {
  static const double G[WINOGRAD_IN][3] = {{1.0 / 4, 0, 0},
                                           {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                           {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                           {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                           {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                           {0, 0, 1}};
  double t[WINOGRAD_IN][3];
  for (size_t i = 0; i < WINOGRAD_IN; i++)
    for (size_t j = 0; j < 3; j++) t[i][j] = G[i][0] * g[0][j] + G[i][1] * g[1][j] + G[i][2] * g[2][j];
  for (size_t i = 0; i < WINOGRAD_IN; i++)
    for (size_t j = 0; j < WINOGRAD_IN; j++) out[i][j] = t[i][0] * G[j][0] + t[i][1] * G[j][1] + t[i][2] * G[j][2];
}

/* Weights of one output channel into its column of each point's panels: packed[point][o / panel][c][o % panel]. */
static void pack_channel(const plan_op *op, size_t o, size_t panel, float *packed) {
  const size_t c = op->in.c, panels = (op->shape.c + panel - 1) / panel;
  const float *weights = op->weights + o * 9 * c;
  for (size_t k = 0; k < c; k++) {
    double g[3][3], u[WINOGRAD_IN][WINOGRAD_IN];
    for (size_t i = 0; i < 9; i++) g[i / 3][i % 3] = (double)weights[i * c + k];
    transform_weights((const double(*)[3])g, u);
    for (size_t point = 0; point < WINOGRAD_POINTS; point++)
      packed[((point * panels + o / panel) * c + k) * panel + o % panel] =
          (float)u[point / WINOGRAD_IN][point % WINOGRAD_IN];
  }
}

/* Floats of the transformed weights; the bias stands behind them. */
static size_t transformed_floats(const plan_op *op) {
  const size_t panel = winograd_variant(0)->panel, panels = (op->shape.c + panel - 1) / panel;
  return panels * panel * WINOGRAD_POINTS * op->in.c;
}

static size_t packed_size(const plan_op *op) { return (transformed_floats(op) + op->shape.c) * sizeof(float); }

static resnet_status pack(plan_op *op, memory *m, resnet_error *error) {
  float *packed = memory_allocate(m, packed_size(op), 1);
  if (!packed) return fail_memory(error, "transformed weights");
  for (size_t o = 0; o < op->shape.c; o++) pack_channel(op, o, winograd_variant(0)->panel, packed);
  memcpy(packed + transformed_floats(op), op->bias, op->shape.c * sizeof *packed);
  op->packed = (weights_slot){.data = packed, .size = packed_size(op)};
  op_release_weights(op, m);
  return RESNET_OK;
}

static size_t block_tiles(const plan_op *op) {
  size_t tiles = BLOCK_BYTES / (WINOGRAD_POINTS * sizeof(float) * (op->in.c + op->shape.c));
  tiles = tiles / WINOGRAD_ROWS * WINOGRAD_ROWS;
  return tiles < MIN_BLOCK ? MIN_BLOCK : tiles > MAX_BLOCK ? MAX_BLOCK : tiles;
}

/* Floats of one block's transformed inputs and products. */
static size_t block_floats(const plan_op *op) {
  return block_tiles(op) * WINOGRAD_POINTS * ((size_t)op->in.c + op->shape.c);
}

/* A row of zeros, what lies outside of a picture, stands before the blocks; kept a multiple of a cache line. */
static size_t zero_floats(const plan_op *op) { return ((size_t)op->in.c + 15) / 16 * 16; }

static resnet_status shape(kernel_call *call, resnet_error *error) {
  (void)error;
  const size_t threads = pthreadpool_get_threads_count(call->pool);
  call->workspace_size = (zero_floats(call->op) + threads * block_floats(call->op)) * sizeof(float);
  return RESNET_OK;
}

/* What the tasks of one run share. */
typedef struct work {
  const kernel_call *call;
  const winograd_functions *functions;
  size_t tiles_h, tiles_w, tiles; /* of a picture: down and across; of the whole batch */
  size_t block;                   /* tiles of a block */
  size_t first, count;            /* the tiles of the block that all threads share */
  const float *zeros;
  float *blocks; /* one for each thread */
} work;

typedef struct tile_place {
  size_t picture, row, column; /* of the tile's first output */
} tile_place;

static tile_place place_of(const work *w, size_t tile) {
  const size_t per_picture = w->tiles_h * w->tiles_w, inside = tile % per_picture;
  return (tile_place){tile / per_picture, inside / w->tiles_w * WINOGRAD_OUT, inside % w->tiles_w * WINOGRAD_OUT};
}

/* Where the 6 x 6 inputs of a tile lie. */
static void find_pixels(const work *w, tile_place at, const float **pixels) {
  const plan_op *op = w->call->op;
  const float *picture = w->call->input[0] + at.picture * shape_floats(op->in);
  const size_t c = op->in.c, left = at.column - op->window.pad_left; /* wraps where outside, as h does */
  for (size_t row = 0; row < WINOGRAD_IN; row++, pixels += WINOGRAD_IN) {
    const size_t h = at.row + row - op->window.pad_top;
    const bool inside = h < op->in.h;
    const float *line = inside ? picture + h * op->in.w * c : w->zeros;
    for (size_t column = 0; column < WINOGRAD_IN; column++)
      pixels[column] = inside && left + column < op->in.w ? line + (left + column) * c : w->zeros;
  }
}

static void spread_tile(const work *w, size_t tile, float *spread, size_t slot) {
  const float *pixels[WINOGRAD_POINTS];
  const size_t c = w->call->op->in.c;
  find_pixels(w, place_of(w, tile), pixels);
  w->functions->input(pixels, c, spread + slot * c, w->block * c);
}

static void multiply_point(const work *w, size_t point, const float *spread, float *products, size_t count) {
  const size_t c = w->call->op->in.c, o = w->call->op->shape.c, panel = w->functions->panel;
  const float *weights = w->call->op->packed.data;
  w->functions->multiply(spread + point * w->block * c, weights + point * ((o + panel - 1) / panel) * panel * c,
                         products + point * w->block * o, count, c, o);
}

static void gather_tile(const work *w, size_t tile, const float *products, size_t slot) {
  const plan_op *op = w->call->op;
  const size_t o = op->shape.c;
  const tile_place at = place_of(w, tile);
  const size_t rows = op->shape.h - at.row, columns = op->shape.w - at.column;
  const size_t offset = ((at.picture * op->shape.h + at.row) * op->shape.w + at.column) * o;
  const float *shortcut = op->input_count == 2 ? w->call->input[1] + offset : NULL;
  w->functions->output(products + slot * o, w->block * o, o, (const float *)op->packed.data + transformed_floats(op), shortcut, w->call->output + offset,
                       op->shape.w * o, rows < WINOGRAD_OUT ? rows : WINOGRAD_OUT,
                       columns < WINOGRAD_OUT ? columns : WINOGRAD_OUT, op->clamp_min, op->clamp_max);
}

static float *products_of(const work *w, float *spread) {
  return spread + w->block * WINOGRAD_POINTS * w->call->op->in.c;
}

/* One block, all steps, on one thread. */
static void run_block(void *context, size_t thread, size_t index) {
  const work *w = context;
  const size_t first = index * w->block;
  const size_t count = w->tiles - first < w->block ? w->tiles - first : w->block;
  float *spread = w->blocks + thread * block_floats(w->call->op), *products = products_of(w, spread);
  for (size_t i = 0; i < count; i++) spread_tile(w, first + i, spread, i);
  for (size_t point = 0; point < WINOGRAD_POINTS; point++) multiply_point(w, point, spread, products, count);
  for (size_t i = 0; i < count; i++) gather_tile(w, first + i, products, i);
}

/* The steps of one block that all threads share. */
static void share_spread(void *context, size_t i) {
  const work *w = context;
  spread_tile(w, w->first + i, w->blocks, i);
}

static void share_multiply(void *context, size_t point) {
  const work *w = context;
  multiply_point(w, point, w->blocks, products_of(w, w->blocks), w->count);
}

static void share_gather(void *context, size_t i) {
  const work *w = context;
  gather_tile(w, w->first + i, products_of(w, w->blocks), i);
}

/* Blocks of their own for all threads, of which each thread gets at least one where there are tiles enough. */
static void run_blocks(work *w, size_t threads) {
  const size_t share = (w->tiles + threads * WINOGRAD_ROWS - 1) / (threads * WINOGRAD_ROWS) * WINOGRAD_ROWS;
  if (share < w->block) w->block = share;
  pthreadpool_parallelize_1d_with_thread(w->call->pool, run_block, w, (w->tiles + w->block - 1) / w->block, 0);
}

static void run_shared(work *w) {
  for (; w->first < w->tiles; w->first += w->block) {
    w->count = w->tiles - w->first < w->block ? w->tiles - w->first : w->block;
    pthreadpool_parallelize_1d(w->call->pool, share_spread, w, w->count, 0);
    pthreadpool_parallelize_1d(w->call->pool, share_multiply, w, WINOGRAD_POINTS, 0);
    pthreadpool_parallelize_1d(w->call->pool, share_gather, w, w->count, 0);
  }
}

static void run(const kernel_call *call) {
  const plan_op *op = call->op;
  float *zeros = call->workspace;
  memset(zeros, 0, zero_floats(op) * sizeof *zeros);
  work w = {.call = call,
            .functions = winograd_variant(0),
            .tiles_h = (op->shape.h + WINOGRAD_OUT - 1) / WINOGRAD_OUT,
            .tiles_w = (op->shape.w + WINOGRAD_OUT - 1) / WINOGRAD_OUT,
            .block = block_tiles(op),
            .zeros = zeros,
            .blocks = zeros + zero_floats(op)};
  w.tiles = call->batch * w.tiles_h * w.tiles_w;
  const size_t blocks = (w.tiles + w.block - 1) / w.block, threads = pthreadpool_get_threads_count(call->pool);
  const size_t products = w.tiles * WINOGRAD_POINTS * op->in.c * op->shape.c;
  if (threads == 1 || blocks >= BLOCKS_PER_THREAD * threads || products / threads < SHARED_WORK)
    run_blocks(&w, threads);
  else
    run_shared(&w);
}

static void describe(const plan_op *op, char *text, size_t size) {
  describe_window(op, text, size);
  describe_append(text, size, " winograd 4x4");
  if (op->input_count == 2) describe_append(text, size, " + %s", describe_shortcut(op));
  describe_clamp(op, text, size);
}

const kernel kernel_winograd = {
    .name = "winograd", .in_place = 2, .packed_size = packed_size, .pack = pack, .shape = shape, .run = run, .describe = describe};
