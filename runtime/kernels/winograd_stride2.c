/* 3x3 convolutions of stride 2 by Winograd's algorithm + bias + clamp
 * (simd/winograd_stride2.h). */
#include "runtime/kernels/winograd_stride2.h"
#include "runtime/kernels/table.h"

#include <string.h>

#include "runtime/kernels/check.h"
#include "runtime/kernels/describe.h"
#include "runtime/kernels/winograd_tiles.h"

enum {
  BLOCK_BYTES = 512 * 1024, /* transformed inputs and products */
  /* with fewer tiles, reading the weights for each block costs more than caches save */
  MIN_BLOCK = 16,
  MAX_BLOCK = 32
};

/* By parity of row and column. */
typedef struct stride2_group {
  size_t matrices; /* of weights: 25, 5, 5, 1 */
  size_t rows;     /* of inputs or products for each tile in each matrix: 1, 4, 4, 16 */
} stride2_group;

static const stride2_group groups[STRIDE2_GROUPS] = {
    {STRIDE2_POINTS * STRIDE2_POINTS, 1},
    {STRIDE2_POINTS, STRIDE2_OUT},
    {STRIDE2_POINTS, STRIDE2_OUT},
    {1, STRIDE2_OUT *STRIDE2_OUT},
};

bool winograd_stride2_applies(const plan_op *op) {
  const graph_window *w = &op->window;
  return op->kernel == KERNEL_CONV && op->groups == 1 && w->kernel_h == 3 && w->kernel_w == 3 &&
         w->stride_h == 2 && w->stride_w == 2 && w->dilation_h == 1 && w->dilation_w == 1;
}

/* ---- weights: matrices x panels x (c,panel), then the bias ---- */

/* Return the output channels, rounded up to whole panels. */
static size_t columns_stride2(const simd_set *simd, const plan_op *op) {
  return round_up(op->shape.c, simd->panel);
}

static size_t matrix_floats(const simd_set *simd, const plan_op *op) {
  return columns_stride2(simd, op) * op->in.c;
}

static const float *bias_of_stride2(const simd_set *simd, const plan_op *op) {
  return (const float *)op->packed.data + STRIDE2_MATRICES * matrix_floats(simd, op);
}

static size_t packed_size_stride2(const plan_op *op) {
  const simd_set *simd = simd_fastest();
  return (STRIDE2_MATRICES * matrix_floats(simd, op) + op->shape.c) * sizeof(float);
}

static resnet_status check_stride2(const plan_op *op, resnet_error *error) {
  const simd_set *simd = simd_fastest();
  return kernel_check_packed_weights(op, columns_stride2(simd, op),
                                     (size_t)STRIDE2_MATRICES * op->in.c, error);
}

static resnet_status pack_stride2(plan_op *op, memory *m, resnet_error *error) {
  const simd_set *simd = simd_fastest();
  const size_t c = op->in.c, panel = simd->panel;
  float *packed = mem_allocate_unset(m, packed_size_stride2(op), 1);
  if (!packed) return err_no_memory(error, "transformed weights");
  for (size_t o = 0; o < op->shape.c; o += panel) {
    const size_t count = op->shape.c - o < panel ? op->shape.c - o : panel;
    simd->winograd_stride2->transform_weights(op->weights + o * 9 * c, count, c, packed + o * c,
                                              matrix_floats(simd, op));
  }
  op->packed = (plan_packed_weights){.data = packed, .size = packed_size_stride2(op)};
  memcpy(packed + STRIDE2_MATRICES * matrix_floats(simd, op), op->bias,
         op->shape.c * sizeof *packed);
  plan_op_release_weights(op, m);
  return RESNET_OK;
}

/* ---- running ---- */

/* The layout of a block's transformed inputs or products. */
typedef struct layout {
  size_t row;   /* floats of a row */
  size_t tiles; /* capacity */
} layout;

static size_t matrix_stride(layout l, size_t group) {
  return l.tiles * groups[group].rows * l.row + TILE_SKEW;
}

static size_t layout_floats(layout l) {
  size_t floats = 0;
  for (size_t g = 0; g < STRIDE2_GROUPS; g++) floats += groups[g].matrices * matrix_stride(l, g);
  return floats;
}

static simd_stride2_place place_in(layout l, float *floats, size_t tile) {
  simd_stride2_place place = {.row = l.row};
  for (size_t g = 0; g < STRIDE2_GROUPS; g++) {
    place.first[g] = floats + tile * groups[g].rows * l.row;
    place.matrix[g] = matrix_stride(l, g);
    floats += groups[g].matrices * place.matrix[g];
  }
  return place;
}

static size_t block_tiles_stride2(const plan_op *op) {
  const size_t products = STRIDE2_MATRICES + STRIDE2_PIXELS; /* no fewer than 81 */
  const size_t tile =
      products * sizeof(float) * (kernel_pixel_floats(op) + round_up(op->shape.c, KERNEL_LINE));
  const size_t tiles = BLOCK_BYTES / tile / MIN_BLOCK * MIN_BLOCK;
  return tiles < MIN_BLOCK ? MIN_BLOCK : tiles > MAX_BLOCK ? MAX_BLOCK : tiles;
}

typedef struct stride2_task {
  winograd_task shared; /* first, as its functions receive a pointer to it */
  layout inputs, products;
} stride2_task;

static layout input_layout(const plan_op *op) {
  return (layout){kernel_pixel_floats(op), block_tiles_stride2(op)};
}

static layout product_layout(const plan_op *op) {
  return (layout){round_up(op->shape.c, KERNEL_LINE), block_tiles_stride2(op)};
}

static size_t block_floats_stride2(const plan_op *op) {
  return layout_floats(input_layout(op)) + layout_floats(product_layout(op));
}

static float *products_of_stride2(const stride2_task *t, float *block) {
  return block + layout_floats(t->inputs);
}

static void stride2_tile_input(const winograd_task *shared, winograd_tile at, float *block,
                               size_t row) {
  const float *pixels[STRIDE2_PIXELS];
  const simd_stride2_place to = place_in(((const stride2_task *)shared)->inputs, block, row);
  winograd_tile_pixels(shared, at, STRIDE2_IN, STRIDE2_IN, pixels);
  shared->call->simd->winograd_stride2->transform_input(pixels, shared->call->op->in.c, &to);
}

/* Multiply all matrices for the outputs of `panels` panels from `panel` on. */
static void multiply_panels(const winograd_task *shared, float *block, size_t panel, size_t panels,
                            size_t count) {
  const stride2_task *t = (const stride2_task *)shared;
  const plan_op *op = shared->call->op;
  const simd_set *simd = shared->call->simd;
  const size_t channel = panel * simd->panel, wanted = panels * simd->panel;
  const size_t channels = op->shape.c - channel < wanted ? op->shape.c - channel : wanted;
  const float *packed = (const float *)op->packed.data + channel * op->in.c;
  const simd_stride2_place inputs = place_in(t->inputs, block, 0),
                           products = place_in(t->products, products_of_stride2(t, block), 0);
  for (size_t g = 0; g < STRIDE2_GROUPS; g++) {
    const simd_product product = {
        .a = inputs.first[g],
        .a_stride = inputs.row,
        .packed = packed,
        .c = op->in.c,
        .o = channels,
        .out = products.first[g] + channel,
        .out_stride = products.row,
        .count = groups[g].matrices,
        .a_next = inputs.matrix[g],
        .packed_next = matrix_floats(simd, op),
        .out_next = products.matrix[g],
        .fetch = true,
    };
    simd->gemm->multiply(&product, count * groups[g].rows);
    packed += groups[g].matrices * matrix_floats(simd, op);
  }
}

static void stride2_tile_output(const winograd_task *shared, winograd_tile at, float *block,
                                size_t row) {
  const stride2_task *t = (const stride2_task *)shared;
  const plan_op *op = shared->call->op;
  const simd_stride2_place products = place_in(t->products, products_of_stride2(t, block), row);
  shared->call->simd->winograd_stride2->transform_output(
      &products, op->shape.c, bias_of_stride2(shared->call->simd, op),
      shared->call->output + winograd_tile_offset(shared, at), (size_t)op->shape.w * op->shape.c,
      winograd_tile_rows(shared, at), winograd_tile_columns(shared, at), op->clamp_min,
      op->clamp_max);
}

static resnet_status shape_stride2(kernel_call *call, resnet_error *error) {
  return winograd_workspace(call, block_floats_stride2(call->op), error);
}

/* Split the blocks among the threads, or the steps of each block if blocks are few. */
static void run_stride2(const kernel_call *call) {
  const plan_op *op = call->op;
  stride2_task t = {.inputs = input_layout(op),
                    .products = product_layout(op),
                    .shared = {.block = block_tiles_stride2(op),
                               .block_floats = block_floats_stride2(op),
                               .slices = columns_stride2(call->simd, op) / call->simd->panel,
                               .input_transform = stride2_tile_input,
                               .multiply = multiply_panels,
                               .output_transform = stride2_tile_output}};
  winograd_task_init(&t.shared, call, STRIDE2_OUT, STRIDE2_OUT);
  const size_t threads = pthreadpool_get_threads_count(call->pool);
  const size_t blocks = (t.shared.tiles + t.shared.block - 1) / t.shared.block;
  if (threads == 1 || blocks >= 2 * threads)
    winograd_run_blocks(&t.shared);
  else
    winograd_run_shared(&t.shared);
}

/* Return the products of one sample: the rows of each matrix, for each tile. */
static uint64_t multiplications_stride2(const plan_op *op) {
  const uint64_t rows = (op->shape.h + STRIDE2_OUT - 1) / STRIDE2_OUT,
                 columns = (op->shape.w + STRIDE2_OUT - 1) / STRIDE2_OUT;
  uint64_t products = 0;
  for (size_t g = 0; g < STRIDE2_GROUPS; g++) products += groups[g].matrices * groups[g].rows;
  return rows * columns * products * op->in.c * op->shape.c;
}

static void describe_stride2(const plan_op *op, char *text, size_t size) {
  describe_window(op, text, size);
  describe_append(text, size, " winograd %dx%d", STRIDE2_OUT, STRIDE2_OUT);
  describe_clamp(op, text, size);
}

const kernel kernel_winograd_stride2 = {.name = "winograd_stride2",
                                        .is_convolution = true,
                                        .check = check_stride2,
                                        .packed_size = packed_size_stride2,
                                        .pack = pack_stride2,
                                        .shape = shape_stride2,
                                        .run = run_stride2,
                                        .multiplications = multiplications_stride2,
                                        .describe = describe_stride2};
