/* The allocator: properties of its blocks, and large blocks that return to the system
 * when they are released. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader_network.h"

enum {
  LARGE = 8 << 20,
  /* The last block of a chunk may end within a huge page, and so may a gap between two
   * blocks. */
  HUGE_PAGES = 2 << 21
};

/* Below and above the sizes from which blocks are mapped, and from which they ask for
 * huge pages. */
static const size_t sizes[] = {0,       1,    63, 64, 4096, (1 << 18) - 100, 1 << 18, (1 << 18) + 1,
                               1 << 22, LARGE};

static void blocks_are_aligned_and_cleared(void **state) {
  (void)state;
  memory m;
  mem_init(&m, NULL, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    /* the second one may reuse the memory of the first */
    for (int again = 0; again < 2; again++) {
      uint8_t *block = mem_allocate(&m, sizes[i], 1);
      assert_non_null(block);
      assert_int_equal((uintptr_t)block % 64, 0);
      for (size_t k = 0; k < sizes[i]; k++)
        if (block[k]) fail_msg("byte %zu of %zu is %u", k, sizes[i], block[k]);
      memset(block, 0xa5, sizes[i]);
      mem_release(&m, block);
    }
    uint8_t *block = mem_allocate_unset(&m, sizes[i], 1);
    assert_int_equal((uintptr_t)block % 64, 0);
    memset(block, 0xa5, sizes[i]);
    mem_release(&m, block);
  }
  assert_int_equal(m.used, 0);
  assert_in_range(m.peak, LARGE, LARGE + 4096);
}

static void budgets_hold_for_large_blocks(void **state) {
  (void)state;
  memory m;
  mem_init(&m, NULL, LARGE + 4096);
  void *block = mem_allocate(&m, LARGE, 1);
  assert_non_null(block);
  assert_null(mem_allocate(&m, LARGE, 1));
  assert_null(mem_allocate_unset(&m, SIZE_MAX, 1));
  assert_null(mem_allocate_unset(&m, SIZE_MAX / 2, 4));
  assert_true(m.refusals > 0);
  mem_release(&m, block);
  assert_int_equal(m.used, 0);
}

static size_t resident_bytes(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  unsigned long whole = 0, resident = 0;
  if (!file) {
    print_message("skipped: /proc/self/statm is not there\n");
    skip();
  }
  assert_int_equal(fscanf(file, "%lu %lu", &whole, &resident), 2);
  (void)fclose(file);
  return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Opening a model packs weights one by one: packed weights stay, and their sources are
 * released. With malloc alone, the holes would remain. */
static void released_blocks_leave_no_holes(void **state) {
  (void)state;
  enum { COUNT = 8 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  print_message("skipped: a sanitizer's malloc keeps what was released for a while\n");
  skip();
#endif
  memory m;
  void *from[COUNT], *to[COUNT];
  mem_init(&m, NULL, 0);
  /* glibc's malloc now takes smaller blocks from the heap */
  mem_release(&m, mem_allocate(&m, LARGE, 1));
  size_t before = resident_bytes();
  for (size_t i = 0; i < COUNT; i++) {
    from[i] = mem_allocate_unset(&m, LARGE / 2, 1);
    memset(from[i], 1, LARGE / 2);
  }
  for (size_t i = 0; i < COUNT; i++) {
    to[i] = mem_allocate_unset(&m, LARGE / 2 + i * 65536, 1);
    memcpy(to[i], from[i], LARGE / 2);
    mem_release(&m, from[i]);
    assert_in_range(resident_bytes(), 0, before + COUNT * (LARGE / 2) + LARGE / 4 + HUGE_PAGES);
  }
  for (size_t i = COUNT; i-- > 0;) {
    assert_in_range(resident_bytes(), 0, before + (i + 1) * (LARGE / 2) + LARGE / 4 + HUGE_PAGES);
    mem_release(&m, to[COUNT - 1 - i]);
  }
}

/* While a model is opened, released pages serve new blocks, but never raise the peak. */
static void kept_pages_are_reused(void **state) {
  (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  print_message("skipped: a sanitizer's malloc takes the place of our heap\n");
  skip();
#endif
  memory m;
  mem_init(&m, NULL, 0);
  mem_keep_pages(&m, true);
  const size_t before = resident_bytes();
  uint8_t *first = mem_allocate_unset(&m, LARGE, 1), *second = mem_allocate_unset(&m, LARGE, 1);
  memset(first, 1, LARGE);
  memset(second, 1, LARGE);
  mem_release(&m, first);
  assert_in_range(resident_bytes(), before + 2 * LARGE - HUGE_PAGES, SIZE_MAX);
  uint8_t *again = mem_allocate(&m, LARGE, 1);
  assert_ptr_equal(again, first);
  for (size_t i = 0; i < LARGE; i++)
    if (again[i]) fail_msg("byte %zu is %u", i, again[i]);
  mem_release(&m, again);
  /* it does not fit the kept pages, which go back to the system before it takes others */
  uint8_t *larger = mem_allocate_unset(&m, (size_t)2 * LARGE, 1);
  memset(larger, 1, (size_t)2 * LARGE);
  assert_in_range(resident_bytes(), 0, before + 3 * (size_t)LARGE + HUGE_PAGES);
  mem_release(&m, larger);
  mem_keep_pages(&m, false);
  assert_in_range(resident_bytes(), 0, before + LARGE + HUGE_PAGES);
  mem_release(&m, second);
  assert_null(m.heap.chunks);
  assert_int_equal(m.heap.mapped, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      /* first: it cannot see what other tests leave behind */
      cmocka_unit_test(released_blocks_leave_no_holes),
      cmocka_unit_test(kept_pages_are_reused),
      cmocka_unit_test(blocks_are_aligned_and_cleared),
      cmocka_unit_test(budgets_hold_for_large_blocks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
