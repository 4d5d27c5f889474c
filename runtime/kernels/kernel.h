/* A kernel computes one kind of op. Each is a row of the table in table.h. */
#ifndef LIBRESNET_RUNTIME_KERNELS_KERNEL_H
#define LIBRESNET_RUNTIME_KERNELS_KERNEL_H

#include <pthreadpool.h>
#include <xnnpack.h>

#include "runtime/kernels/simd/dispatch.h"
#include "runtime/kernels/xnnpack_weights.h"
#include "runtime/plan/plan.h"
#include "runtime/system/caches.h"

/* What one op keeps in one session; all zero for kernels that keep nothing. */
typedef struct kernel_state {
  xnn_operator_t xnnpack;
  weights_provider weights;
} kernel_state;

/* The arguments of a kernel: one op of one session. Buffers are (batch,h,w,c) and part of
 * the arena. */
typedef struct kernel_call {
  const plan_op *op;
  kernel_state *state;
  size_t batch;
  pthreadpool_t pool; /* NULL: the calling thread alone */
  const simd_set *simd;
  system_caches caches; /* results must not depend on them */
  const float *input[2];
  float *output;
  void *workspace;       /* the session's, as large as the largest workspace_size */
  size_t workspace_size; /* bytes; set by `shape` */
} kernel_call;

typedef struct kernel {
  const char *name;
  bool is_convolution;
  /* a convolution that can add input[1] to its result before the clamp */
  bool adds_shortcut;
  /* bit k: the output may use input[k]'s buffer when no other op reads that */
  unsigned in_place;
  /* it loads whole vectors from any channel of input[0], so up to a vector past its end
   * even if the channels fill whole vectors */
  bool loads_past;
  /* Refuse, when the model is opened, what the kernel cannot run; NULL: it runs
   * anything. */
  resnet_status (*check)(const plan_op *op, resnet_error *error);
  /* Return the bytes of the op's packed weights on this CPU. 0: the kernel reads the
   * weights unpacked, or cannot run on this CPU at all, for which `pack` fails.
   * NULL: always 0. */
  size_t (*packed_size)(const plan_op *op);
  /* Pack the op's weights into op->packed, all zero before, and release them. NULL:
   * nothing to pack. */
  resnet_status (*pack)(plan_op *op, memory *m, resnet_error *error);
  /* Return at least as many bytes as `open` and `shape` allocate outside the session's
   * memory; UINT64_MAX: more than that. NULL: none. */
  uint64_t (*state_bytes)(const plan_op *op);
  /* Make state for a session; NULL: none. */
  resnet_status (*open)(const kernel_call *call, resnet_error *error);
  /* Adapt state to call->batch. This allocates nothing when only the batch has changed
   * since the previous call. NULL: nothing to adapt. */
  resnet_status (*shape)(kernel_call *call, resnet_error *error);
  void (*run)(const kernel_call *call);
  void (*close)(kernel_state *state);
  /* Return the multiplications of one sample; NULL: op->macs. */
  uint64_t (*multiplications)(const plan_op *op);
  /* Write the op's settings for the plan's table, e.g. "3x3 stride 2 relu". */
  void (*describe)(const plan_op *op, char *text, size_t size);
} kernel;

/* Flags of each call of pthreadpool: subnormal numbers are 0 in all threads, as in
 * XNNPACK's operators. So the choice of a kernel, fusion, and the caller's own setting do
 * not decide whether they are. */
enum { POOL_FLAGS = PTHREADPOOL_FLAG_DISABLE_DENORMALS };

/* floats of an elementwise task: 64 KiB of each operand, a fraction of any L2 */
enum { ELEMENTS_PER_TASK = 16384 };

static inline size_t round_up(size_t x, size_t unit) { return (x + unit - 1) / unit * unit; }

static inline size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

#endif
