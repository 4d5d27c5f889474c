/* Convolutions by Winograd's algorithm + bias + the shortcut + clamp (vector/winograd.h):
 * 3x3 of stride 1, and the stem, 7x7 of stride 2 over a picture's few channels.
 *
 * The stem: out(y) = sum over t of w(t) x(2 y - pad + t). With its even and odd rows and
 * columns as channels of their own (four times as many), the picture is half as high and
 * wide and the same sum has stride 1 and 4x4 taps, of which those before t = 0 and behind
 * t = 6 are zero.
 */
#include "runtime/kernels/winograd.h"

#include <string.h>

#include "runtime/kernels/simd/gemm.h"
#include "runtime/kernels/simd/winograd.h"
#include "runtime/kernels/winograd_tiles.h"

enum {
  /* of transformed inputs and products: what a core's L2 holds beside a panel of
   * weights */
  BLOCK_BYTES = 320 * 1024,
  /* of weights that stay in L2 from one block to the next */
  CACHED_BYTES = 256 * 1024,
  TILE_ROWS = 8, /* tiles that the multiplication handles at once */
  /* tiles: below, reading the weights anew for each block costs more than L2 saves */
  MIN_BLOCK = 16,
  MAX_BLOCK = 64,
  /* with fewer, threads share the steps of one block instead of having a block each... */
  BLOCKS_PER_THREAD = 2,
  /* ...if it has this many multiplications for each: meeting three times costs some 20
   * us */
  SHARED_WORK = 8000000,
  PHASES = 4, /* even and odd rows, even and odd columns */
  MAX_STEM_CHANNELS = 4,
  STEM_PIXEL = PHASES * MAX_STEM_CHANNELS +
               TILE_LINE /* floats: what a pair of pixels spills over included */
};

bool winograd_applies(const plan_op *op) {
  const graph_window *w = &op->window;
  return op->kernel == KERNEL_CONV && op->groups == 1 && w->kernel_h == 3 && w->kernel_w == 3 &&
         w->stride_h == 1 && w->stride_w == 1 && w->dilation_h == 1 && w->dilation_w == 1;
}

bool winograd_stem_applies(const plan_op *op) {
  const graph_window *w = &op->window;
  return op->kernel == KERNEL_CONV && op->groups == 1 && w->kernel_h == 7 && w->kernel_w == 7 &&
         w->stride_h == 2 && w->stride_w == 2 && w->dilation_h == 1 && w->dilation_w == 1 &&
         op->in.c <= MAX_STEM_CHANNELS;
}

static const winograd_form_functions *form_of(const plan_op *op) {
  return &winograd_variant(0)->form[op->form];
}

/* Channels that are summed over. */
static size_t input_channels(const plan_op *op) {
  return op->kernel == KERNEL_STEM ? PHASES * op->in.c : op->in.c;
}

static size_t point_count(const plan_op *op) { return form_of(op)->in.h * form_of(op)->in.w; }

/* ---- weights: points x panels x (c,panel), then the bias ---- */

/* Output channels in whole panels. */
static size_t columns(const plan_op *op) {
  return round_up(op->shape.c, winograd_variant(0)->panel);
}

/* Floats of one point's transformed weights. */
static size_t point_floats(const plan_op *op) { return columns(op) * input_channels(op); }

static const float *bias_of(const plan_op *op) {
  return (const float *)op->packed.data + point_count(op) * point_floats(op);
}

static size_t packed_size(const plan_op *op) {
  return (point_count(op) * point_floats(op) + op->shape.c) * sizeof(float);
}

static resnet_status check(const plan_op *op, const memory *m, resnet_error *error) {
  (void)m; /* mem_allocate asks the budget; what a plan file maps is not in it */
  return check_packed_weights(op, columns(op), point_count(op) * input_channels(op), error);
}

/* Filters (o,7,7,c) as (o,4,4,phases,c). A tap's phase is that of its distance from the
 * first even row or column. */
static float *take_phases_apart(const plan_op *op, memory *m) {
  const size_t c = op->in.c, taps = form_of(op)->taps, channels = input_channels(op);
  float *apart = mem_allocate(m, op->shape.c * taps * taps, channels * sizeof *apart);
  if (!apart) return NULL;
  for (size_t o = 0; o < op->shape.c; o++)
    for (size_t y = 0; y < op->window.kernel_h; y++)
      for (size_t x = 0; x < op->window.kernel_w; x++) {
        const size_t row = y + op->window.pad_top % 2, column = x + op->window.pad_left % 2;
        const size_t tap = (o * taps + row / 2) * taps + column / 2,
                     phase = row % 2 * 2 + column % 2;
        memcpy(apart + tap * channels + phase * c,
               op->weights + ((o * op->window.kernel_h + y) * op->window.kernel_w + x) * c,
               c * sizeof *apart);
      }
  return apart;
}

static void transform_weights(const plan_op *op, const float *filters, float *packed) {
  const winograd_form_functions *form = form_of(op);
  const size_t c = input_channels(op), panel = winograd_variant(0)->panel,
               filter = form->taps * form->taps * c;
  for (size_t o = 0; o < op->shape.c; o += panel) {
    const size_t count = op->shape.c - o < panel ? op->shape.c - o : panel;
    form->weights(filters + o * filter, count, c, packed + o * c, point_floats(op));
  }
}

static resnet_status pack(plan_op *op, memory *m, resnet_error *error) {
  float *packed = mem_allocate(m, packed_size(op), 1);
  float *apart = op->kernel == KERNEL_STEM ? take_phases_apart(op, m) : NULL;
  if (!packed || (op->kernel == KERNEL_STEM && !apart)) {
    mem_release(m, packed);
    mem_release(m, apart);
    return err_no_memory(error, "transformed weights");
  }
  transform_weights(op, apart ? apart : op->weights, packed);
  mem_release(m, apart);
  op->packed = (plan_packed_weights){.data = packed, .size = packed_size(op)};
  memcpy((float *)(uintptr_t)bias_of(op), op->bias, op->shape.c * sizeof *packed);
  plan_op_release_weights(op, m);
  return RESNET_OK;
}

/* ---- running ---- */

static size_t whole_lines(size_t floats) { return round_up(floats, TILE_LINE); }

/* Floats of one tile's transformed inputs and products, at one point. */
static size_t tile_floats(const plan_op *op) {
  return whole_lines(input_channels(op)) + whole_lines(op->shape.c);
}

static size_t block_tiles(const plan_op *op) {
  const size_t tiles =
      BLOCK_BYTES / (point_count(op) * sizeof(float) * tile_floats(op)) / TILE_ROWS * TILE_ROWS;
  return tiles < MIN_BLOCK ? MIN_BLOCK : tiles > MAX_BLOCK ? MAX_BLOCK : tiles;
}

static size_t block_floats(const plan_op *op) {
  return point_count(op) * (block_tiles(op) * tile_floats(op) + 2 * TILE_SKEW);
}

static resnet_status shape(kernel_call *call, resnet_error *error) {
  return tile_workspace(call, block_floats(call->op), error);
}

typedef struct work {
  tile_work tiles; /* first: its functions are given this */
  const winograd_form_functions *form;
  size_t c, points; /* channels that are summed over; matrices */
  /* floats from one tile's transformed inputs to the next's, and between points */
  size_t spread_row, spread_point;
  size_t product_row, product_point; /* the same of the products */
} work;

/* Two pixels of a row into one phase pair; `first` wraps where negative. Copies some
 * floats too many where it can, as copies of a constant size are one instruction. */
static void copy_pair(const float *line, size_t w, size_t c, size_t first, float *out) {
  if (first < w && first + 1 < w) {
    memcpy(out, line + first * c, 2 * MAX_STEM_CHANNELS * sizeof *out);
    return;
  }
  for (size_t i = 0; i < 2; i++)
    for (size_t k = 0; k < c; k++)
      out[i * c + k] = first + i < w ? line[(first + i) * c + k] : 0.0f;
}

/* The stem's inputs with their phases as channels: (n,n,2,2,c) into `apart`, whose pixels
 * are STEM_PIXEL floats. */
static void copy_phases(const work *w, tile_place at, float *apart, const float **pixels) {
  const kernel_call *call = w->tiles.call;
  const plan_op *op = call->op;
  const float *picture = call->input[0] + at.picture * plan_shape_floats(op->in);
  const size_t c = op->in.c, n = w->form->in.h; /* the stem's tiles are square */
  const size_t top = 2 * at.row - op->window.pad_top - op->window.pad_top % 2;
  const size_t left = 2 * at.column - op->window.pad_left - op->window.pad_left % 2;
  for (size_t row = 0; row < 2 * n; row++) {
    const bool inside = top + row < op->in.h;
    for (size_t column = 0; column < n; column++)
      copy_pair(inside ? picture + (top + row) * op->in.w * c : NULL, inside ? op->in.w : 0, c,
                left + 2 * column, apart + (row / 2 * n + column) * STEM_PIXEL + row % 2 * 2 * c);
  }
  for (size_t i = 0; i < n * n; i++) pixels[i] = apart + i * STEM_PIXEL;
}

static void spread_tile(const tile_work *tiles, size_t tile, float *block, size_t slot) {
  const work *w = (const work *)tiles;
  const float *pixels[WINOGRAD_MAX_POINTS];
  float apart[WINOGRAD_MAX_POINTS * STEM_PIXEL];
  if (tiles->call->op->kernel == KERNEL_STEM)
    copy_phases(w, tile_find(tiles, tile), apart, pixels);
  else
    tile_pixels(tiles, tile_find(tiles, tile), w->form->in.h, w->form->in.w, pixels);
  w->form->input(pixels, w->c, block + slot * w->spread_row, w->spread_point);
}

static float *products_of(const work *w, float *block) {
  return block + w->points * w->spread_point;
}

static void multiply_points(const tile_work *tiles, float *block, size_t point, size_t points,
                            size_t count) {
  const work *w = (const work *)tiles;
  const plan_op *op = tiles->call->op;
  const matrix_product product = {
      .a = block + point * w->spread_point,
      .a_stride = w->spread_row,
      .packed = (const float *)op->packed.data + point * point_floats(op),
      .c = w->c,
      .o = op->shape.c,
      .out = products_of(w, block) + point * w->product_point,
      .out_stride = w->product_row,
      .count = points,
      .a_next = w->spread_point,
      .packed_next = point_floats(op),
      .out_next = w->product_point,
      .fetch = op->packed.size > CACHED_BYTES,
  };
  matrix_variant(0)->multiply(&product, count);
}

static void gather_tile(const tile_work *tiles, size_t tile, float *block, size_t slot) {
  const work *w = (const work *)tiles;
  const kernel_call *call = tiles->call;
  const plan_op *op = call->op;
  const tile_place at = tile_find(tiles, tile);
  const size_t offset = tile_offset(tiles, at), o = op->shape.c;
  const float *shortcut = op->input_count == 2 ? call->input[1] + offset : NULL;
  w->form->output(products_of(w, block) + slot * w->product_row, w->product_point, o, bias_of(op),
                  shortcut, call->output + offset, op->shape.w * o, tile_rows(tiles, at),
                  tile_columns(tiles, at), op->clamp_min, op->clamp_max);
}

/* Blocks of `tiles` tiles from here on. */
static void set_block(work *w, size_t tiles) {
  w->tiles.block = tiles;
  w->spread_row = whole_lines(w->c);
  w->product_row = whole_lines(w->tiles.call->op->shape.c);
  w->spread_point = tiles * w->spread_row + TILE_SKEW;
  w->product_point = tiles * w->product_row + TILE_SKEW;
}

static void run(const kernel_call *call) {
  const plan_op *op = call->op;
  const winograd_form_functions *form = form_of(op);
  work w = {.form = form,
            .c = input_channels(op),
            .points = point_count(op),
            .tiles = {.parts = point_count(op),
                      .block_floats = block_floats(op),
                      .spread = spread_tile,
                      .multiply = multiply_points,
                      .gather = gather_tile}};
  tile_init(&w.tiles, call, form->out.h, form->out.w);
  set_block(&w, block_tiles(op));
  const size_t tiles = w.tiles.tiles, blocks = (tiles + w.tiles.block - 1) / w.tiles.block;
  const size_t threads = pthreadpool_get_threads_count(call->pool),
               products = tiles * w.points * w.c * op->shape.c;
  if (threads > 1 && blocks < BLOCKS_PER_THREAD * threads && products / threads >= SHARED_WORK) {
    tile_run_shared(&w.tiles);
    return;
  }
  /* so that each thread gets a block */
  const size_t share = round_up(tiles, threads * TILE_ROWS) / threads;
  if (share < w.tiles.block) set_block(&w, share);
  tile_run_blocks(&w.tiles);
}

static void describe(const plan_op *op, char *text, size_t size) {
  describe_window(op, text, size);
  describe_append(text, size, " winograd %zux%zu", form_of(op)->out.h, form_of(op)->out.w);
  if (op->input_count == 2) describe_append(text, size, " + %s", describe_shortcut(op));
  describe_clamp(op, text, size);
}

const kernel kernel_winograd = {.name = "winograd",
                                .is_convolution = true,
                                .adds_shortcut = true,
                                .in_place = 2,
                                .check = check,
                                .packed_size = packed_size,
                                .pack = pack,
                                .shape = shape,
                                .run = run,
                                .describe = describe};

const kernel kernel_stem = {.name = "stem",
                            .is_convolution = true,
                            .check = check,
                            .packed_size = packed_size,
                            .pack = pack,
                            .shape = shape,
                            .run = run,
                            .describe = describe};
