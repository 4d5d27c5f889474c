#define VARIANT avx512
#include "runtime/kernels/simd/elementwise_body.h"
