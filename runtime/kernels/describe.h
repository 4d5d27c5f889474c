/* Parts of the texts that kernels write into the plan's table. */
#ifndef LIBRESNET_RUNTIME_KERNELS_DESCRIBE_H
#define LIBRESNET_RUNTIME_KERNELS_DESCRIBE_H

#include "runtime/plan/plan.h"

/* Append to the NUL-terminated `text` in a buffer of `size` bytes, cut to fit. */
void describe_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Append " relu", " relu6", " clamp -1..1" or nothing for the op's clamp. */
void describe_clamp(const plan_op *op, char *text, size_t size);

/* Append e.g. "3x3 stride 2 pad 1,1,1,1 dilation 2" for the op's window. */
void describe_window(const plan_op *op, char *text, size_t size);

/* Append "fully connected" or the window, then the groups, and why a 3x3 convolution
 * cannot use Winograd's algorithm. */
void describe_convolution(const plan_op *op, char *text, size_t size);

/* Return "identity", "projection", "option A", "pool", or "elementwise" for an addition
 * outside of blocks. */
const char *describe_shortcut(const plan_op *op);

#endif
