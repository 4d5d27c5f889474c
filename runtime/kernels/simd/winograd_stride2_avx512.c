#define VARIANT avx512
#define VECTOR_BYTES 64
#include "runtime/kernels/simd/winograd_stride2_body.h"
