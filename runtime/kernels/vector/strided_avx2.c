#define VARIANT avx2
#define VECTOR_BYTES 32
#include "runtime/kernels/vector/strided_body.h"
