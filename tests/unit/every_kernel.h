/* Files that have, among them, every kernel that a plan may name: for tests of what must
 * hold for all. */
#ifndef LIBRESNET_TESTS_EVERY_KERNEL_H
#define LIBRESNET_TESTS_EVERY_KERNEL_H

#include "plan_net.h"
#include "runtime/api/model.h"

enum { EVERY_KERNEL_FILES = 6 };

/* The caller releases it. */
buffer every_kernel_file(size_t index);

/* The kernels of an open model, by bit; of all files together these are EVERY_KERNEL (but
 * for KERNEL_INPUT). */
#define EVERY_KERNEL ((1U << KERNEL_COUNT) - 1)
unsigned every_kernel_of(const resnet_model *model);

#endif
