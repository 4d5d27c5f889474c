#define VARIANT portable
#define VECTOR_BYTES 16
#include "runtime/kernels/simd/winograd_stride2_body.h"
