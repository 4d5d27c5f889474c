/* The inner loops of our own kernels: one set of functions for each instruction set, and
 * the choice among them. The CPU of the build machine plays no part. */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_DISPATCH_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_DISPATCH_H

#include <stddef.h>

#include "runtime/kernels/simd/elementwise.h"
#include "runtime/kernels/simd/gemm.h"
#include "runtime/kernels/simd/grouped.h"
#include "runtime/kernels/simd/winograd.h"
#include "runtime/kernels/simd/winograd_stride2.h"

/* The families of functions. Family F is the source F.c, which defines an object of type
 * simd_F for each instruction set. Add a family by a source, its header and a line here;
 * add an instruction set by a line in cmake/Simd.cmake. */
#define SIMD_FAMILIES(FAMILY, set)                                                                 \
  FAMILY(elementwise, set)                                                                         \
  FAMILY(gemm, set)                                                                                \
  FAMILY(grouped, set)                                                                             \
  FAMILY(winograd, set)                                                                            \
  FAMILY(winograd_stride2, set)

enum { SIMD_MAX_BYTES = 64 /* the longest vector of all sets */ };

/* A pointer `F` for each family F, e.g. `const simd_gemm *gemm`. */
typedef struct simd_set {
  const char *name; /* the instruction set's */
  /* columns of weights that are packed and multiplied together: two vectors of floats */
  size_t panel;
#define SIMD_MEMBER(family, set) const simd_##family *family;
  SIMD_FAMILIES(SIMD_MEMBER, )
#undef SIMD_MEMBER
} simd_set;

/* Return the sets that this build holds and this CPU runs, the fastest first; NULL for an
 * index behind the last. */
const simd_set *simd_supported(size_t index);

const simd_set *simd_fastest(void);

#endif
