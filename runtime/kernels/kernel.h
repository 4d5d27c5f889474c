/* What a kernel is. One row of the table for each (kernels/table.c), one file for each or
 * a few of a kind. */
#ifndef LIBRESNET_RUNTIME_KERNELS_KERNEL_H
#define LIBRESNET_RUNTIME_KERNELS_KERNEL_H

#include <pthreadpool.h>
#include <xnnpack.h>

#include "runtime/kernels/simd/elementwise.h"
#include "runtime/kernels/xnnpack_weights.h"

/* What an op needs of a session; all zero for kernels that need nothing. */
typedef struct op_state {
  xnn_operator_t xnnpack;
  weights_provider weights;
} op_state;

/* One op of one session about to run, or to be made ready. Buffers are (batch,h,w,c) and
 * lie in the arena. */
typedef struct kernel_call {
  const plan_op *op;
  op_state *state;
  size_t batch;
  pthreadpool_t pool; /* NULL: on this thread */
  const vector_functions *vector;
  const float *input[2];
  float *output;
  /* session's, as large as the largest that `shape` asked for */
  void *workspace;
  size_t workspace_size; /* out, of `shape` */
} kernel_call;

typedef struct kernel {
  const char *name;
  bool is_convolution;
  /* a convolution that can add input[1] to its result before the clamp */
  bool adds_shortcut;
  /* bit k: the output may lie where input[k] lies, when nothing else reads that */
  unsigned in_place;
  /* Refuse what the kernel cannot run, or not within m's budget, when the model is
   * opened; NULL: it runs anything. */
  resnet_status (*check)(const plan_op *op, const memory *m, resnet_error *error);
  /* Bytes that pack will make of the op's weights on this CPU; 0: nothing, the kernel
   * reads them as they are (or cannot run on this CPU at all, which pack tells). NULL:
   * always 0. */
  size_t (*packed_size)(const plan_op *op);
  /* Pack the op's weights into op->packed, all zero before, and release them. NULL:
   * nothing to pack. */
  resnet_status (*pack)(plan_op *op, memory *m, resnet_error *error);
  /* Make state for a session; NULL: none. */
  resnet_status (*open)(const kernel_call *call, resnet_error *error);
  /* Adapt state to call->batch; allocates nothing when the batch only changed since the
   * last time; NULL: none. */
  resnet_status (*shape)(kernel_call *call, resnet_error *error);
  void (*run)(const kernel_call *call);
  void (*close)(op_state *state);
  /* Write what a person should read in the plan's table, e.g. "3x3 stride 2 relu". */
  void (*describe)(const plan_op *op, char *text, size_t size);
} kernel;

extern const kernel *const kernel_table[KERNEL_COUNT];

/* Rows, one name each. */
extern const kernel kernel_input, kernel_conv, kernel_winograd, kernel_winograd_strided,
    kernel_stem, kernel_gemm, kernel_add, kernel_subsample, kernel_affine, kernel_clamp,
    kernel_max_pool, kernel_average_pool, kernel_global_average_pool, kernel_softmax,
    kernel_log_softmax, kernel_sigmoid, kernel_scale, kernel_multiply, kernel_channel_conv,
    kernel_pad;

/* floats of an elementwise task: 64 KiB of each operand, a fraction of any L2 */
enum { ELEMENTS_PER_TASK = 16384 };

static inline size_t round_up(size_t x, size_t unit) { return (x + unit - 1) / unit * unit; }

/* Refuse an op whose packed weights, `rows` of `floats` each and a bias, are more bytes
 * than a size_t counts. */
resnet_status check_packed_weights(const plan_op *op, size_t rows, size_t floats,
                                   resnet_error *error);

/* Append to the NUL-terminated `text` in a buffer of `size` bytes, cut to fit. */
void describe_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* " relu", " relu6", " clamp -1..1" or "" for the op's clamp, appended to `text`. */
void describe_clamp(const plan_op *op, char *text, size_t size);
/* "identity", "projection", "option A", "pool", or "elementwise" for an addition outside
 * of blocks. */
const char *describe_shortcut(const plan_op *op);
/* "3x3 stride 2 pad 1,1,1,1 dilation 2" for the op's window. */
void describe_window(const plan_op *op, char *text, size_t size);

#endif
