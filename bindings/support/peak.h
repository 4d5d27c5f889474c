/* The most that one thread of this CPU can compute and read, to compare kernels with. */
#ifndef RESNET_SUPPORT_PEAK_H
#define RESNET_SUPPORT_PEAK_H

#include <stddef.h>
#include <stdint.h>

/* Return the name of the instruction set of peak_multiply: the widest that this CPU and
 * the library's kernels have, e.g. "avx512". */
const char *peak_instructions(void);

/* Multiply and add for `rounds` rounds, in as many registers as hide the latency. Return
 * the number of operations: each multiplication and each addition is one. */
uint64_t peak_multiply(uint32_t rounds);

/* Read all bytes of `numbers`. Return a value that depends on all, so that no compiler
 * leaves the reading out. */
uint64_t peak_read(const uint64_t *numbers, size_t count);

#endif
