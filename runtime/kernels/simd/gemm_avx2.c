#define VARIANT avx2
#define VECTOR_BYTES 32
#define REGISTERS 16
#include "runtime/kernels/simd/gemm_body.h"
