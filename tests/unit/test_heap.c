/* The heap of large blocks: blocks do not overlap, and are zero where they must be, in
 * any order of taking and releasing. Sanitizers watch its tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/base/heap.h"
#include "rounds.h"

enum { BLOCKS = 48, PAGE = 4096, MAX_PAGES = 300 };

typedef struct block {
  uint8_t *bytes; /* NULL: not taken */
  size_t size;
} block;

/* Numerical Recipes' generator; its upper bits. */
static uint32_t next(uint32_t *state) {
  *state = *state * 1664525U + 1013904223U;
  return *state >> 8;
}

/* Take a block, check that it is zero if it must be, and mark its pages. */
static void take(memory_heap *h, block *b, uint8_t number, uint32_t *random) {
  b->size = 1 + next(random) % (MAX_PAGES * PAGE);
  const bool cleared = next(random) % 2;
  b->bytes = mem_heap_take(h, b->size, cleared);
  assert_non_null(b->bytes);
  for (size_t i = 0; i < b->size; i += PAGE / 4)
    if (cleared && b->bytes[i]) fail_msg("byte %zu of %zu is %u", i, b->size, b->bytes[i]);
  for (size_t i = 0; i < b->size; i += PAGE / 4) b->bytes[i] = number;
}

static void give(memory_heap *h, block *b, uint8_t number) {
  for (size_t i = 0; i < b->size; i += PAGE / 4) assert_int_equal(b->bytes[i], number);
  mem_heap_give(h, b->bytes, b->size);
  b->bytes = NULL;
}

/* Kept and returned pages are beside each other in a gap between two blocks, so that
 * there are more free ranges than gaps. */
static void any_order_is_right(void **state) {
  (void)state;
  block blocks[BLOCKS] = {{0}};
  memory_heap h;
  uint32_t random = 1;
  mem_heap_init(&h);
  for (size_t i = 0; i < rounds_of(20000); i++) {
    const uint8_t number = (uint8_t)(next(&random) % BLOCKS);
    if (next(&random) % 64 == 0) mem_heap_keep(&h, next(&random) % 2);
    if (blocks[number].bytes)
      give(&h, &blocks[number], (uint8_t)(number + 1));
    else
      take(&h, &blocks[number], (uint8_t)(number + 1), &random);
  }
  for (size_t i = 0; i < BLOCKS; i++)
    if (blocks[i].bytes) give(&h, &blocks[i], (uint8_t)(i + 1));
  mem_heap_keep(&h, false);
  assert_null(h.chunks);
  assert_int_equal(h.mapped, 0);
  assert_int_equal(h.kept, 0);
  assert_int_equal(h.used, 0);
}

/* Two blocks at a time leave a returned range and a kept one, too small for the next
 * two. */
static void a_gap_may_hold_many_ranges(void **state) {
  (void)state;
  memory_heap h;
  mem_heap_init(&h);
  mem_heap_keep(&h, true);
  for (size_t pages = 8; pages < 40; pages += 4) {
    const size_t size = pages * PAGE;
    uint8_t *returned = mem_heap_take(&h, size, false);
    uint8_t *kept = mem_heap_take(&h, size + PAGE, false);
    assert_true(returned && kept);
    memset(returned, 1, size);
    memset(kept, 1, size);
    h.keeps = false;
    mem_heap_give(&h, returned, size);
    h.keeps = true;
    mem_heap_give(&h, kept, size + PAGE);
  }
  mem_heap_keep(&h, false);
  assert_null(h.chunks);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_order_is_right),
      cmocka_unit_test(a_gap_may_hold_many_ranges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
