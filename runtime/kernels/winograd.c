/* Convolutions by Winograd's algorithm + bias + shortcut + clamp (simd/winograd.h): 3x3
 * of stride 1, and the stem, 7x7 of stride 2 over an image's few channels.
 *
 * The stem: out(y) = sum over t of w(t) x(2 y - pad + t). A parity split turns the even
 * and odd rows and columns into channels of their own, four times as many. The image is
 * then half as high and wide, and the same sum has stride 1 and 4x4 taps. Taps before t =
 * 0 and behind t = 6 are zero. */
#include "runtime/kernels/winograd.h"
#include "runtime/kernels/table.h"

#include <string.h>

#include "runtime/kernels/check.h"
#include "runtime/kernels/describe.h"
#include "runtime/kernels/winograd_tiles.h"

enum {
  /* weights up to this size stay in L2 from one block to the next */
  CACHED_BYTES = 256 * 1024,
  /* With fewer blocks, threads share the steps of one block, if it has at least
   * SHARED_PRODUCTS for each thread: three barriers cost some 20 us. */
  BLOCKS_PER_THREAD = 2,
  SHARED_PRODUCTS = 8000000,
  PHASES = 4, /* even and odd rows, even and odd columns */
  MAX_STEM_CHANNELS = 4,
  STEM_PIXEL = KERNEL_LINE
};

_Static_assert(2 * MAX_STEM_CHANNELS * sizeof(float) <= SIMD_MAX_BYTES,
               "copy_whole_row reads no further than a vector behind the image");
_Static_assert(PHASES *MAX_STEM_CHANNELS <= STEM_PIXEL, "a pixel of the stem is one line");

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

const simd_winograd_form *winograd_find_form(const simd_set *simd, winograd_form form) {
  const simd_winograd_form *const forms[] = {
      [WINOGRAD_F2X2_3X3] = &simd->winograd->f2x2_3x3,
      [WINOGRAD_F4X2_3X3] = &simd->winograd->f4x2_3x3,
      [WINOGRAD_F4X4_3X3] = &simd->winograd->f4x4_3x3,
      [WINOGRAD_F5X5_4X4] = &simd->winograd->f5x5_4x4,
  };
  _Static_assert(sizeof forms / sizeof *forms == WINOGRAD_FORMS, "a row for each form");
  return forms[form];
}

static const simd_winograd_form *form_of(const simd_set *simd, const plan_op *op) {
  return winograd_find_form(simd, op->form);
}

/* Return the number of channels that are summed over. */
static size_t input_channels(const plan_op *op) {
  return op->kernel == KERNEL_STEM ? PHASES * op->in.c : op->in.c;
}

static size_t point_count(const simd_set *simd, const plan_op *op) {
  return form_of(simd, op)->in.h * form_of(simd, op)->in.w;
}

/* ---- weights: points x panels x (c,panel), then the bias ---- */

/* Return the output channels, rounded up to whole panels. */
static size_t columns_winograd(const simd_set *simd, const plan_op *op) {
  return round_up(op->shape.c, simd->panel);
}

/* Return the floats of one point's transformed weights. */
static size_t point_floats(const simd_set *simd, const plan_op *op) {
  return columns_winograd(simd, op) * input_channels(op);
}

static const float *bias_of_winograd(const simd_set *simd, const plan_op *op) {
  return (const float *)op->packed.data + point_count(simd, op) * point_floats(simd, op);
}

static size_t packed_size_winograd(const plan_op *op) {
  const simd_set *simd = simd_fastest();
  return (point_count(simd, op) * point_floats(simd, op) + op->shape.c) * sizeof(float);
}

static resnet_status check_winograd(const plan_op *op, resnet_error *error) {
  const simd_set *simd = simd_fastest();
  return kernel_check_packed_weights(op, columns_winograd(simd, op),
                                     point_count(simd, op) * input_channels(op), error);
}

/* Split the filters (o,7,7,c) by parity into (o,4,4,phases,c). A tap's phase is the
 * parity of its distance from the first even row and column. */
static float *split_filters(const simd_set *simd, const plan_op *op, memory *m) {
  const size_t c = op->in.c, taps = form_of(simd, op)->taps, channels = input_channels(op);
  float *split = mem_allocate(m, op->shape.c * taps * taps, channels * sizeof *split);
  if (!split) return NULL;
  for (size_t o = 0; o < op->shape.c; o++)
    for (size_t y = 0; y < op->window.kernel_h; y++)
      for (size_t x = 0; x < op->window.kernel_w; x++) {
        const size_t row = y + op->window.pad_top % 2, column = x + op->window.pad_left % 2;
        const size_t tap = (o * taps + row / 2) * taps + column / 2,
                     phase = row % 2 * 2 + column % 2;
        memcpy(split + tap * channels + phase * c,
               op->weights + ((o * op->window.kernel_h + y) * op->window.kernel_w + x) * c,
               c * sizeof *split);
      }
  return split;
}

static void transform_filters(const simd_set *simd, const plan_op *op, const float *filters,
                              float *packed) {
  const simd_winograd_form *form = form_of(simd, op);
  const size_t c = input_channels(op), panel = simd->panel, filter = form->taps * form->taps * c;
  for (size_t o = 0; o < op->shape.c; o += panel) {
    const size_t count = op->shape.c - o < panel ? op->shape.c - o : panel;
    form->transform_weights(filters + o * filter, count, c, packed + o * c, point_floats(simd, op));
  }
}

static resnet_status pack_winograd(plan_op *op, memory *m, resnet_error *error) {
  const simd_set *simd = simd_fastest();
  float *packed = mem_allocate_unset(m, packed_size_winograd(op), 1);
  float *split = op->kernel == KERNEL_STEM ? split_filters(simd, op, m) : NULL;
  if (!packed || (op->kernel == KERNEL_STEM && !split)) {
    mem_release(m, packed);
    mem_release(m, split);
    return err_no_memory(error, "transformed weights");
  }
  transform_filters(simd, op, split ? split : op->weights, packed);
  mem_release(m, split);
  op->packed = (plan_packed_weights){.data = packed, .size = packed_size_winograd(op)};
  memcpy((float *)(uintptr_t)bias_of_winograd(simd, op), op->bias, op->shape.c * sizeof *packed);
  plan_op_release_weights(op, m);
  return RESNET_OK;
}

/* ---- running ---- */

static size_t whole_lines(size_t floats) { return round_up(floats, KERNEL_LINE); }

/* Return the floats of one tile's transformed inputs and products at one point. */
static size_t tile_floats(const plan_op *op) {
  return whole_lines(input_channels(op)) + whole_lines(op->shape.c);
}

static size_t tiles_winograd(const simd_set *simd, const plan_op *op, size_t batch) {
  const winograd_size out = form_of(simd, op)->out;
  return batch * ((op->shape.h + out.h - 1) / out.h) * ((op->shape.w + out.w - 1) / out.w);
}

/* Return the bytes of one tile's transformed inputs and products. */
static size_t tile_bytes_winograd(const simd_set *simd, const plan_op *op) {
  return point_count(simd, op) * tile_floats(op) * sizeof(float);
}

static size_t block_floats_winograd(const kernel_call *call) {
  const simd_set *simd = call->simd;
  const plan_op *op = call->op;
  const size_t room = winograd_block_room(call, tiles_winograd(simd, op, call->batch),
                                          tile_bytes_winograd(simd, op), op->packed.size);
  return point_count(simd, op) * (room * tile_floats(op) + 2 * TILE_SKEW);
}

static resnet_status shape_winograd(kernel_call *call, resnet_error *error) {
  return winograd_workspace(call, block_floats_winograd(call), error);
}

typedef struct stride1_task {
  winograd_task shared; /* first, as its functions receive a pointer to it */
  const simd_winograd_form *form;
  size_t c, points; /* channels that are summed over; matrices */
  /* transformed inputs: floats from one tile to the next, and from one point to the
   * next */
  size_t input_row, input_point;
  size_t product_row, product_point; /* the same for the products */
} stride1_task;

/* Copy two pixels of a row to their two phases; a negative `first` wraps around. Pixels
 * outside are zero. */
static void copy_pair(const float *line, size_t w, size_t c, size_t first, float *out) {
  for (size_t i = 0; i < 2; i++)
    for (size_t k = 0; k < c; k++)
      out[i * c + k] = first + i < w ? line[(first + i) * c + k] : 0.0f;
}

/* Copy one row of `split` from two rows inside the image. All copies have a constant
 * size, so each is one or two instructions; they copy some floats too many. */
static void copy_whole_row(const float *even, const float *odd, size_t c, size_t n, float *split) {
  static const float zeros[KERNEL_LINE / 2];
  for (size_t i = 0; i < n; i++, even += 2 * c, odd += 2 * c, split += STEM_PIXEL) {
    memcpy(split + KERNEL_LINE / 2, zeros, sizeof zeros);
    memcpy(split, even, 2 * MAX_STEM_CHANNELS * sizeof *split);
    memcpy(split + 2 * c, odd, 2 * MAX_STEM_CHANNELS * sizeof *split);
  }
}

/* Copy the stem's inputs, split by parity: (n,n,2,2,c) to `split`, whose pixels have
 * STEM_PIXEL floats. The transform reads whole vectors, so lanes behind the channels hold
 * zeros or floats of the image, too. */
static void copy_phases(const stride1_task *t, winograd_tile at, float *split) {
  const kernel_call *call = t->shared.call;
  const plan_op *op = call->op;
  const float *image = call->input[0] + at.sample * plan_shape_floats(op->in);
  const size_t h = op->in.h, w = op->in.w, c = op->in.c;
  const size_t n = t->form->in.h; /* the stem's tiles are square */
  const size_t top = 2 * at.row - op->window.pad_top - op->window.pad_top % 2;
  const size_t left = 2 * at.column - op->window.pad_left - op->window.pad_left % 2;
  const bool whole = left < w && left + 2 * n <= w;
  for (size_t row = 0; row < n; row++, split += n * STEM_PIXEL) {
    const size_t y = top + 2 * row;
    const bool inside[] = {y < h, y + 1 < h};
    const float *const lines[] = {inside[0] ? image + y * w * c : NULL,
                                  inside[1] ? image + (y + 1) * w * c : NULL};
    if (whole && inside[0] && inside[1]) {
      copy_whole_row(lines[0] + left * c, lines[1] + left * c, c, n, split);
      continue;
    }
    memset(split, 0, n * STEM_PIXEL * sizeof *split);
    for (size_t column = 0; column < n; column++)
      for (size_t i = 0; i < 2; i++)
        copy_pair(lines[i], inside[i] ? w : 0, c, left + 2 * column,
                  split + column * STEM_PIXEL + i * 2 * c);
  }
}

static void transform_tile_input(const winograd_task *shared, winograd_tile at, float *block,
                                 size_t row) {
  const stride1_task *t = (const stride1_task *)shared;
  const float *pixels[WINOGRAD_MAX_POINTS];
  _Alignas(SIMD_MAX_BYTES) float split[WINOGRAD_MAX_POINTS * STEM_PIXEL];
  if (shared->call->op->kernel == KERNEL_STEM) {
    copy_phases(t, at, split);
    for (size_t i = 0; i < t->points; i++) pixels[i] = split + i * STEM_PIXEL;
  } else {
    winograd_tile_pixels(shared, at, t->form->in.h, t->form->in.w, pixels);
  }
  t->form->transform_input(pixels, t->c, block + row * t->input_row, t->input_point);
}

static float *products_of(const stride1_task *t, float *block) {
  return block + t->points * t->input_point;
}

static void multiply_points(const winograd_task *shared, float *block, size_t point, size_t points,
                            size_t count) {
  const stride1_task *t = (const stride1_task *)shared;
  const plan_op *op = shared->call->op;
  const simd_set *simd = shared->call->simd;
  const simd_product product = {
      .a = block + point * t->input_point,
      .a_stride = t->input_row,
      .packed = (const float *)op->packed.data + point * point_floats(simd, op),
      .c = t->c,
      .o = op->shape.c,
      .out = products_of(t, block) + point * t->product_point,
      .out_stride = t->product_row,
      .count = points,
      .a_next = t->input_point,
      .packed_next = point_floats(simd, op),
      .out_next = t->product_point,
      .fetch = op->packed.size > CACHED_BYTES,
  };
  simd->gemm->multiply(&product, count);
}

static void transform_tile_output(const winograd_task *shared, winograd_tile at, float *block,
                                  size_t row) {
  const stride1_task *t = (const stride1_task *)shared;
  const kernel_call *call = shared->call;
  const plan_op *op = call->op;
  const size_t offset = winograd_tile_offset(shared, at), o = op->shape.c;
  const float *shortcut = op->input_count == 2 ? call->input[1] + offset : NULL;
  t->form->transform_output(products_of(t, block) + row * t->product_row, t->product_point, o,
                            bias_of_winograd(call->simd, op), shortcut, call->output + offset,
                            op->shape.w * o, winograd_tile_rows(shared, at),
                            winograd_tile_columns(shared, at), op->clamp_min, op->clamp_max);
}

/* Set the size of blocks. */
static void set_block(stride1_task *t, size_t tiles) {
  t->shared.block = tiles;
  t->input_row = whole_lines(t->c);
  t->product_row = whole_lines(t->shared.call->op->shape.c);
  t->input_point = tiles * t->input_row + TILE_SKEW;
  t->product_point = tiles * t->product_row + TILE_SKEW;
}

static void run_winograd(const kernel_call *call) {
  const plan_op *op = call->op;
  const simd_set *simd = call->simd;
  const simd_winograd_form *form = form_of(simd, op);
  stride1_task t = {.form = form,
                    .c = input_channels(op),
                    .points = point_count(simd, op),
                    .shared = {.slices = point_count(simd, op),
                               .block_floats = block_floats_winograd(call),
                               .input_transform = transform_tile_input,
                               .multiply = multiply_points,
                               .output_transform = transform_tile_output}};
  winograd_task_init(&t.shared, call, form->out.h, form->out.w);
  const size_t tiles = t.shared.tiles;
  const size_t max_block =
      winograd_max_block(call, tiles, tile_bytes_winograd(simd, op), op->packed.size);
  const size_t blocks = (tiles + max_block - 1) / max_block;
  const size_t threads = pthreadpool_get_threads_count(call->pool),
               products = tiles * t.points * t.c * op->shape.c;
  if (threads > 1 && blocks < BLOCKS_PER_THREAD * threads &&
      products / threads >= SHARED_PRODUCTS) {
    set_block(&t, winograd_even_block(tiles, threads * max_block, 1));
    winograd_run_shared(&t.shared);
    return;
  }
  set_block(&t, winograd_even_block(tiles, max_block, threads));
  winograd_run_blocks(&t.shared);
}

/* Return the products of one sample: one for each point of each tile. */
static uint64_t multiplications_winograd(const plan_op *op) {
  const simd_winograd_form *form = form_of(simd_fastest(), op);
  const uint64_t rows = (op->shape.h + form->out.h - 1) / form->out.h,
                 columns = (op->shape.w + form->out.w - 1) / form->out.w;
  return rows * columns * form->in.h * form->in.w * input_channels(op) * op->shape.c;
}

static void describe_winograd(const plan_op *op, char *text, size_t size) {
  const winograd_size out = form_of(simd_fastest(), op)->out;
  describe_window(op, text, size);
  describe_append(text, size, " winograd %zux%zu", out.h, out.w);
  if (op->input_count == 2) describe_append(text, size, " + %s", describe_shortcut(op));
  describe_clamp(op, text, size);
}

const kernel kernel_winograd = {.name = "winograd",
                                .is_convolution = true,
                                .adds_shortcut = true,
                                .in_place = 2,
                                .check = check_winograd,
                                .packed_size = packed_size_winograd,
                                .pack = pack_winograd,
                                .shape = shape_winograd,
                                .run = run_winograd,
                                .multiplications = multiplications_winograd,
                                .describe = describe_winograd};

const kernel kernel_stem = {.name = "stem",
                            .is_convolution = true,
                            .check = check_winograd,
                            .packed_size = packed_size_winograd,
                            .pack = pack_winograd,
                            .shape = shape_winograd,
                            .run = run_winograd,
                            .multiplications = multiplications_winograd,
                            .describe = describe_winograd};
