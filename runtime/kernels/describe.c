#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/kernels/kernel.h"

static void append(char *text, size_t size, const char *more) {
  size_t used = strlen(text);
  if (used < size) (void)snprintf(text + used, size - used, "%s", more);
}

static const char *const shortcut_names[] = {
    [RESNET_SHORTCUT_NONE] = "elementwise",
    [RESNET_SHORTCUT_IDENTITY] = "identity",
    [RESNET_SHORTCUT_PROJECTION] = "projection",
    [RESNET_SHORTCUT_OPTION_A] = "option A",
};

const char *describe_shortcut(const plan_op *op) { return shortcut_names[op->shortcut]; }

void describe_clamp(const plan_op *op, char *text, size_t size) {
  char clamp[64] = "";
  if (op->clamp_min == 0.0f && op->clamp_max == INFINITY)
    append(clamp, sizeof clamp, " relu");
  else if (op->clamp_min == 0.0f && op->clamp_max == 6.0f)
    append(clamp, sizeof clamp, " relu6");
  else if (op->clamp_min != -INFINITY || op->clamp_max != INFINITY)
    (void)snprintf(clamp, sizeof clamp, " clamp %g..%g", (double)op->clamp_min, (double)op->clamp_max);
  append(text, size, clamp);
}

void describe_window(const plan_op *op, char *text, size_t size) {
  const graph_window *w = &op->window;
  char part[96];
  (void)snprintf(part, sizeof part, "%ux%u", w->kernel_h, w->kernel_w);
  append(text, size, part);
  if (w->stride_h != w->stride_w)
    (void)snprintf(part, sizeof part, " stride %u,%u", w->stride_h, w->stride_w);
  else
    (void)snprintf(part, sizeof part, " stride %u", w->stride_h);
  append(text, size, part);
  bool even = w->pad_top == w->pad_left && w->pad_top == w->pad_bottom && w->pad_top == w->pad_right;
  part[0] = '\0';
  if (even && w->pad_top > 0)
    (void)snprintf(part, sizeof part, " pad %u", w->pad_top);
  else if (!even)
    (void)snprintf(part, sizeof part, " pad %u,%u,%u,%u", w->pad_top, w->pad_left, w->pad_bottom, w->pad_right);
  append(text, size, part);
  if (w->dilation_h == 1 && w->dilation_w == 1) return;
  (void)snprintf(part, sizeof part, " dilation %u,%u", w->dilation_h, w->dilation_w);
  append(text, size, part);
}
