/* 1x1 convolutions of stride 1 + bias + shortcut + clamp: a matrix product of pixels and
 * weights. XNNPACK multiplies as fast, but cannot add the shortcut while the sums are in
 * registers. */
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/table.h"

#include <string.h>

#include "runtime/kernels/check.h"
#include "runtime/kernels/describe.h"

enum {
  ROWS = 8, /* pixels that the matrix product handles at once */
  /* a task's pixels, which are read again for each panel: a fraction of any L2 */
  INPUT_BYTES = 128 * 1024,
  /* with fewer pixels, reading the weights for each task costs more than L2 saves */
  MIN_ROWS = 64,
  MAX_ROWS = 256,
  /* weights up to this size stay in L2 from one task to the next */
  CACHED_BYTES = 256 * 1024,
  TASKS_PER_THREAD = 4 /* enough to balance threads of different speeds */
};

bool kernel_gemm_applies(const plan_op *op) {
  const graph_window *w = &op->window;
  return op->kernel == KERNEL_CONV && op->groups == 1 && w->kernel_h == 1 && w->kernel_w == 1 &&
         w->stride_h == 1 && w->stride_w == 1 &&
         !(w->pad_top | w->pad_left | w->pad_bottom | w->pad_right) &&
         (size_t)op->shape.h * op->shape.w > 1;
}

/* Return the floats of the weights as panels (c,panel), which the bias follows. */
static size_t weight_floats(const plan_op *op, size_t panel) {
  return round_up(op->shape.c, panel) * op->in.c;
}

static size_t packed_size_gemm(const plan_op *op) {
  return (weight_floats(op, simd_fastest()->panel) + op->shape.c) * sizeof(float);
}

static resnet_status check_gemm(const plan_op *op, resnet_error *error) {
  return kernel_check_packed_weights(op, round_up(op->shape.c, simd_fastest()->panel), op->in.c,
                                     error);
}

static void pack_panel(const plan_op *op, size_t first, size_t panel, float *packed) {
  const size_t c = op->in.c;
  const size_t count = op->shape.c - first < panel ? op->shape.c - first : panel;
  const float *weights = op->weights + first * c;
  for (size_t k = 0; k < c; k++)
    for (size_t o = 0; o < count; o++) packed[k * panel + o] = weights[o * c + k];
}

static resnet_status pack_gemm(plan_op *op, memory *m, resnet_error *error) {
  const size_t panel = simd_fastest()->panel;
  float *packed = mem_allocate(m, packed_size_gemm(op), 1);
  if (!packed) return err_no_memory(error, "packed weights");
  for (size_t o = 0; o < op->shape.c; o += panel) pack_panel(op, o, panel, packed + o * op->in.c);
  memcpy(packed + weight_floats(op, panel), op->bias, op->shape.c * sizeof *packed);
  op->packed = (plan_packed_weights){.data = packed, .size = packed_size_gemm(op)};
  plan_op_release_weights(op, m);
  return RESNET_OK;
}

/* Compute one task: a tile of some pixels and some channels of the output. */
static void run_gemm_task(void *context, size_t row, size_t channel, size_t rows, size_t channels) {
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const size_t c = op->in.c, o = op->shape.c, at = row * o + channel;
  const float *packed = op->packed.data;
  const simd_product product = {
      .a = call->input[0] + row * c,
      .a_stride = c,
      .packed = packed + channel * c,
      .c = c,
      .o = channels,
      .out = call->output + at,
      .out_stride = o,
      .fetch = op->packed.size > CACHED_BYTES,
  };
  const simd_epilogue epilogue = {
      .bias = packed + weight_floats(op, call->simd->panel) + channel,
      .shortcut = op->input_count == 2 ? call->input[1] + at : NULL,
      .low = op->clamp_min,
      .high = op->clamp_max,
  };
  call->simd->gemm->multiply_epilogue(&product, &epilogue, rows);
}

static size_t task_rows(const plan_op *op) {
  const size_t rows = INPUT_BYTES / sizeof(float) / op->in.c / ROWS * ROWS;
  return rows < MIN_ROWS ? MIN_ROWS : rows > MAX_ROWS ? MAX_ROWS : rows;
}

/* Split the output by pixels. If these make too few tasks, split by channels too, so that
 * each weight is still read by only one thread. */
static void run_gemm(const kernel_call *call) {
  const plan_op *op = call->op;
  const size_t threads = pthreadpool_get_threads_count(call->pool);
  const size_t pixels = call->batch * op->shape.h * op->shape.w, rows = task_rows(op);
  const size_t row_tasks = (pixels + rows - 1) / rows,
               wanted = threads == 1 ? 1 : TASKS_PER_THREAD * threads;
  const size_t column_tasks = (wanted + row_tasks - 1) / row_tasks;
  const size_t channels =
      round_up((op->shape.c + column_tasks - 1) / column_tasks, call->simd->panel);
  pthreadpool_parallelize_2d_tile_2d(call->pool, run_gemm_task, (void *)(uintptr_t)call, pixels,
                                     op->shape.c, rows, channels, POOL_FLAGS);
}

static void describe_gemm(const plan_op *op, char *text, size_t size) {
  describe_window(op, text, size);
  if (op->input_count == 2) describe_append(text, size, " + %s", describe_shortcut(op));
  describe_clamp(op, text, size);
}

const kernel kernel_gemm = {.name = "gemm",
                            .is_convolution = true,
                            .adds_shortcut = true,
                            .in_place = 2,
                            .check = check_gemm,
                            .packed_size = packed_size_gemm,
                            .pack = pack_gemm,
                            .run = run_gemm,
                            .describe = describe_gemm};
