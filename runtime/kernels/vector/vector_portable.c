#define VARIANT portable
#include "runtime/kernels/vector/vector_body.h"
