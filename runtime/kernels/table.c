/* The one place where a plan_kernel becomes code. For a new kernel add a row here, a name
 * to plan_kernel in plan.h, and a source with its header. */
#include "runtime/kernels/table.h"

#include "runtime/kernels/add.h"
#include "runtime/kernels/conv_xnnpack.h"
#include "runtime/kernels/elementwise.h"
#include "runtime/kernels/gate.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/pad.h"
#include "runtime/kernels/pool.h"
#include "runtime/kernels/softmax.h"
#include "runtime/kernels/winograd.h"
#include "runtime/kernels/winograd_stride2.h"

const kernel *const kernel_table[KERNEL_COUNT] = {
    [KERNEL_INPUT] = &kernel_input,
    [KERNEL_CONV] = &kernel_conv,
    [KERNEL_WINOGRAD] = &kernel_winograd,
    [KERNEL_STEM] = &kernel_stem,
    [KERNEL_WINOGRAD_STRIDE2] = &kernel_winograd_stride2,
    [KERNEL_GEMM] = &kernel_gemm,
    [KERNEL_ADD] = &kernel_add,
    [KERNEL_SUBSAMPLE] = &kernel_subsample,
    [KERNEL_AFFINE] = &kernel_affine,
    [KERNEL_CLAMP] = &kernel_clamp,
    [KERNEL_MAX_POOL] = &kernel_max_pool,
    [KERNEL_AVERAGE_POOL] = &kernel_average_pool,
    [KERNEL_GLOBAL_AVERAGE_POOL] = &kernel_global_average_pool,
    [KERNEL_SOFTMAX] = &kernel_softmax,
    [KERNEL_LOG_SOFTMAX] = &kernel_log_softmax,
    [KERNEL_SIGMOID] = &kernel_sigmoid,
    [KERNEL_SCALE] = &kernel_scale,
    [KERNEL_MULTIPLY] = &kernel_multiply,
    [KERNEL_CHANNEL_CONV] = &kernel_channel_conv,
    [KERNEL_PAD] = &kernel_pad,
};
