/* The one place that asks what the CPU has: which compilations of the bodies it runs.
 * RESNET_VECTORS says which may be chosen at all: 2: up to AVX-512, 1: up to AVX2, 0: the
 * portable ones only. Tests link this file once more with less, to run whole nets with
 * each. */
#include "runtime/kernels/simd/gemm.h"
#include "runtime/kernels/simd/winograd_stride2.h"
#include "runtime/kernels/simd/elementwise.h"
#include "runtime/kernels/simd/winograd.h"

extern const vector_functions vector_portable;
extern const matrix_functions matrix_portable;
extern const winograd_functions winograd_portable;
extern const strided_functions strided_portable;
#if RESNET_VECTORS >= 1
extern const vector_functions vector_avx2;
extern const matrix_functions matrix_avx2;
extern const winograd_functions winograd_avx2;
extern const strided_functions strided_avx2;
#endif
#if RESNET_VECTORS >= 2
extern const vector_functions vector_avx512;
extern const matrix_functions matrix_avx512;
extern const winograd_functions winograd_avx512;
extern const strided_functions strided_avx512;
#endif

typedef struct variant {
  const vector_functions *vector;
  const matrix_functions *matrix;
  const winograd_functions *winograd;
  const strided_functions *strided;
} variant;

static variant variant_at(size_t index) {
#if RESNET_VECTORS >= 2
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    if (index == 0)
      return (variant){&vector_avx512, &matrix_avx512, &winograd_avx512, &strided_avx512};
    index--;
  }
#endif
#if RESNET_VECTORS >= 1
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    if (index == 0) return (variant){&vector_avx2, &matrix_avx2, &winograd_avx2, &strided_avx2};
    index--;
  }
#endif
  return index == 0
             ? (variant){&vector_portable, &matrix_portable, &winograd_portable, &strided_portable}
             : (variant){NULL, NULL, NULL, NULL};
}

const vector_functions *vector_variant(size_t index) { return variant_at(index).vector; }

const matrix_functions *matrix_variant(size_t index) { return variant_at(index).matrix; }

const winograd_functions *winograd_variant(size_t index) { return variant_at(index).winograd; }

const strided_functions *strided_variant(size_t index) { return variant_at(index).strided; }
