/* The vector layer of matrix_body.h and winograd_body.h: the compilers' own vector types,
 * whose arithmetic becomes the instruction set's. Includers define VARIANT and
 * VECTOR_BYTES first. */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_SIMD_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_SIMD_H

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(VECTOR_BYTES)));
/* as many doubles as a vec has floats */
typedef double wide __attribute__((vector_size(2 * VECTOR_BYTES)));

enum { WIDTH = VECTOR_BYTES / sizeof(float) };

#define INLINE static inline __attribute__((always_inline))

/* `count` floats, the rest zero; callers pass a constant WIDTH wherever there are that
 * many. */
INLINE vec load(const float *x, size_t count) {
  vec v = {0};
  memcpy(&v, x, count * sizeof *x);
  return v;
}

INLINE void store(float *x, vec v, size_t count) { memcpy(x, &v, count * sizeof *x); }

/* x limited to low..high; NaN stays NaN. The compilers make four instructions of what the
 * vector types can say. */
#if defined(__AVX512F__) && VECTOR_BYTES == 64
INLINE vec clamp(vec x, vec low, vec high) {
  return (vec)_mm512_min_ps((__m512)high, _mm512_max_ps((__m512)low, (__m512)x));
}
#elif defined(__AVX__) && VECTOR_BYTES == 32
INLINE vec clamp(vec x, vec low, vec high) {
  return (vec)_mm256_min_ps((__m256)high, _mm256_max_ps((__m256)low, (__m256)x));
}
#elif defined(__SSE2__) && VECTOR_BYTES == 16
INLINE vec clamp(vec x, vec low, vec high) {
  return (vec)_mm_min_ps((__m128)high, _mm_max_ps((__m128)low, (__m128)x));
}
#else
/* what comparing two vec gives: 0 or -1 */
typedef int mask __attribute__((vector_size(VECTOR_BYTES)));

INLINE vec select(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }

INLINE vec clamp(vec x, vec low, vec high) {
  x = select(x < low, low, x);
  return select(x > high, high, x);
}
#endif

/* For loops over a tile's rows and columns, whose bounds are constant: unrolled, the
 * tile's values stay in registers.
 */
#define UNROLLED _Pragma("GCC unroll 8")

/* The name of a variant, and of its object in a family. */
#define STRINGIFY(text) #text
#define NAME_OF(variant) STRINGIFY(variant)
#define JOIN(family, variant) JOIN_(family, variant)
#define JOIN_(family, variant) family##_##variant

#endif
