/* Mutators that keep what they change well-formed. Each returns the new size, or 0 where
 * it could do nothing with the bytes (which are then as they were). `random` is the state
 * of next_random. */
#ifndef LIBRESNET_TESTS_MUTATE_H
#define LIBRESNET_TESTS_MUTATE_H

#include <stddef.h>
#include <stdint.h>

#include "exercise.h"

/* libFuzzer's own, which knows bytes and the dictionary. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Protobuf, of whatever message: one field, with the lengths around it. */
size_t mutate_wire(uint8_t *data, size_t size, size_t max_size, uint32_t *random);

/* ONNX: nodes, names, operators, attributes, dimensions, numbers. */
size_t mutate_onnx(uint8_t *data, size_t size, size_t max_size, uint32_t *random);

/* Puts the nodes of `other` behind those of `data`, joined at a tensor; the result goes
 * to `out`. */
size_t splice_onnx(const uint8_t *data, size_t size, const uint8_t *other, size_t other_size,
                   uint8_t *out, size_t max_size, uint32_t *random);

#endif
