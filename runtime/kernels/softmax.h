#ifndef LIBRESNET_RUNTIME_KERNELS_SOFTMAX_H
#define LIBRESNET_RUNTIME_KERNELS_SOFTMAX_H

#include "runtime/kernels/kernel.h"

/* Return log(exp(x[0] - largest) + ... + exp(x[n-1] - largest)), added up in index order;
 * *largest is the largest x. n is at least 1. The two stay apart: in their sum, the
 * logarithm is lost beside a number of 2^53. */
double kernel_log_sum_exp(const float *x, size_t n, double *largest);

#endif
