/* Fuzzes ONNX by its structure: mutations of the model, and sometimes of the protobuf
 * that contains it. */
#include "mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t max_size,
                                 unsigned int seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  exercise_model(data, size);
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  uint32_t random = seed | 1;
  const uint32_t kind = next_random(&random) % 16;
  size_t mutated = 0;
  if (kind < 13) mutated = mutate_onnx(data, size, max_size, &random);
  if (!mutated && kind < 15) mutated = mutate_wire(data, size, max_size, &random);
  return mutated ? mutated : LLVMFuzzerMutate(data, size, max_size);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t max_size,
                                 unsigned int seed) {
  uint32_t random = seed | 1;
  return splice_onnx(data, size, other, other_size, out, max_size, &random);
}
