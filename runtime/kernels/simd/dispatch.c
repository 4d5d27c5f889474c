/* This file alone asks for the CPU's features. RESNET_VECTORS is the highest level that
 * may be chosen: 2: up to AVX-512, 1: up to AVX2, 0: the portable set alone. Tests link
 * this file once more with lower values, to run whole networks with each set. */
#include "runtime/kernels/simd/dispatch.h"

/* simd_sets.h is written by cmake/Simd.cmake: a line SIMD_SET(level, name, bytes, runs)
 * for each instruction set, the fastest first; `runs` tests the CPU. */
#define DECLARE(family, set) extern const simd_##family simd_##family##_##set;
#define SIMD_SET(level, set, bytes, runs)                                                          \
  SIMD_FAMILIES(DECLARE, set)                                                                      \
  _Static_assert((bytes) <= SIMD_MAX_BYTES, "buffers have room for a vector behind their end");
#include "simd_sets.h"
#undef SIMD_SET

#define INSTANCE(family, set) .family = &simd_##family##_##set,
#define SIMD_SET(level, set, bytes, runs)                                                          \
  static const simd_set set_##set = {                                                              \
      .name = #set, .panel = 2 * (bytes) / sizeof(float), SIMD_FAMILIES(INSTANCE, set)};           \
  if ((level) <= RESNET_VECTORS && (runs) && index-- == 0) return &set_##set;

const simd_set *simd_supported(size_t index) {
#include "simd_sets.h"
  return NULL;
}

const simd_set *simd_fastest(void) { return simd_supported(0); }
