#include "runtime/kernels/vector/vector.h"

extern const vector_functions vector_portable;
#if RESNET_HAVE_AVX
extern const vector_functions vector_avx2, vector_avx512;
#endif

const vector_functions *vector_variant(size_t index) {
#if RESNET_HAVE_AVX
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq")) {
    if (index == 0) return &vector_avx512;
    index--;
  }
  if (__builtin_cpu_supports("avx2")) {
    if (index == 0) return &vector_avx2;
    index--;
  }
#endif
  return index == 0 ? &vector_portable : NULL;
}
