/* Let zlib use the project's allocator. */
#ifndef LIBRESNET_LOADER_BASE_ZLIB_HOOKS_H
#define LIBRESNET_LOADER_BASE_ZLIB_HOOKS_H

#include <zlib.h>

#include "loader/base/memory.h"

/* Return a z_stream that allocates from `m`, and is zero otherwise. */
z_stream zlib_stream(memory *m);

#endif
