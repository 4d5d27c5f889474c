#define VARIANT portable
#define VECTOR_BYTES 16
#include "runtime/kernels/vector/strided_body.h"
