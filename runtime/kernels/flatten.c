/* An image as one vector, in the order that the file gives it. */
#include "runtime/kernels/table.h"

#include <string.h>

#include "runtime/kernels/describe.h"

/* Write one channel of one sample: its pixels, `channels` floats apart, one after the
 * other. */
static void flatten_channel(void *context, size_t sample, size_t channel) {
  const kernel_call *call = context;
  const graph_shape in = call->op->in;
  const size_t pixels = (size_t)in.h * in.w;
  const float *x = call->input[0] + sample * pixels * in.c + channel;
  float *out = call->output + (sample * in.c + channel) * pixels;
  for (size_t i = 0; i < pixels; i++) out[i] = x[i * in.c];
}

static void run_flatten(const kernel_call *call) {
  const size_t count = call->batch * plan_shape_floats(call->op->shape);
  if (call->op->channels_last)
    memcpy(call->output, call->input[0], count * sizeof *call->output);
  else
    pthreadpool_parallelize_2d(call->pool, flatten_channel, (void *)(uintptr_t)call, call->batch,
                               call->op->in.c, POOL_FLAGS);
}

static void describe_flatten(const plan_op *op, char *text, size_t size) {
  describe_append(text, size, op->channels_last ? "h,w,c" : "c,h,w");
}

const kernel kernel_flatten = {.name = "flatten", .run = run_flatten, .describe = describe_flatten};
