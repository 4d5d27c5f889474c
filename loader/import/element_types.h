/* The arithmetic of ONNX's element types. Constants keep floats of any width as float,
 * doubles also as double, and integers as int64_t. */
#ifndef LIBRESNET_LOADER_IMPORT_ELEMENT_TYPES_H
#define LIBRESNET_LOADER_IMPORT_ELEMENT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The types that constants may have, for messages. */
#define ELEMENT_TYPES                                                                              \
  "float (1), uint8 (2), int8 (3), uint16 (4), int16 (5), int32 (6), int64 (7), bool (9), "        \
  "float16 (10), double (11), uint32 (12), bfloat16 (16)"

/* Return the bytes of an element, or 0 for an unknown type. */
size_t element_size(int32_t type);

/* Return whether the type is one of floats, or an accepted one of integers. */
bool element_is_float(int64_t type);
bool element_is_integer(int64_t type);

/* Convert the bits of a float16 or a bfloat16. */
float element_from_half(uint16_t bits);
float element_from_bfloat(uint16_t bits);

/* Round a number to a type of floats other than double: to nearest, ties to even; what is
 * too large becomes infinite (IEEE 754, 4.3.1 and 7.4). */
float element_round(int32_t type, double number);

/* Return the range of a type of integers: from `least` to less than `beyond`. */
void element_range(int32_t type, double *least, double *beyond);

/* Keep the low bits of a number that the type of integers cannot hold. */
int64_t element_wrap(int32_t type, int64_t number);

#endif
