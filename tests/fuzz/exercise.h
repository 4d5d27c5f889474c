/* What every fuzz target does with the bytes of a model, and what it holds the library
 * to. A broken promise aborts. */
#ifndef LIBRESNET_TESTS_EXERCISE_H
#define LIBRESNET_TESTS_EXERCISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Open the bytes with options that their hash chooses: of the model's plan, every op and
 * block is read; a small one is run, in two ways that must give the same bits, and now
 * and then asked for labels, or saved and opened again. Whether it opened. */
bool exercise_model(const uint8_t *data, size_t size);

/* The same with the default options. */
bool exercise_model_plainly(const uint8_t *data, size_t size);

/* xorshift: the same numbers from the same state, which is never 0. */
uint32_t next_random(uint32_t *state);

#endif
