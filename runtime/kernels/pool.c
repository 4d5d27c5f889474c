/* Maximum, average and global average pooling. Maxima and sums exclude padding. */
#include "runtime/kernels/table.h"

#include "runtime/kernels/describe.h"

/* The taps of a window that are inside the input, along one axis. */
typedef struct span {
  size_t start, count;
} span;

/* graph_pool_has_taps promises that at least one is. */
static span clip(size_t out, uint32_t stride, uint32_t pad, uint32_t taps, uint32_t dilation,
                 uint32_t size) {
  const size_t start = out * stride, end = (size_t)pad + size; /* in padded coordinates */
  const size_t before = start < pad ? (pad - start + dilation - 1) / dilation : 0;
  const size_t until = start < end ? (end - start + dilation - 1) / dilation : 0;
  return (span){start + before * dilation - pad, min_size(until, taps) - before};
}

static span clip_rows(const plan_op *op, size_t row) {
  const graph_window *w = &op->window;
  return clip(row, w->stride_h, w->pad_top, w->kernel_h, w->dilation_h, op->in.h);
}

static span clip_columns(const plan_op *op, size_t column) {
  const graph_window *w = &op->window;
  return clip(column, w->stride_w, w->pad_left, w->kernel_w, w->dilation_w, op->in.w);
}

static const float *pixel_at(const kernel_call *call, size_t sample, size_t row, size_t column) {
  const graph_shape in = call->op->in;
  return call->input[0] + ((sample * in.h + row) * in.w + column) * in.c;
}

/* Pools one window into `out`. */
typedef void (*pool_window)(const kernel_call *call, const float *first, span rows, span columns,
                            float *out);

static void max_window(const kernel_call *call, const float *first, span rows, span columns,
                       float *out) {
  const plan_op *op = call->op;
  const size_t c = op->shape.c;
  call->simd->elementwise->window_max(first, rows.count, op->in.w * c * op->window.dilation_h,
                                      columns.count, c * op->window.dilation_w, c, out);
}

static void average_window(const kernel_call *call, const float *first, span rows, span columns,
                           float *out) {
  const plan_op *op = call->op;
  const graph_window *w = &op->window;
  const size_t c = op->shape.c;
  const size_t area =
      op->count_padding ? (size_t)w->kernel_h * w->kernel_w : rows.count * columns.count;
  call->simd->elementwise->window_sum(first, rows.count, op->in.w * c * w->dilation_h,
                                      columns.count, c * w->dilation_w, c, 1.0f / (float)area, out);
}

/* Pool one output row of one sample. */
static void pool_row(const kernel_call *call, size_t sample, size_t row, pool_window pool) {
  const plan_op *op = call->op;
  const span rows = clip_rows(op, row);
  float *out = call->output + (sample * op->shape.h + row) * op->shape.w * op->shape.c;
  for (size_t column = 0; column < op->shape.w; column++, out += op->shape.c) {
    const span columns = clip_columns(op, column);
    pool(call, pixel_at(call, sample, rows.start, columns.start), rows, columns, out);
  }
}

static void max_row(void *context, size_t sample, size_t row) {
  pool_row(context, sample, row, max_window);
}

static void average_row(void *context, size_t sample, size_t row) {
  pool_row(context, sample, row, average_window);
}

enum { CHANNEL_TILE = 64 };

static void global_average_tile(void *context, size_t sample, size_t channel, size_t count) {
  const kernel_call *call = context;
  const graph_shape in = call->op->in;
  call->simd->elementwise->window_sum(
      pixel_at(call, sample, 0, 0) + channel, in.h, (size_t)in.w * in.c, in.w, in.c, count,
      1.0f / ((float)in.h * (float)in.w), call->output + sample * in.c + channel);
}

static void run_max(const kernel_call *call) {
  pthreadpool_parallelize_2d(call->pool, max_row, (void *)(uintptr_t)call, call->batch,
                             call->op->shape.h, POOL_FLAGS);
}

static void run_average(const kernel_call *call) {
  pthreadpool_parallelize_2d(call->pool, average_row, (void *)(uintptr_t)call, call->batch,
                             call->op->shape.h, POOL_FLAGS);
}

static void run_global_average(const kernel_call *call) {
  pthreadpool_parallelize_2d_tile_1d(call->pool, global_average_tile, (void *)(uintptr_t)call,
                                     call->batch, call->op->shape.c, CHANNEL_TILE, POOL_FLAGS);
}

const kernel kernel_max_pool = {.name = "max_pool", .run = run_max, .describe = describe_window};
const kernel kernel_average_pool = {
    .name = "average_pool", .run = run_average, .describe = describe_window};
const kernel kernel_global_average_pool = {.name = "global_average_pool",
                                           .run = run_global_average};
