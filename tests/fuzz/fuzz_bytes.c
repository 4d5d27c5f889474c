/* Fuzzes ONNX as bytes: libFuzzer's own mutations, with the dictionary. Few of them are
 * protobuf; they test the scan in front of the parser. */
#include "exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  exercise_model(data, size);
  return 0;
}
