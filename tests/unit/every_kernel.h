/* Models that together use every kernel of a plan, for tests that must cover all of
 * them. */
#ifndef LIBRESNET_TESTS_EVERY_KERNEL_H
#define LIBRESNET_TESTS_EVERY_KERNEL_H

#include "plan_network.h"
#include "runtime/api/model.h"

enum { EVERY_KERNEL_FILES = 7 };

/* Return the bytes of file `index`; the caller releases them. */
buffer every_kernel_file(size_t index);

/* Return the kernels of an open model, by bit. All files together give EVERY_KERNEL,
 * except KERNEL_INPUT. */
#define EVERY_KERNEL ((1U << KERNEL_COUNT) - 1)
unsigned every_kernel_of(const resnet_model *model);

#endif
