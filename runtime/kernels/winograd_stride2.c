/* 3x3 convolutions of stride 2 by Winograd's algorithm + bias + clamp
 * (vector/strided.h). */
#include <string.h>

#include "runtime/kernels/simd/gemm.h"
#include "runtime/kernels/simd/winograd_stride2.h"
#include "runtime/kernels/winograd.h"
#include "runtime/kernels/winograd_tiles.h"

enum {
  BLOCK_BYTES = 512 * 1024, /* of transformed inputs and products */
  /* tiles: below, reading the weights anew for each block costs more than caches save */
  MIN_BLOCK = 16,
  MAX_BLOCK = 32
};

const strided_group strided_groups[STRIDED_GROUPS] = {
    {STRIDED_POINTS * STRIDED_POINTS, 1},
    {STRIDED_POINTS, STRIDED_OUT},
    {STRIDED_POINTS, STRIDED_OUT},
    {1, STRIDED_OUT *STRIDED_OUT},
};

bool winograd_strided_applies(const plan_op *op) {
  const graph_window *w = &op->window;
  return op->kernel == KERNEL_CONV && op->groups == 1 && w->kernel_h == 3 && w->kernel_w == 3 &&
         w->stride_h == 2 && w->stride_w == 2 && w->dilation_h == 1 && w->dilation_w == 1;
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
  float *packed = mem_allocate(m, packed_size(op), 1);
  if (!packed) return err_no_memory(error, "transformed weights");
  for (size_t o = 0; o < op->shape.c; o += panel) {
    const size_t count = op->shape.c - o < panel ? op->shape.c - o : panel;
    strided_variant(0)->weights(op->weights + o * 9 * c, count, c, packed + o * c,
                                matrix_floats(op));
  }
  op->packed = (plan_packed_weights){.data = packed, .size = packed_size(op)};
  memcpy(packed + STRIDED_MATRICES * matrix_floats(op), op->bias, op->shape.c * sizeof *packed);
  plan_op_release_weights(op, m);
  return RESNET_OK;
}

/* ---- running ---- */

/* Transformed inputs, or products, of a block. */
typedef struct layout {
  size_t row, tiles; /* floats of a row; tiles that there is room for */
} layout;

static size_t matrix_stride(layout l, size_t group) {
  return l.tiles * strided_groups[group].rows * l.row + TILE_SKEW;
}

static size_t layout_floats(layout l) {
  size_t floats = 0;
  for (size_t g = 0; g < STRIDED_GROUPS; g++)
    floats += strided_groups[g].matrices * matrix_stride(l, g);
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
  const size_t tile =
      products * sizeof(float) * (round_up(op->in.c, TILE_LINE) + round_up(op->shape.c, TILE_LINE));
  const size_t tiles = BLOCK_BYTES / tile / MIN_BLOCK * MIN_BLOCK;
  return tiles < MIN_BLOCK ? MIN_BLOCK : tiles > MAX_BLOCK ? MAX_BLOCK : tiles;
}

typedef struct work {
  tile_work tiles; /* first: its functions are given this */
  layout spread, products;
} work;

static layout spread_layout(const plan_op *op) {
  return (layout){round_up(op->in.c, TILE_LINE), block_tiles(op)};
}

static layout product_layout(const plan_op *op) {
  return (layout){round_up(op->shape.c, TILE_LINE), block_tiles(op)};
}

static size_t block_floats(const plan_op *op) {
  return layout_floats(spread_layout(op)) + layout_floats(product_layout(op));
}

static float *products_of(const work *w, float *block) { return block + layout_floats(w->spread); }

static void spread_tile(const tile_work *tiles, size_t tile, float *block, size_t slot) {
  const float *pixels[STRIDED_PIXELS];
  const strided_place to = place_of(((const work *)tiles)->spread, block, slot);
  tile_pixels(tiles, tile_find(tiles, tile), STRIDED_IN, STRIDED_IN, pixels);
  strided_variant(0)->input(pixels, tiles->call->op->in.c, &to);
}

/* All matrices' products, for the outputs of `panels` panels from `panel` on. */
static void multiply_panels(const tile_work *tiles, float *block, size_t panel, size_t panels,
                            size_t count) {
  const work *w = (const work *)tiles;
  const plan_op *op = tiles->call->op;
  const size_t channel = panel * matrix_variant(0)->panel,
               wanted = panels * matrix_variant(0)->panel;
  const size_t channels = op->shape.c - channel < wanted ? op->shape.c - channel : wanted;
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

static void gather_tile(const tile_work *tiles, size_t tile, float *block, size_t slot) {
  const work *w = (const work *)tiles;
  const plan_op *op = tiles->call->op;
  const tile_place at = tile_find(tiles, tile);
  const strided_place products = place_of(w->products, products_of(w, block), slot);
  strided_variant(0)->output(&products, op->shape.c, bias_of(op),
                             tiles->call->output + tile_offset(tiles, at),
                             (size_t)op->shape.w * op->shape.c, tile_rows(tiles, at),
                             tile_columns(tiles, at), op->clamp_min, op->clamp_max);
}

static resnet_status shape(kernel_call *call, resnet_error *error) {
  return tile_workspace(call, block_floats(call->op), error);
}

/* Blocks for all threads, or, where there are too few, steps for all threads. */
static void run(const kernel_call *call) {
  const plan_op *op = call->op;
  work w = {.spread = spread_layout(op),
            .products = product_layout(op),
            .tiles = {.block = block_tiles(op),
                      .block_floats = block_floats(op),
                      .parts = columns(op) / matrix_variant(0)->panel,
                      .spread = spread_tile,
                      .multiply = multiply_panels,
                      .gather = gather_tile}};
  tile_init(&w.tiles, call, STRIDED_OUT, STRIDED_OUT);
  const size_t threads = pthreadpool_get_threads_count(call->pool);
  const size_t blocks = (w.tiles.tiles + w.tiles.block - 1) / w.tiles.block;
  if (threads == 1 || blocks >= 2 * threads)
    tile_run_blocks(&w.tiles);
  else
    tile_run_shared(&w.tiles);
}

static void describe(const plan_op *op, char *text, size_t size) {
  describe_window(op, text, size);
  describe_append(text, size, " winograd %dx%d", STRIDED_OUT, STRIDED_OUT);
  describe_clamp(op, text, size);
}

const kernel kernel_winograd_strided = {.name = "winograd_strided",
                                        .is_convolution = true,
                                        .check = check,
                                        .packed_size = packed_size,
                                        .pack = pack,
                                        .shape = shape,
                                        .run = run,
                                        .describe = describe};
