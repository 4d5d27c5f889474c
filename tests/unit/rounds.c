#include "rounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

size_t rounds_step(void) {
  const char *rounds = getenv("LIBRESNET_TEST_ROUNDS");
  if (!rounds || strcmp(rounds, "full") == 0) return 1;
  if (strcmp(rounds, "quick") != 0)
    fail_msg("LIBRESNET_TEST_ROUNDS is '%s', neither 'quick' nor 'full'", rounds);
  return QUICK_DIVISOR;
}

size_t rounds_of(size_t full) { return (full + rounds_step() - 1) / rounds_step(); }
