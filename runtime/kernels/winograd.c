/* Convolutions by Winograd's algorithm + bias + the shortcut + clamp (vector/winograd.h): 3x3 of stride 1, and the
 * stem, 7x7 of stride 2 over a picture's few channels.
 *
 * Tiles of all pictures of the batch are numbered through and worked on in blocks: a block's transformed inputs and
 * products stay in the core's own cache. A tile's result does not depend on which tiles share its block, so neither
 * threads nor batches change a bit.
 *
 * The stem: out(y) = sum over t of w(t) x(2 y - pad + t). With its even and odd rows and columns as channels of their
 * own (four times as many), the picture is half as high and wide and the same sum has stride 1 and 4x4 taps, of which
 * those before t = 0 and behind t = 6 are zero.
 */
#include "runtime/kernels/winograd.h"

#include <string.h>

#include "runtime/kernels/kernel.h"
#include "runtime/kernels/vector/matrix.h"
#include "runtime/kernels/vector/winograd.h"

enum {
  BLOCK_BYTES = 320 * 1024,  /* of transformed inputs and products: what a core's L2 holds beside a panel of weights */
  CACHED_BYTES = 256 * 1024, /* of weights that stay in L2 from one block to the next */
  TILE_ROWS = 8,             /* tiles that the multiplication handles at once */
  MIN_BLOCK = 16,            /* tiles: below, reading the weights anew for each block costs more than L2 saves */
  MAX_BLOCK = 64,
  BLOCKS_PER_THREAD = 2, /* with fewer, threads share the steps of one block instead of having a block each... */
  SHARED_WORK = 8000000, /* ...if it has this many multiplications for each: meeting three times costs some 20 us */
  LINE = 16,             /* floats of a cache line, and no fewer than of any vector */
  SKEW = LINE,           /* floats between the points' matrices, which would all fall into the same sets of a cache */
  PHASES = 4,            /* even and odd rows, even and odd columns */
  MAX_STEM_CHANNELS = 4,
  STEM_PIXEL = PHASES * MAX_STEM_CHANNELS + LINE /* floats: what a pair of pixels spills over included */
};

bool winograd_applies(const plan_op *op) {
  const graph_window *w = &op->window;
  return op->kernel == KERNEL_CONV && op->groups == 1 && w->kernel_h == 3 && w->kernel_w == 3 && w->stride_h == 1 &&
         w->stride_w == 1 && w->dilation_h == 1 && w->dilation_w == 1;
}

bool winograd_stem_applies(const plan_op *op) {
  const graph_window *w = &op->window;
  return op->kernel == KERNEL_CONV && op->groups == 1 && w->kernel_h == 7 && w->kernel_w == 7 && w->stride_h == 2 &&
         w->stride_w == 2 && w->dilation_h == 1 && w->dilation_w == 1 && op->in.c <= MAX_STEM_CHANNELS;
}

static const winograd_form_functions *form_of(const plan_op *op) { return &winograd_variant(0)->form[op->form]; }

/* Channels that are summed over. */
static size_t input_channels(const plan_op *op) { return op->kernel == KERNEL_STEM ? PHASES * op->in.c : op->in.c; }

static size_t point_count(const plan_op *op) { return form_of(op)->in.h * form_of(op)->in.w; }

/* ---- weights: points x panels x (c,panel), then the bias ---- */

/* Output channels in whole panels. */
static size_t columns(const plan_op *op) { return round_up(op->shape.c, winograd_variant(0)->panel); }

/* Floats of one point's transformed weights. */
static size_t point_floats(const plan_op *op) { return columns(op) * input_channels(op); }

static const float *bias_of(const plan_op *op) {
  return (const float *)op->packed.data + point_count(op) * point_floats(op);
}

static size_t packed_size(const plan_op *op) {
  return (point_count(op) * point_floats(op) + op->shape.c) * sizeof(float);
}

static resnet_status check(const plan_op *op, const memory *m, resnet_error *error) {
  (void)m; /* memory_allocate asks the budget; what a plan file maps is not in it */
  return check_packed_weights(op, columns(op), point_count(op) * input_channels(op), error);
}

/* Filters (o,7,7,c) as (o,4,4,phases,c). A tap's phase is that of its distance from the first even row or column. */
static float *take_phases_apart(const plan_op *op, memory *m) {
  const size_t c = op->in.c, taps = form_of(op)->taps, channels = input_channels(op);
  float *apart = memory_allocate(m, op->shape.c * taps * taps, channels * sizeof *apart);
  if (!apart) return NULL;
  for (size_t o = 0; o < op->shape.c; o++)
    for (size_t y = 0; y < op->window.kernel_h; y++)
      for (size_t x = 0; x < op->window.kernel_w; x++) {
        const size_t row = y + op->window.pad_top % 2, column = x + op->window.pad_left % 2;
        const size_t tap = (o * taps + row / 2) * taps + column / 2, phase = row % 2 * 2 + column % 2;
        memcpy(apart + tap * channels + phase * c,
               op->weights + ((o * op->window.kernel_h + y) * op->window.kernel_w + x) * c, c * sizeof *apart);
      }
  return apart;
}

static void transform_weights(const plan_op *op, const float *filters, float *packed) {
  const winograd_form_functions *form = form_of(op);
  const size_t c = input_channels(op), panel = winograd_variant(0)->panel, filter = form->taps * form->taps * c;
  for (size_t o = 0; o < op->shape.c; o += panel) {
    const size_t count = op->shape.c - o < panel ? op->shape.c - o : panel;
    form->weights(filters + o * filter, count, c, packed + o * c, point_floats(op));
  }
}

static resnet_status pack(plan_op *op, memory *m, resnet_error *error) {
  float *packed = memory_allocate(m, packed_size(op), 1);
  float *apart = op->kernel == KERNEL_STEM ? take_phases_apart(op, m) : NULL;
  if (!packed || (op->kernel == KERNEL_STEM && !apart)) {
    memory_release(m, packed);
    memory_release(m, apart);
    return fail_memory(error, "transformed weights");
  }
  transform_weights(op, apart ? apart : op->weights, packed);
  memory_release(m, apart);
  op->packed = (weights_slot){.data = packed, .size = packed_size(op)};
  memcpy((float *)(uintptr_t)bias_of(op), op->bias, op->shape.c * sizeof *packed);
  op_release_weights(op, m);
  return RESNET_OK;
}

/* ---- running ---- */

static size_t whole_lines(size_t floats) { return round_up(floats, LINE); }

/* Floats of one tile's transformed inputs and products, at one point. */
static size_t tile_floats(const plan_op *op) { return whole_lines(input_channels(op)) + whole_lines(op->shape.c); }

static size_t block_tiles(const plan_op *op) {
  const size_t tiles = BLOCK_BYTES / (point_count(op) * sizeof(float) * tile_floats(op)) / TILE_ROWS * TILE_ROWS;
  return tiles < MIN_BLOCK ? MIN_BLOCK : tiles > MAX_BLOCK ? MAX_BLOCK : tiles;
}

static size_t block_floats(const plan_op *op) {
  return point_count(op) * (block_tiles(op) * tile_floats(op) + 2 * SKEW);
}

/* A row of zeros, what lies outside of a picture, stands before the blocks. */
static size_t zero_floats(const plan_op *op) { return whole_lines(op->in.c); }

static resnet_status shape(kernel_call *call, resnet_error *error) {
  return tile_workspace(call, zero_floats(call->op), block_floats(call->op), error);
}

/* What the tasks of one run share. */
typedef struct work {
  const kernel_call *call;
  const winograd_form_functions *form;
  size_t c, points;                  /* channels that are summed over; matrices */
  size_t tiles_h, tiles_w, tiles;    /* of a picture: down and across; of the whole batch */
  size_t block;                      /* tiles of a block */
  size_t spread_row, spread_point;   /* floats from one tile's transformed inputs to the next's, and between points */
  size_t product_row, product_point; /* the same of the products */
  size_t first, count;               /* the tiles of the block that all threads share */
  const float *zeros;
  float *blocks; /* one for each thread */
} work;

typedef struct tile_place {
  size_t picture, row, column; /* of the tile's first output */
} tile_place;

static tile_place place_of(const work *w, size_t tile) {
  const size_t per_picture = w->tiles_h * w->tiles_w, inside = tile % per_picture;
  return (tile_place){tile / per_picture, inside / w->tiles_w * w->form->out.h, inside % w->tiles_w * w->form->out.w};
}

/* Where the n x n inputs of a tile lie. */
static void find_pixels(const work *w, tile_place at, const float **pixels) {
  const plan_op *op = w->call->op;
  const float *picture = w->call->input[0] + at.picture * shape_floats(op->in);
  const size_t c = op->in.c;
  const winograd_size n = w->form->in;
  const size_t left = at.column - op->window.pad_left; /* wraps where outside, as h does */
  for (size_t row = 0; row < n.h; row++, pixels += n.w) {
    const size_t h = at.row + row - op->window.pad_top;
    const bool inside = h < op->in.h;
    const float *line = inside ? picture + h * op->in.w * c : w->zeros;
    for (size_t column = 0; column < n.w; column++)
      pixels[column] = inside && left + column < op->in.w ? line + (left + column) * c : w->zeros;
  }
}

/* Two pixels of a row into one phase pair; `first` wraps where negative. Copies some floats too many where it can, as
 * copies of a constant size are one instruction. */
static void copy_pair(const float *line, size_t w, size_t c, size_t first, float *out) {
  if (first < w && first + 1 < w) {
    memcpy(out, line + first * c, 2 * MAX_STEM_CHANNELS * sizeof *out);
    return;
  }
  for (size_t i = 0; i < 2; i++)
    for (size_t k = 0; k < c; k++) out[i * c + k] = first + i < w ? line[(first + i) * c + k] : 0.0f;
}

/* The stem's inputs with their phases as channels: (n,n,2,2,c) into `apart`, whose pixels are STEM_PIXEL floats. */
static void copy_phases(const work *w, tile_place at, float *apart, const float **pixels) {
  const plan_op *op = w->call->op;
  const float *picture = w->call->input[0] + at.picture * shape_floats(op->in);
  const size_t c = op->in.c, n = w->form->in.h; /* the stem's tiles are square */
  const size_t top = 2 * at.row - op->window.pad_top - op->window.pad_top % 2;
  const size_t left = 2 * at.column - op->window.pad_left - op->window.pad_left % 2;
  for (size_t row = 0; row < 2 * n; row++) {
    const bool inside = top + row < op->in.h;
    for (size_t column = 0; column < n; column++)
      copy_pair(inside ? picture + (top + row) * op->in.w * c : NULL, inside ? op->in.w : 0, c, left + 2 * column,
                apart + (row / 2 * n + column) * STEM_PIXEL + row % 2 * 2 * c);
  }
  for (size_t i = 0; i < n * n; i++) pixels[i] = apart + i * STEM_PIXEL;
}

static void spread_tile(const work *w, size_t tile, float *spread, size_t slot) {
  const float *pixels[WINOGRAD_MAX_POINTS];
  float apart[WINOGRAD_MAX_POINTS * STEM_PIXEL];
  if (w->call->op->kernel == KERNEL_STEM)
    copy_phases(w, place_of(w, tile), apart, pixels);
  else
    find_pixels(w, place_of(w, tile), pixels);
  w->form->input(pixels, w->c, spread + slot * w->spread_row, w->spread_point);
}

/* The products of `points` points from `point` on, for `count` tiles. */
static void multiply_points(const work *w, size_t point, size_t points, const float *spread, float *products,
                            size_t count) {
  const plan_op *op = w->call->op;
  const matrix_product product = {
      .a = spread + point * w->spread_point,
      .a_stride = w->spread_row,
      .packed = (const float *)op->packed.data + point * point_floats(op),
      .c = w->c,
      .o = op->shape.c,
      .out = products + point * w->product_point,
      .out_stride = w->product_row,
      .count = points,
      .a_next = w->spread_point,
      .packed_next = point_floats(op),
      .out_next = w->product_point,
      .fetch = op->packed.size > CACHED_BYTES,
  };
  matrix_variant(0)->multiply(&product, count);
}

static void gather_tile(const work *w, size_t tile, const float *products, size_t slot) {
  const plan_op *op = w->call->op;
  const size_t o = op->shape.c;
  const winograd_size out = w->form->out;
  const tile_place at = place_of(w, tile);
  const size_t rows = op->shape.h - at.row, columns = op->shape.w - at.column;
  const size_t offset = ((at.picture * op->shape.h + at.row) * op->shape.w + at.column) * o;
  const float *shortcut = op->input_count == 2 ? w->call->input[1] + offset : NULL;
  w->form->output(products + slot * w->product_row, w->product_point, o, bias_of(op), shortcut,
                  w->call->output + offset, op->shape.w * o, rows < out.h ? rows : out.h,
                  columns < out.w ? columns : out.w, op->clamp_min, op->clamp_max);
}

static float *products_of(const work *w, float *spread) { return spread + w->points * w->spread_point; }

/* One block, all steps, on one thread. */
static void run_block(void *context, size_t thread, size_t index) {
  const work *w = context;
  const size_t first = index * w->block;
  const size_t count = w->tiles - first < w->block ? w->tiles - first : w->block;
  float *spread = w->blocks + thread * block_floats(w->call->op), *products = products_of(w, spread);
  for (size_t i = 0; i < count; i++) spread_tile(w, first + i, spread, i);
  multiply_points(w, 0, w->points, spread, products, count);
  for (size_t i = 0; i < count; i++) gather_tile(w, first + i, products, i);
}

/* The steps of one block that all threads share. */
static void share_spread(void *context, size_t i) {
  const work *w = context;
  spread_tile(w, w->first + i, w->blocks, i);
}

static void share_multiply(void *context, size_t point) {
  const work *w = context;
  multiply_points(w, point, 1, w->blocks, products_of(w, w->blocks), w->count);
}

static void share_gather(void *context, size_t i) {
  const work *w = context;
  gather_tile(w, w->first + i, products_of(w, w->blocks), i);
}

/* Blocks of `tiles` tiles from here on. */
static void set_block(work *w, size_t tiles) {
  w->block = tiles;
  w->spread_row = whole_lines(w->c);
  w->product_row = whole_lines(w->call->op->shape.c);
  w->spread_point = tiles * w->spread_row + SKEW;
  w->product_point = tiles * w->product_row + SKEW;
}

/* Blocks of their own for all threads, of which each thread gets at least one where there are tiles enough. */
static void run_blocks(work *w, size_t threads) {
  const size_t share = round_up(w->tiles, threads * TILE_ROWS) / threads;
  if (share < w->block) set_block(w, share);
  pthreadpool_parallelize_1d_with_thread(w->call->pool, run_block, w, (w->tiles + w->block - 1) / w->block, 0);
}

static void run_shared(work *w) {
  for (; w->first < w->tiles; w->first += w->block) {
    w->count = w->tiles - w->first < w->block ? w->tiles - w->first : w->block;
    pthreadpool_parallelize_1d(w->call->pool, share_spread, w, w->count, 0);
    pthreadpool_parallelize_1d(w->call->pool, share_multiply, w, w->points, 0);
    pthreadpool_parallelize_1d(w->call->pool, share_gather, w, w->count, 0);
  }
}

static void run(const kernel_call *call) {
  const plan_op *op = call->op;
  const winograd_form_functions *form = form_of(op);
  float *zeros = call->workspace;
  memset(zeros, 0, zero_floats(op) * sizeof *zeros);
  work w = {.call = call,
            .form = form,
            .c = input_channels(op),
            .points = point_count(op),
            .tiles_h = (op->shape.h + form->out.h - 1) / form->out.h,
            .tiles_w = (op->shape.w + form->out.w - 1) / form->out.w,
            .zeros = zeros,
            .blocks = zeros + zero_floats(op)};
  w.tiles = call->batch * w.tiles_h * w.tiles_w;
  set_block(&w, block_tiles(op));
  const size_t blocks = (w.tiles + w.block - 1) / w.block, threads = pthreadpool_get_threads_count(call->pool);
  const size_t products = w.tiles * w.points * w.c * op->shape.c;
  if (threads == 1 || blocks >= BLOCKS_PER_THREAD * threads || products / threads < SHARED_WORK)
    run_blocks(&w, threads);
  else
    run_shared(&w);
}

static void describe(const plan_op *op, char *text, size_t size) {
  describe_window(op, text, size);
  describe_append(text, size, " winograd %zux%zu", form_of(op)->out.h, form_of(op)->out.w);
  if (op->input_count == 2) describe_append(text, size, " + %s", describe_shortcut(op));
  describe_clamp(op, text, size);
}

const kernel kernel_winograd = {.name = "winograd",
                                .adds_shortcut = true,
                                .in_place = 2,
                                .check = check,
                                .packed_size = packed_size,
                                .pack = pack,
                                .shape = shape,
                                .run = run,
                                .describe = describe};

const kernel kernel_stem = {.name = "stem",
                            .check = check,
                            .packed_size = packed_size,
                            .pack = pack,
                            .shape = shape,
                            .run = run,
                            .describe = describe};
