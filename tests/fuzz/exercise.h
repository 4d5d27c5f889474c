/* Exercises the library with the bytes of a model, for every fuzz target. A broken
 * promise of the API aborts. */
#ifndef LIBRESNET_TESTS_EXERCISE_H
#define LIBRESNET_TESTS_EXERCISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Open the bytes with options that depend on their hash. Read every op and block of the
 * plan. Run a small model twice, in two ways that must give the same bits; sometimes
 * classify, or save and reopen. Return whether the model opened. */
bool exercise_model(const uint8_t *data, size_t size);

/* Do the same with the default options. */
bool exercise_model_plainly(const uint8_t *data, size_t size);

/* Return the next number of xorshift. The state determines the sequence and is never
 * 0. */
uint32_t next_random(uint32_t *state);

#endif
