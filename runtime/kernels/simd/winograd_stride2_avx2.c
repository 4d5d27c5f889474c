#define VARIANT avx2
#define VECTOR_BYTES 32
#include "runtime/kernels/simd/winograd_stride2_body.h"
