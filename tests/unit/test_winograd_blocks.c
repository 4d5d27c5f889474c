/* The sizes of Winograd's blocks: they fit the workspace that a session allocates once
 * for its largest batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/kernels/winograd_tiles.h"

static const system_caches machines[] = {{128 << 10, 0},         {512 << 10, 8 << 20},
                                         {512 << 10, 32 << 20},  {1 << 20, 36 << 20},
                                         {1280 << 10, 12 << 20}, {4096 << 10, 1 << 30}};

enum { MACHINES = sizeof machines / sizeof *machines, MAX_BATCH = 6 };

/* Check the blocks of each batch up to MAX_BATCH, for the threads of the session and for
 * the single one of a forked child. */
static void check_layer(system_caches caches, size_t tiles, size_t tile_bytes, size_t weights) {
  const kernel_call call = {.caches = caches};
  const size_t room = winograd_block_room(&call, MAX_BATCH * tiles, tile_bytes, weights);
  for (size_t batch = 1; batch <= MAX_BATCH; batch++) {
    const size_t all = batch * tiles, max = winograd_max_block(&call, all, tile_bytes, weights);
    assert_in_range(max, 1, room);
    for (size_t threads = 1; threads <= 4; threads++) {
      assert_in_range(winograd_even_block(all, max, threads), 1, max);
      assert_in_range(winograd_even_block(all, threads * max, 1), 1, threads * room);
    }
  }
}

static void blocks_fit_the_workspace_of_a_larger_batch(void **state) {
  (void)state;
  for (size_t m = 0; m < MACHINES; m++)
    for (size_t side = 1; side <= 33; side += 2)
      for (size_t channels = 1; channels <= 2048; channels *= 2)
        check_layer(machines[m], side * side, 36 * 2 * channels * sizeof(float),
                    36 * channels * channels * sizeof(float));
}

/* 49 tiles of 28x28x128 by F(4x4), 36 KB each: all at once if L3 holds them, as each
 * block reads 2.4 MB of weights. */
static void heavy_weights_are_read_once(void **state) {
  (void)state;
  const kernel_call large = {.caches = {1 << 20, 36 << 20}}, small = {.caches = {1 << 20, 0}};
  const size_t tile = 36 * 256 * sizeof(float), weights = 36 * 128 * 128 * sizeof(float);
  assert_int_equal(winograd_max_block(&large, 49, tile, weights), 56);
  assert_int_equal(winograd_even_block(49, 56, 1), 49);
  assert_int_equal(winograd_max_block(&small, 49, tile, weights), 24);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_fit_the_workspace_of_a_larger_batch),
      cmocka_unit_test(heavy_weights_are_read_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
