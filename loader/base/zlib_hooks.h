/* zlib on the project's allocator: the callbacks of a z_stream. */
#ifndef LIBRESNET_LOADER_BASE_ZLIB_HOOKS_H
#define LIBRESNET_LOADER_BASE_ZLIB_HOOKS_H

#include <zlib.h>

#include "loader/base/memory.h"

/* Return a z_stream, all zero but for the callbacks, that allocates from `m`. */
z_stream zlib_stream(memory *m);

#endif
