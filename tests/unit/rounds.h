/* The number of rounds of tests that repeat a check on random or many inputs. The
 * environment variable LIBRESNET_TEST_ROUNDS decides:
 *   full (or unset): all rounds
 *   quick: one of QUICK_DIVISOR */
#ifndef LIBRESNET_TESTS_UNIT_ROUNDS_H
#define LIBRESNET_TESTS_UNIT_ROUNDS_H

#include <stddef.h>

enum { QUICK_DIVISOR = 10 };

/* Return 1, or QUICK_DIVISOR in quick runs: the step of a loop over many inputs. */
size_t rounds_step(void);

/* Return how many of `full` rounds to make, at least one. */
size_t rounds_of(size_t full);

#endif
