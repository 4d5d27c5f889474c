#define VARIANT avx512
#include "runtime/kernels/vector/vector_body.h"
