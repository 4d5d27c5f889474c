#include "loader/import/element_types.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "loader/onnx/onnx_types.h"

size_t element_size(int32_t type) {
  switch (type) {
  case ONNX_UINT8:
  case ONNX_INT8:
  case ONNX_BOOL:
    return 1;
  case ONNX_UINT16:
  case ONNX_INT16:
  case ONNX_FLOAT16:
  case ONNX_BFLOAT16:
    return 2;
  case ONNX_FLOAT:
  case ONNX_INT32:
  case ONNX_UINT32:
    return 4;
  case ONNX_INT64:
  case ONNX_DOUBLE:
  case ONNX_UINT64:
    return 8;
  default:
    return 0;
  }
}

bool element_is_float(int64_t type) {
  return type == ONNX_FLOAT || type == ONNX_FLOAT16 || type == ONNX_DOUBLE || type == ONNX_BFLOAT16;
}

bool element_is_integer(int64_t type) {
  switch (type) {
  case ONNX_INT64:
  case ONNX_INT32:
  case ONNX_INT16:
  case ONNX_INT8:
  case ONNX_UINT32:
  case ONNX_UINT16:
  case ONNX_UINT8:
  case ONNX_BOOL:
    return true;
  default:
    return false;
  }
}

static bool is_unsigned(int32_t type) {
  return type == ONNX_UINT8 || type == ONNX_UINT16 || type == ONNX_UINT32 || type == ONNX_BOOL;
}

void element_range(int32_t type, double *least, double *beyond) {
  const int bits = (int)element_size(type) * 8;
  *least = is_unsigned(type) ? 0 : -ldexp(1, bits - 1);
  *beyond = ldexp(1, is_unsigned(type) ? bits : bits - 1);
}

static float float_from_bits(uint32_t bits) {
  float number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

/* binary16 has 1 sign bit, 5 exponent bits with bias 15 and 10 fraction bits; binary32
 * has 1, 8 with bias 127, and 23. */
float element_from_half(uint16_t bits) {
  const uint32_t sign = (uint32_t)bits >> 15 << 31, exponent = bits >> 10 & 31,
                 fraction = bits & 1023;
  if (exponent == 0) return (sign ? -1.0F : 1.0F) * (float)fraction * 0x1p-24F;
  if (exponent == 31) return float_from_bits(sign | 0x7f800000 | fraction << 13);
  return float_from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

/* A bfloat16 is the first half of a float. */
float element_from_bfloat(uint16_t bits) { return float_from_bits((uint32_t)bits << 16); }

/* Round to `digits` binary digits, but to no finer step than 2^min_exponent. */
static double round_digits(double number, int digits, int min_exponent) {
  int exponent;
  (void)frexp(number, &exponent); /* number < 2^exponent */
  exponent -= digits;
  if (exponent < min_exponent) exponent = min_exponent;
  /* the library never changes the rounding mode: to nearest, ties to even */
  return ldexp(nearbyint(ldexp(number, -exponent)), exponent);
}

static float round_to(double number, int digits, int min_exponent, double largest) {
  if (!isfinite(number)) return (float)number;
  const double rounded = round_digits(number, digits, min_exponent);
  if (fabs(rounded) > largest) return number > 0 ? INFINITY : -INFINITY;
  return (float)rounded;
}

float element_round(int32_t type, double number) {
  switch (type) {
  case ONNX_FLOAT16:
    return round_to(number, 11, -24, 65504.0);
  case ONNX_BFLOAT16:
    return round_to(number, 8, -133, 0x1.fep127);
  default:
    if (fabs(number) <= (double)FLT_MAX) return (float)number;
    return round_to(number, FLT_MANT_DIG, -149, (double)FLT_MAX);
  }
}

int64_t element_wrap(int32_t type, int64_t number) {
  if (type == ONNX_INT64 || type == ONNX_BOOL) return number;
  const int bits = (int)element_size(type) * 8;
  const int64_t size = INT64_C(1) << bits, low = number & (size - 1);
  return is_unsigned(type) || low < size / 2 ? low : low - size;
}
