#define VARIANT avx2
#include "runtime/kernels/simd/elementwise_body.h"
