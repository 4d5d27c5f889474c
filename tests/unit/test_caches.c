/* Sizes of the CPU's caches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/system/caches.h"

static void known_sizes_are_kept(void **state) {
  (void)state;
  const system_caches caches = system_limit_caches(1280 * 1024, 32 << 20);
  assert_int_equal(caches.l2, 1280 * 1024);
  assert_int_equal(caches.l3, 32 << 20);
}

static void odd_sizes_are_limited(void **state) {
  (void)state;
  assert_int_equal(system_limit_caches(0, 0).l2, 512 * 1024);
  assert_int_equal(system_limit_caches(0, 0).l3, 0);
  assert_int_equal(system_limit_caches(1, 1).l2, 128 * 1024);
  assert_int_equal(system_limit_caches(SIZE_MAX, SIZE_MAX).l2, 4096 * 1024);
  assert_int_equal(system_limit_caches(SIZE_MAX, SIZE_MAX).l3, 1 << 30);
}

static void this_cpu_has_caches(void **state) {
  (void)state;
  const system_caches caches = system_find_caches(), again = system_find_caches();
  assert_in_range(caches.l2, 128 * 1024, 4096 * 1024);
  assert_int_equal(caches.l2, again.l2);
  assert_int_equal(caches.l3, again.l3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_sizes_are_kept),
      cmocka_unit_test(odd_sizes_are_limited),
      cmocka_unit_test(this_cpu_has_caches),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
