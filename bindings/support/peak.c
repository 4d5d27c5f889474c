#include "support/peak.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* The library's limit to the instruction sets of its own kernels (cmake/Simd.cmake): 0:
 * SSE2, 1: AVX2, 2: AVX-512. */
#ifndef RESNET_VECTORS
#define RESNET_VECTORS 2
#endif

/* One step of each accumulator. They are named, because compilers keep arrays of vectors
 * in memory. Twelve hide a latency of four cycles on two units, with separate additions
 * one of eight on one. */
#define EACH(STEP)                                                                                 \
  STEP(s0)                                                                                         \
  STEP(s1)                                                                                         \
  STEP(s2) STEP(s3) STEP(s4) STEP(s5) STEP(s6) STEP(s7) STEP(s8) STEP(s9) STEP(s10) STEP(s11)
enum { ACCUMULATORS = 12, OPERATIONS = 2 };

/* Kept where the compiler cannot see it, so that it computes every step of every
 * accumulator. The sequence s * factor + term stays near 1. */
static volatile float first = 1.0f, factor = 0.5f, term = 0.5f, result;

#define DECLARE(s) VECTOR s = SPREAD(first);
#define ADVANCE(s) s = MULTIPLY_ADD(s);
#define SUM(s) sum = ADD(sum, s);
/* Define the function NAME, which returns the lanes of a vector. */
#define DEFINE_LOOP(NAME, TARGET)                                                                  \
  TARGET static uint32_t NAME(uint32_t rounds) {                                                   \
    const VECTOR a = SPREAD(factor), b = SPREAD(term);                                             \
    EACH(DECLARE)                                                                                  \
    for (uint32_t i = 0; i < rounds; i++) {                                                        \
      EACH(ADVANCE)                                                                                \
    }                                                                                              \
    VECTOR sum = a;                                                                                \
    EACH(SUM)                                                                                      \
    result = FIRST(sum);                                                                           \
    return sizeof(VECTOR) / sizeof(float);                                                         \
  }

#if defined(__x86_64__)
#define VECTOR __m512
#define SPREAD(x) _mm512_set1_ps(x)
#define MULTIPLY_ADD(s) _mm512_fmadd_ps(s, a, b)
#define ADD(x, y) _mm512_add_ps(x, y)
#define FIRST(x) _mm512_cvtss_f32(x)
DEFINE_LOOP(multiply_avx512, __attribute__((target("avx512f"))))
#undef VECTOR
#undef SPREAD
#undef MULTIPLY_ADD
#undef ADD
#undef FIRST

#define VECTOR __m256
#define SPREAD(x) _mm256_set1_ps(x)
#define MULTIPLY_ADD(s) _mm256_fmadd_ps(s, a, b)
#define ADD(x, y) _mm256_add_ps(x, y)
#define FIRST(x) _mm256_cvtss_f32(x)
DEFINE_LOOP(multiply_avx2, __attribute__((target("avx2,fma"))))
#undef VECTOR
#undef SPREAD
#undef MULTIPLY_ADD
#undef ADD
#undef FIRST

#define VECTOR __m128
#define SPREAD(x) _mm_set1_ps(x)
#define MULTIPLY_ADD(s) _mm_add_ps(_mm_mul_ps(s, a), b)
#define ADD(x, y) _mm_add_ps(x, y)
#define FIRST(x) _mm_cvtss_f32(x)
#elif defined(__aarch64__)
#define VECTOR float32x4_t
#define SPREAD(x) vdupq_n_f32(x)
#define MULTIPLY_ADD(s) vfmaq_f32(b, s, a)
#define ADD(x, y) vaddq_f32(x, y)
#define FIRST(x) vgetq_lane_f32(x, 0)
#else
#define VECTOR float
#define SPREAD(x) (x)
#define MULTIPLY_ADD(s) ((s)*a + b)
#define ADD(x, y) ((x) + (y))
#define FIRST(x) (x)
#endif
DEFINE_LOOP(multiply_baseline, )

typedef struct peak_set {
  const char *name;
  uint32_t (*multiply)(uint32_t rounds);
} peak_set;

static peak_set find_set(void) {
#if defined(__x86_64__)
  if (RESNET_VECTORS >= 2 && __builtin_cpu_supports("avx512f"))
    return (peak_set){"avx512", multiply_avx512};
  if (RESNET_VECTORS >= 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return (peak_set){"avx2", multiply_avx2};
  return (peak_set){"sse2", multiply_baseline};
#elif defined(__aarch64__)
  return (peak_set){"neon", multiply_baseline};
#else
  return (peak_set){"scalar", multiply_baseline};
#endif
}

const char *peak_instructions(void) { return find_set().name; }

uint64_t peak_multiply(uint32_t rounds) {
  const uint64_t lanes = find_set().multiply(rounds);
  return lanes * ACCUMULATORS * OPERATIONS * rounds;
}

uint64_t peak_read(const uint64_t *numbers, size_t count) {
  uint64_t mixed = 0;
  for (size_t i = 0; i < count; i++) mixed ^= numbers[i];
  return mixed;
}
