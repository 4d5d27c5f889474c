#define VARIANT avx2
#include "runtime/kernels/vector/vector_body.h"
