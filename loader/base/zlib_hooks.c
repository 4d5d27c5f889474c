#include "loader/base/zlib_hooks.h"

static void *allocate(void *m, uInt count, uInt size) { return mem_allocate(m, count, size); }

static void release(void *m, void *pointer) { mem_release(m, pointer); }

z_stream zlib_stream(memory *m) {
  return (z_stream){.zalloc = allocate, .zfree = release, .opaque = m};
}
