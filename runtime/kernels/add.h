#ifndef LIBRESNET_RUNTIME_KERNELS_ADD_H
#define LIBRESNET_RUNTIME_KERNELS_ADD_H

#include "runtime/kernels/kernel.h"

/* ADD: the sum of a residual and its shortcut. */
extern const kernel kernel_add;

/* SUBSAMPLE: an option-A shortcut as a tensor of its own. */
extern const kernel kernel_subsample;

#endif
