#include "runtime/kernels/describe.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void describe_append(char *text, size_t size, const char *format, ...) {
  const size_t used = strlen(text);
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text + used, size - used, format, arguments);
  va_end(arguments);
}

const char *describe_shortcut(const plan_op *op) {
  return op->shortcut == RESNET_SHORTCUT_NONE ? "elementwise" : plan_shortcut_name(op->shortcut);
}

void describe_clamp(const plan_op *op, char *text, size_t size) {
  if (op->clamp_min == 0.0f && op->clamp_max == INFINITY)
    describe_append(text, size, " relu");
  else if (op->clamp_min == 0.0f && op->clamp_max == 6.0f)
    describe_append(text, size, " relu6");
  else if (op->clamp_min != -INFINITY || op->clamp_max != INFINITY)
    describe_append(text, size, " clamp %g..%g", (double)op->clamp_min, (double)op->clamp_max);
}

void describe_window(const plan_op *op, char *text, size_t size) {
  const graph_window *w = &op->window;
  describe_append(text, size, "%ux%u", w->kernel_h, w->kernel_w);
  if (w->stride_h != w->stride_w)
    describe_append(text, size, " stride %u,%u", w->stride_h, w->stride_w);
  else
    describe_append(text, size, " stride %u", w->stride_h);
  const bool equal =
      w->pad_top == w->pad_left && w->pad_top == w->pad_bottom && w->pad_top == w->pad_right;
  if (equal && w->pad_top > 0)
    describe_append(text, size, " pad %u", w->pad_top);
  else if (!equal)
    describe_append(text, size, " pad %u,%u,%u,%u", w->pad_top, w->pad_left, w->pad_bottom,
                    w->pad_right);
  if (w->dilation_h != 1 || w->dilation_w != 1)
    describe_append(text, size, " dilation %u,%u", w->dilation_h, w->dilation_w);
}

void describe_convolution(const plan_op *op, char *text, size_t size) {
  const graph_window *w = &op->window;
  if (op->in.h == 1 && op->in.w == 1 && w->kernel_h == 1 && w->kernel_w == 1)
    describe_append(text, size, "fully connected");
  else
    describe_window(op, text, size);
  if (op->groups > 1) describe_append(text, size, " groups %u", op->groups);
  if (op->winograd_unsafe) describe_append(text, size, " (dynamic range too wide for winograd)");
}
