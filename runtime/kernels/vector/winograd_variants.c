#include "runtime/kernels/vector/winograd.h"

extern const winograd_functions winograd_portable;
#if RESNET_HAVE_AVX
extern const winograd_functions winograd_avx2, winograd_avx512;
#endif

const winograd_functions *winograd_variant(size_t index) {
#if RESNET_HAVE_AVX
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq")) {
    if (index == 0) return &winograd_avx512;
    index--;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    if (index == 0) return &winograd_avx2;
    index--;
  }
#endif
  return index == 0 ? &winograd_portable : NULL;
}
