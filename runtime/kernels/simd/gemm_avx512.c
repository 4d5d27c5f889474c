#define VARIANT avx512
#define VECTOR_BYTES 64
#define REGISTERS 32
#include "runtime/kernels/simd/gemm_body.h"
