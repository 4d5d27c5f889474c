#define VARIANT avx2
#define VECTOR_BYTES 32
#include "runtime/kernels/vector/winograd_body.h"
