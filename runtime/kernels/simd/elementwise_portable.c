#define VARIANT portable
#include "runtime/kernels/simd/elementwise_body.h"
