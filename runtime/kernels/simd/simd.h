/* The vector types of the sources in this folder. Each source is compiled once for each
 * instruction set (cmake/Simd.cmake), which defines SIMD_NAME and SIMD_BYTES, the size of
 * a vector. The compiler translates arithmetic on its own vector types. */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_SIMD_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_SIMD_H

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(SIMD_BYTES)));
/* as many doubles as a vec has floats */
typedef double wide __attribute__((vector_size(2 * SIMD_BYTES)));

enum {
  WIDTH = SIMD_BYTES / sizeof(float), /* floats of a vec */
  PANEL = 2 * WIDTH                   /* simd_set's panel */
};

/* The name of this instruction set's instance of a family, e.g. simd_gemm_avx2. */
#define SIMD_INSTANCE(family) SIMD_INSTANCE_(family, SIMD_NAME)
#define SIMD_INSTANCE_(family, name) SIMD_INSTANCE__(family, name)
#define SIMD_INSTANCE__(family, name) simd_##family##_##name

#define INLINE static inline __attribute__((always_inline))

/* For loops over a tile's rows and columns, whose bounds are constant: once unrolled, the
 * tile's values stay in registers. */
#define UNROLLED _Pragma("GCC unroll 8")

/* Hide from the compiler that a stride is the same in each pass of a loop. Otherwise GCC
 * computes the tens of addresses of a tile before the loop and keeps them on the stack,
 * which takes longer than the loop's few passes. */
#define OPAQUE(stride) __asm__("" : "+r"(stride))

/* Return a vector of x. x - 0 is x, -0 included: compilers omit the subtraction, but not
 * the addition of 0. */
INLINE vec broadcast(float x) { return x - (vec){0}; }

/* Return `count` floats, followed by zeros. Callers pass the constant WIDTH where they
 * can. */
INLINE vec load(const float *x, size_t count) {
  vec v = {0};
  memcpy(&v, x, count * sizeof *x);
  return v;
}

INLINE void store(float *x, vec v, size_t count) { memcpy(x, &v, count * sizeof *x); }

/* Limit x to low..high; NaN stays NaN. Compilers need four instructions for the generic
 * version, x86-64 has two. */
#if defined(__AVX512F__) && SIMD_BYTES == 64
INLINE vec clamp_vec(vec x, vec low, vec high) {
  return (vec)_mm512_min_ps((__m512)high, _mm512_max_ps((__m512)low, (__m512)x));
}
#elif defined(__AVX__) && SIMD_BYTES == 32
INLINE vec clamp_vec(vec x, vec low, vec high) {
  return (vec)_mm256_min_ps((__m256)high, _mm256_max_ps((__m256)low, (__m256)x));
}
#elif defined(__SSE2__) && SIMD_BYTES == 16
INLINE vec clamp_vec(vec x, vec low, vec high) {
  return (vec)_mm_min_ps((__m128)high, _mm_max_ps((__m128)low, (__m128)x));
}
#else
/* the result of comparing two vec: 0 or -1 for each float */
typedef int mask __attribute__((vector_size(SIMD_BYTES)));

INLINE vec select(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }

INLINE vec clamp_vec(vec x, vec low, vec high) {
  x = select(x < low, low, x);
  return select(x > high, high, x);
}
#endif

#endif
