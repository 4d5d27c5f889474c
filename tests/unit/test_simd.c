/* Tests the SIMD functions themselves, with each instruction set of the CPU. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/kernels/table.h"
#include "runtime/kernels/winograd.h"
#include "tests/unit/kernel_network.h"
#include "tests/unit/rounds.h"

static void fill(float *x, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] = random_unit();
}

/* Run all functions on one random size; write the results to out, return their number. */
static size_t run_elementwise(const simd_elementwise *v, const float *a, const float *b, size_t n,
                              size_t c, float *out) {
  v->add(a, b, out, n, -0.5f, 0.75f);
  v->clamp(a, out + n, n, -0.25f, INFINITY);
  v->affine(a, b, b + c, out + 2 * n, n / c, c, 0.0f, 1.0f);
  v->window_max(a, n / c, c, 1, c, c, out + 3 * n);
  v->window_sum(a, n / c, c, 1, c, c, 0.3f, out + 3 * n + c);
  v->interleave(a, n / c, c, out + 3 * n + 2 * c);
  memcpy(out + 5 * n, a, n * sizeof *a);
  v->add(out + 5 * n, b, out + 5 * n, n, 0.0f, INFINITY); /* in place */
  v->scale(a, b, out + 6 * n, n / c, c, -0.25f, 0.5f);
  /* arguments of all relevant sizes */
  for (size_t i = 0; i < n; i++) out[7 * n + i] = a[i] * expf(6.0f * b[i]);
  v->sigmoid(out + 7 * n, out + 7 * n, n);
  return 8 * n;
}

static void test_instruction_sets_agree_to_the_bit(void **unused) {
  (void)unused;
  static float a[4096], b[4096], want[8 * 4096], got[8 * 4096];
  size_t count = 0;
  while (simd_supported(count)) count++;
  const simd_set *portable = simd_supported(count - 1);
  assert_string_equal(portable->name, "portable");
  for (size_t round = 0; round < rounds_of(2000); round++) {
    const size_t c = 1 + random_below(70), n = c * (2 + random_below(50));
    fill(a, n);
    fill(b, n);
    memset(want, 0, sizeof want);
    const size_t size = run_elementwise(portable->elementwise, a, b, n, c, want);
    for (size_t i = 0; i + 1 < count; i++) {
      memset(got, 0, sizeof got);
      (void)run_elementwise(simd_supported(i)->elementwise, a, b, n, c, got);
      assert_memory_equal(got, want, size * sizeof *got);
    }
  }
  printf("instruction sets here: %zu, the fastest is %s\n", count, simd_fastest()->name);
}

static const simd_set *random_set(void) {
  uint32_t count = 0;
  while (simd_supported(count)) count++;
  return simd_supported(random_below(count));
}

static void assert_close(const float *got, const float *want, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (fabsf(got[i] - want[i]) > 2e-5f * (1.0f + fabsf(want[i])))
      fail_msg("%zu: %g, not %g", i, (double)got[i], (double)want[i]);
}

/* Pack (c,o) as panels of `panel` columns, padded with zeros. */
static void pack_panels(const float *weights, size_t c, size_t o, size_t panel, float *packed) {
  memset(packed, 0, (o + panel - 1) / panel * panel * c * sizeof *packed);
  for (size_t k = 0; k < c; k++)
    for (size_t j = 0; j < o; j++)
      packed[(j / panel * c + k) * panel + j % panel] = weights[k * o + j];
}

/* Compare products with plain sums: every instruction set, with and without an epilogue,
 * rows that fill tiles and rows that do not. */
static void test_matrix_products(void **unused) {
  (void)unused;
  static float a[40 * 80], weights[80 * 80], bias[80], shortcut[40 * 96], packed[80 * 96],
      out[40 * 96], want[40 * 96];
  for (size_t round = 0; round < rounds_of(2000); round++) {
    const size_t c = 1 + random_below(70), o = 1 + random_below(70), rows = 1 + random_below(40);
    const simd_set *set = random_set();
    const bool epilogue = random_below(2), adds = epilogue && random_below(2);
    const size_t stride = epilogue ? o + random_below(3) : (o + 15) / 16 * 16;
    fill(a, rows * c);
    fill(weights, c * o);
    fill(bias, o);
    fill(shortcut, sizeof shortcut / sizeof *shortcut);
    pack_panels(weights, c, o, set->panel, packed);
    const simd_product p = {.a = a,
                            .a_stride = c,
                            .packed = packed,
                            .c = c,
                            .o = o,
                            .out = out,
                            .out_stride = stride,
                            .count = 1,
                            .fetch = random_below(2)};
    const simd_epilogue f = {bias, adds ? shortcut : NULL, -0.75f,
                             random_below(2) ? INFINITY : 1.5f};
    if (epilogue)
      set->gemm->multiply_epilogue(&p, &f, rows);
    else
      set->gemm->multiply(&p, rows);
    for (size_t r = 0; r < rows; r++)
      for (size_t j = 0; j < o; j++) {
        double sum =
            epilogue ? (double)bias[j] + (adds ? (double)shortcut[r * stride + j] : 0.0) : 0.0;
        for (size_t k = 0; k < c; k++) sum += (double)a[r * c + k] * (double)weights[k * o + j];
        if (epilogue) sum = fmin(fmax(sum, (double)f.low), (double)f.high);
        want[r * stride + j] = (float)sum;
      }
    for (size_t r = 0; r < rows; r++) assert_close(out + r * stride, want + r * stride, o);
  }
}

/* A product with an epilogue writes o floats of each row and not one more. */
static void test_matrix_products_stay_inside(void **unused) {
  (void)unused;
  static float a[20 * 40], packed[40 * 96], bias[96], out[20 * 100];
  for (size_t set = 0; simd_supported(set); set++)
    for (size_t o = 1; o <= 70; o++) {
      const size_t rows = 1 + random_below(19), c = 1 + random_below(40);
      for (size_t i = 0; i < sizeof out / sizeof *out; i++) out[i] = 123.0f;
      const simd_product p = {
          .a = a, .a_stride = c, .packed = packed, .c = c, .o = o, .out = out, .out_stride = o + 1};
      const simd_epilogue f = {bias, NULL, -1.0f, 1.0f};
      simd_supported(set)->gemm->multiply_epilogue(&p, &f, rows);
      for (size_t r = 0; r < rows; r++) assert_true(out[r * (o + 1) + o] == 123.0f);
    }
}

/* Compare one tile of one pair of channels, transformed by a form, with the direct
 * sum. */
static void check_form(const simd_set *set, const simd_winograd_form *form) {
  enum { MAX_PANEL = 32 };
  static float packed[WINOGRAD_MAX_POINTS * MAX_PANEL],
      transformed[WINOGRAD_MAX_POINTS * MAX_PANEL];
  static float products[WINOGRAD_MAX_POINTS * MAX_PANEL], d[WINOGRAD_MAX_POINTS * MAX_PANEL];
  float filters[MAX_PANEL * 16], bias[MAX_PANEL],
      out[WINOGRAD_MAX_OUT * WINOGRAD_MAX_OUT * MAX_PANEL];
  const float *pixels[WINOGRAD_MAX_POINTS];
  const winograd_size n = form->in, m = form->out;
  const size_t r = form->taps, points = n.h * n.w, count = 1 + random_below((uint32_t)set->panel);
  fill(filters, count * r * r);
  fill(bias, count);
  fill(d, points * MAX_PANEL);
  for (size_t i = 0; i < points; i++) pixels[i] = d + i * MAX_PANEL;
  form->transform_weights(filters, count, 1, packed, MAX_PANEL);
  form->transform_input(pixels, 1, transformed, MAX_PANEL);
  for (size_t i = 0; i < points; i++)
    for (size_t f = 0; f < MAX_PANEL; f++)
      products[i * MAX_PANEL + f] =
          f < set->panel ? transformed[i * MAX_PANEL] * packed[i * MAX_PANEL + f] : 0.0f;
  form->transform_output(products, MAX_PANEL, count, bias, NULL, out, m.w * count, m.h, m.w,
                         -INFINITY, INFINITY);
  for (size_t f = 0; f < count; f++)
    for (size_t y = 0; y < m.h * m.w; y++) {
      /* rounding is relative to the terms, not to their sum */
      double sum = (double)bias[f], size = 1.0;
      for (size_t t = 0; t < r * r; t++) {
        const float x = d[((y / m.w + t / r) * n.w + y % m.w + t % r) * MAX_PANEL];
        sum += (double)filters[f * r * r + t] * (double)x;
        size += fabs((double)filters[f * r * r + t] * (double)x);
      }
      if (fabs((double)out[y * count + f] - sum) > 1e-5 * size)
        fail_msg("%s F(%zux%zu,%zu): %g, not %g", set->name, m.h, m.w, r,
                 (double)out[y * count + f], sum);
    }
}

static void test_winograd_forms(void **unused) {
  (void)unused;
  size_t sets = 0;
  for (; simd_supported(sets); sets++)
    for (size_t round = 0; round < rounds_of(300); round++)
      for (size_t form = 0; form < WINOGRAD_FORMS; form++)
        check_form(simd_supported(sets),
                   winograd_find_form(simd_supported(sets), (winograd_form)form));
  assert_string_equal(simd_supported(sets - 1)->name, "portable");
}

/* Compare sigmoids with double precision, relative to the result: both tails keep their
 * digits, until they end at 2^-126. */
static void test_sigmoids_keep_their_digits(void **unused) {
  (void)unused;
  double worst = 0.0;
  for (size_t set = 0; simd_supported(set); set++)
    for (int32_t i = -870000; i <= 870000; i += 7) {
      const float x = (float)i * 1e-4f;
      float y;
      simd_supported(set)->elementwise->sigmoid(&x, &y, 1);
      const double want = 1.0 / (1.0 + exp(-(double)x));
      worst = fmax(worst, fabs((double)y - want) / want);
    }
  printf("sigmoid: off by %.2f * 2^-24 at most\n", worst * 0x1p24);
  assert_true(worst <= 3 * 0x1p-24);
  const float ends[] = {-INFINITY, -1e30f, -88.0f, 88.0f, 1e30f, INFINITY, NAN};
  for (size_t set = 0; simd_supported(set); set++)
    for (size_t i = 0; i < 7; i++) {
      float y;
      simd_supported(set)->elementwise->sigmoid(&ends[i], &y, 1);
      if (i < 3) assert_true(y >= 0.0f && y <= 1.2e-38f);
      if (i >= 3 && i < 6) assert_true(y == 1.0f);
      if (i == 6) assert_true(isnan(y));
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_instruction_sets_agree_to_the_bit),
      cmocka_unit_test(test_matrix_products),
      cmocka_unit_test(test_matrix_products_stay_inside),
      cmocka_unit_test(test_winograd_forms),
      cmocka_unit_test(test_sigmoids_keep_their_digits),
  };
  return cmocka_run_group_tests_name("simd", tests, NULL, NULL);
}
