/* What the fuzzer and the replay of its corpus do with bytes: libFuzzer's entry point. */
#ifndef LIBRESNET_TESTS_FUZZ_MODEL_H
#define LIBRESNET_TESTS_FUZZ_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* Open `data` as a model within a small budget; run it once when it is small. Returns 0. Aborts where a promise about
 * errors is broken. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
