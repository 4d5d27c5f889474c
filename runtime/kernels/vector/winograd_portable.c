#define VARIANT portable
#define VECTOR_BYTES 16
#include "runtime/kernels/vector/winograd_body.h"
