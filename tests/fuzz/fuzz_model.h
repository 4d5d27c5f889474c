/* What the fuzzer and the replay of its corpus do with bytes. */
#ifndef LIBRESNET_TESTS_FUZZ_MODEL_H
#define LIBRESNET_TESTS_FUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Open `data` as a model within a small budget; run it once when it is small. Returns whether it is a model. Aborts
 * where a promise about errors is broken. */
bool fuzz_model(const uint8_t *data, size_t size);

/* libFuzzer's entry point. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
