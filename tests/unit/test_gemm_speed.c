/* Matrix products are nearly as fast as their instructions allow. One sum that the
 * compiler keeps on the stack costs a factor of up to three, and no test of results
 * notices it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "runtime/kernels/simd/dispatch.h"
#include "sanitized.h"

#if defined(SANITIZED)
#define SLOW "a sanitizer slows it down"
#elif !defined(__OPTIMIZE__)
#define SLOW "the build is not optimised"
#endif

enum {
  ROWS = 48,
  C = 128,
  O = 128,
  SUMS = 12, /* in a peak loop: enough to hide the latency of an addition */
  STEPS = 500,
  /* take as long as a product, 10 to 40 us: too short for most interruptions */
  PEAK_RUNS = 16,
  MIN_ROUNDS = 1000, /* after which the best rates hardly change */
  MAX_ROUNDS = 50000 /* a few seconds */
};

/* Define peak_NAME: a loop that multiplies and adds vectors in registers, and broadcasts
 * one float for every two products, like a matrix product. Its sums have names, so that
 * they stay in registers; tests/kernels checks that. `x` has SUMS / 2 floats for each
 * step. */
#define PEAK(NAME, WIDTH, ATTRIBUTES)                                                              \
  ATTRIBUTES __attribute__((noinline)) static void peak_##NAME(const float *x, float *out) {       \
    typedef float vec __attribute__((vector_size(WIDTH * sizeof(float))));                         \
    vec y, z, a = {0}, b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a;              \
    vec k = a, l = a;                                                                              \
    memcpy(&y, x, sizeof y);                                                                       \
    memcpy(&z, x + WIDTH, sizeof z);                                                               \
    for (size_t n = 0; n < STEPS; n++, x += SUMS / 2) {                                            \
      a += x[0] * y, b += x[0] * z;                                                                \
      c += x[1] * y, d += x[1] * z;                                                                \
      e += x[2] * y, f += x[2] * z;                                                                \
      g += x[3] * y, h += x[3] * z;                                                                \
      i += x[4] * y, j += x[4] * z;                                                                \
      k += x[5] * y, l += x[5] * z;                                                                \
    }                                                                                              \
    a += b + c + d + e + f + g + h + i + j + k + l;                                                \
    memcpy(out, &a, sizeof a);                                                                     \
  }

PEAK(portable, 4, )
#if defined(__x86_64__)
PEAK(avx2, 8, __attribute__((target("avx2,fma"))))
PEAK(avx512, 16, __attribute__((target("avx512f"))))
#endif

typedef struct peak {
  const char *test; /* its name */
  const char *set;  /* the name of the simd_set */
  size_t width;     /* floats of a vector */
  void (*run)(const float *x, float *out);
  double min_share; /* a product must reach this share of the peak */
} peak;

/* With three of twelve sums on the stack, AVX2 reached 44 % of its peak on a Zen 4, SSE2
 * 73 %. Apart from the broadcasts, SSE2 multiplies and adds at 56 GF/s there; its peak
 * here is 40. */
static peak peaks[] = {
    {"portable_products_reach_their_peak", "portable", 4, peak_portable, 0.80},
#if defined(__x86_64__)
    {"avx2_products_reach_their_peak", "avx2", 8, peak_avx2, 0.70},
    {"avx512_products_reach_their_peak", "avx512", 16, peak_avx512, 0.70},
#endif
};
enum { PEAKS = sizeof peaks / sizeof *peaks };

static void every_instruction_set_has_a_peak(void **state) {
  (void)state;
  for (size_t i = 0; simd_supported(i); i++) {
    size_t k = 0;
    while (k < PEAKS && strcmp(peaks[k].set, simd_supported(i)->name) != 0) k++;
    if (k == PEAKS) fail_msg("%s has no row in peaks", simd_supported(i)->name);
  }
}

#if !defined(SLOW)
typedef enum task { PEAK_LOOP, MULTIPLY, MULTIPLY_EPILOGUE, TASKS } task;

static float a[ROWS * C], packed[C * O], bias[O], out[ROWS * O], x[STEPS * SUMS / 2];

static void fill(float *to, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = (float)(i % 7) - 3.0f;
}

static const simd_set *find_set(const char *name) {
  size_t i = 0;
  while (simd_supported(i) && strcmp(simd_supported(i)->name, name) != 0) i++;
  return simd_supported(i);
}

static void run(task what, const peak *p, const simd_gemm *f) {
  const simd_product product = {.a = a,
                                .a_stride = C,
                                .packed = packed,
                                .c = C,
                                .o = O,
                                .out = out,
                                .out_stride = O,
                                .count = 1};
  const simd_epilogue epilogue = {bias, NULL, 0.0f, 1e9f};
  if (what == MULTIPLY) f->multiply(&product, ROWS);
  if (what == MULTIPLY_EPILOGUE) f->multiply_epilogue(&product, &epilogue, ROWS);
  for (int i = 0; what == PEAK_LOOP && i < PEAK_RUNS; i++) p->run(x, out);
}

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Let the tasks take turns until both products reach their share. Keep each task's best
 * rate, in floating-point operations per nanosecond. */
static void measure(const peak *p, const simd_gemm *f, double rate[TASKS]) {
  const double products = 2.0 * ROWS * C * O;
  const double sums = 2.0 * PEAK_RUNS * STEPS * SUMS * (double)p->width;
  bool reached = false;
  for (size_t round = 0; round < MAX_ROUNDS && !(reached && round >= MIN_ROUNDS); round++) {
    for (task what = PEAK_LOOP; what < TASKS; what++) {
      const double start = nanoseconds();
      run(what, p, f);
      const double found = (what == PEAK_LOOP ? sums : products) / (nanoseconds() - start);
      if (found > rate[what]) rate[what] = found;
    }
    const double asked = p->min_share * rate[PEAK_LOOP];
    reached = rate[MULTIPLY] >= asked && rate[MULTIPLY_EPILOGUE] >= asked;
  }
}

static void products_reach_their_peak(void **state) {
  const peak *p = *state;
  const simd_set *set = find_set(p->set);
  if (!set) {
    print_message("skipped: the CPU or the build has no %s\n", p->set);
    skip();
  }
  fill(a, ROWS * C);
  fill(packed, C * O);
  fill(x, STEPS * SUMS / 2);
  double rate[TASKS] = {0};
  measure(p, set->gemm, rate);
  const double asked = p->min_share * rate[PEAK_LOOP];
  print_message(
      "%s: multiply %.1f GF/s, multiply_epilogue %.1f; at least %.1f expected, peak %.1f\n", p->set,
      rate[MULTIPLY], rate[MULTIPLY_EPILOGUE], asked, rate[PEAK_LOOP]);
  assert_true(rate[MULTIPLY] >= asked);
  assert_true(rate[MULTIPLY_EPILOGUE] >= asked);
}
#else
static void products_reach_their_peak(void **state) {
  (void)state;
  print_message("skipped: " SLOW "\n");
  skip();
}
#endif

int main(void) {
  struct CMUnitTest tests[PEAKS + 1] = {cmocka_unit_test(every_instruction_set_has_a_peak)};
  for (size_t i = 0; i < PEAKS; i++) {
    const struct CMUnitTest one = {peaks[i].test, products_reach_their_peak, NULL, NULL, &peaks[i]};
    tests[i + 1] = one;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
