#include "runtime/plan/cost_constants.h"

#include <stddef.h>
#include <string.h>

/* Measured on one thread by tests/bench/calibrate.py; the first row serves every
 * instruction set that has none.
 *
 * A class has CPUs of different balance: a byte from memory costs as much as 1.4
 * multiply-accumulates on an AMD Zen 4, 5 on an Intel Cascade Lake with AVX-512. The
 * constants are chosen between them, so that neither loses much.
 *
 * avx512: Zen 4 and Cascade Lake.
 * avx2, portable: Cascade Lake restricted to these instructions; our kernels among
 *   themselves. XNNPACK against them: Zen 3. */
static const plan_cost_constants constants[] = {
    {.simd = "portable",
     .panel = 8,
     .product = 0.98,
     .tap = 20.0,
     .grouped = 0.9,
     .spread = 8.0,
     .depthwise = 30.0,
     .transform = 4.0,
     .split = 6.0,
     .addition = 7.0,
     .weight = 1.2,
     .fetched = 0.4,
     .starved = 0.8,
     .starving_rows = 12,
     .starving_bytes = 12.0 * 1024 * 1024},
    {.simd = "avx2",
     .panel = 16,
     .product = 0.94,
     .tap = 60.0,
     .grouped = 1.8,
     .spread = 2.0,
     .depthwise = 30.0,
     .transform = 9.0,
     .split = 12.0,
     .addition = 7.0,
     .weight = 2.0,
     .fetched = 0.5,
     .starved = 0.9,
     .starving_rows = 12,
     .starving_bytes = 1.0 * 1024 * 1024},
    {.simd = "avx512",
     .panel = 32,
     .product = 0.98,
     .tap = 120.0,
     .grouped = 1.15,
     .spread = 2.0,
     .depthwise = 30.0,
     .transform = 9.0,
     .split = 24.0,
     .addition = 8.0,
     .weight = 2.4,
     .fetched = 0.5,
     .starved = 2.0,
     .starving_rows = 12,
     .starving_bytes = 0.25 * 1024 * 1024},
};

const plan_cost_constants *plan_cost_constants_of(const char *simd) {
  for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
    if (strcmp(constants[i].simd, simd) == 0) return &constants[i];
  return &constants[0];
}
