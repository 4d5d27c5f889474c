/* Mutators whose results are well-formed. Each returns the new size, or 0 if it could do
 * nothing and left the bytes as they were. `random` is the state of next_random. */
#ifndef LIBRESNET_TESTS_MUTATE_H
#define LIBRESNET_TESTS_MUTATE_H

#include <stddef.h>
#include <stdint.h>

#include "exercise.h"

/* Mutate with libFuzzer's own mutator, which knows bytes and the dictionary. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Mutate one field of any protobuf message, and the lengths around it. */
size_t mutate_wire(uint8_t *data, size_t size, size_t max_size, uint32_t *random);

/* Mutate nodes, names, operators, attributes, dimensions or numbers of an ONNX model. */
size_t mutate_onnx(uint8_t *data, size_t size, size_t max_size, uint32_t *random);

/* Append the nodes of `other` to those of `data`, joined at a tensor, and write the
 * result to `out`. */
size_t splice_onnx(const uint8_t *data, size_t size, const uint8_t *other, size_t other_size,
                   uint8_t *out, size_t max_size, uint32_t *random);

#endif
