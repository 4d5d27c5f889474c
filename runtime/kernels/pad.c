/* Borders around height and width that no convolution can include in its own padding:
 * mirrored or repeated pixels, or a value other than zero. */
#include "runtime/kernels/table.h"

#include <string.h>

#include "runtime/kernels/describe.h"

/* Find the source of row or column `out` of the output. The input has `size` rows or
 * columns, behind a border of `before`. Return false in a border of a constant value. */
static bool find_pad_source(graph_pad_mode mode, size_t out, size_t before, size_t size,
                            size_t *source) {
  const bool in_front = out < before, inside = !in_front && out - before < size;
  if (inside)
    *source = out - before;
  else if (mode == GRAPH_PAD_EDGE)
    *source = in_front ? 0 : size - 1;
  else if (mode == GRAPH_PAD_REFLECT)
    *source = in_front ? before - out : 2 * (size - 1) - (out - before);
  return inside || mode != GRAPH_PAD_CONSTANT;
}

static void fill_floats(float *out, size_t count, float value) {
  for (size_t i = 0; i < count; i++) out[i] = value;
}

/* Write the border's columns [start,end) of one output row. */
static void pad_columns(const plan_op *op, const float *x, size_t start, size_t end, float *out) {
  const size_t c = op->shape.c;
  for (size_t column = start; column < end; column++) {
    size_t source;
    if (find_pad_source(op->pad_mode, column, op->window.pad_left, op->in.w, &source))
      memcpy(out + column * c, x + source * c, c * sizeof *out);
    else
      fill_floats(out + column * c, c, op->scalar);
  }
}

/* Write one output row of one sample. */
static void pad_row(void *context, size_t sample, size_t row) {
  const kernel_call *call = context;
  const plan_op *op = call->op;
  const size_t c = op->shape.c, left = op->window.pad_left, width = op->in.w;
  float *out = call->output + (sample * op->shape.h + row) * op->shape.w * c;
  size_t source;
  if (!find_pad_source(op->pad_mode, row, op->window.pad_top, op->in.h, &source)) {
    fill_floats(out, op->shape.w * c, op->scalar);
    return;
  }
  const float *x = call->input[0] + (sample * op->in.h + source) * width * c;
  pad_columns(op, x, 0, left, out);
  memcpy(out + left * c, x, width * c * sizeof *out);
  pad_columns(op, x, left + width, op->shape.w, out);
}

static void run_pad(const kernel_call *call) {
  pthreadpool_parallelize_2d(call->pool, pad_row, (void *)(uintptr_t)call, call->batch,
                             call->op->shape.h, POOL_FLAGS);
}

static void describe_pad(const plan_op *op, char *text, size_t size) {
  const graph_window *w = &op->window;
  if (op->pad_mode == GRAPH_PAD_CONSTANT)
    describe_append(text, size, "value %g ", (double)op->scalar);
  else
    describe_append(text, size, op->pad_mode == GRAPH_PAD_REFLECT ? "reflect " : "edge ");
  describe_append(text, size, "%u,%u,%u,%u", w->pad_top, w->pad_left, w->pad_bottom, w->pad_right);
}

const kernel kernel_pad = {.name = "pad", .run = run_pad, .describe = describe_pad};
