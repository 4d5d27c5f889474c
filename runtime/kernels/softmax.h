#ifndef LIBRESNET_RUNTIME_KERNELS_SOFTMAX_H
#define LIBRESNET_RUNTIME_KERNELS_SOFTMAX_H

#include "runtime/kernels/kernel.h"

/* Return log(exp(x[0]) + ... + exp(x[n-1])) without overflow, added up in index order.
 * n is at least 1. */
double kernel_log_sum_exp(const float *x, size_t n);

#endif
