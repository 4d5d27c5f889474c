#define VARIANT portable
#define VECTOR_BYTES 16
#if defined(__aarch64__)
#define REGISTERS 32
#else
#define REGISTERS 16
#endif
#include "runtime/kernels/simd/gemm_body.h"
