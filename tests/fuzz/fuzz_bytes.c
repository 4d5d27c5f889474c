/* ONNX as bytes: libFuzzer's own mutations, with the dictionary. Most of what they make
 * is no protobuf, which is what the scan in front of the parser is for. */
#include "exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  exercise_model(data, size);
  return 0;
}
