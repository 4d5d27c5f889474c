#include "loader/onnx/gzip.h"

#include <string.h>

#include "loader/base/zlib_hooks.h"

enum {
  WINDOW_BITS = 15 + 16, /* zlib: the largest window, and gzip's header */
  /* deflate encodes at most 258 bytes in 2 bits (RFC 1951, 3.2.5) */
  LARGEST_RATIO = 4 * 258,
  HELD_BACK = 1 << 16 /* bytes that zlib may have read and not yet unpacked */
};

struct gzip_reader {
  memory *memory;
  uint8_t *buffer;
  size_t capacity;
  gzip_source *source;
  void *context;
  bool ended;
  z_stream z;
};

bool gzip_begins(const uint8_t *bytes, size_t size) {
  return size >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0;
}

gzip_reader *gzip_open(memory *m, uint8_t *buffer, size_t filled, size_t capacity,
                       gzip_source *source, void *context) {
  gzip_reader *r = mem_allocate(m, 1, sizeof *r);
  if (r) {
    *r = (gzip_reader){.memory = m,
                       .buffer = buffer,
                       .capacity = capacity,
                       .source = source,
                       .context = context,
                       .z = zlib_stream(m)};
    r->z.next_in = buffer;
    r->z.avail_in = (uInt)filled;
    if (inflateInit2(&r->z, WINDOW_BITS) == Z_OK) return r;
  }
  mem_release(m, buffer);
  mem_release(m, r);
  return NULL;
}

/* Take packed bytes from the source if none are left. */
static void refill(gzip_reader *r) {
  if (r->z.avail_in > 0) return;
  r->z.next_in = r->buffer;
  r->z.avail_in = (uInt)r->source(r->context, r->buffer, r->capacity);
}

/* End a member. Another one may follow. */
static void end_member(gzip_reader *r) {
  refill(r);
  r->ended = r->z.avail_in == 0;
  if (!r->ended) (void)inflateReset(&r->z);
}

/* Run one step of zlib. Returns the number of bytes that it made; 0 is possible. */
static size_t inflate_step(gzip_reader *r, void *to, size_t size, resnet_error *error,
                           resnet_status *status) {
  refill(r);
  if (*status != RESNET_OK) return 0;
  const uInt space = size > INT32_MAX ? INT32_MAX : (uInt)size;
  r->z.next_out = to;
  r->z.avail_out = space;
  const int result = inflate(&r->z, Z_NO_FLUSH);
  if (result == Z_MEM_ERROR)
    *status = err_no_memory(error, "unpacking the file");
  else if (result == Z_STREAM_END)
    end_member(r);
  else if (result != Z_OK)
    *status = err_fail(error, RESNET_ERROR_FORMAT,
                       "damaged or cut-off gzip data (%s): fetch the file again",
                       r->z.msg ? r->z.msg : "it ends too early");
  return space - r->z.avail_out;
}

size_t gzip_read(gzip_reader *r, void *to, size_t size, resnet_error *error,
                 resnet_status *status) {
  size_t made = 0;
  while (made == 0 && !r->ended && *status == RESNET_OK)
    made = inflate_step(r, to, size, error, status);
  return *status == RESNET_OK ? made : 0;
}

uint64_t gzip_max_bytes(const gzip_reader *r, uint64_t left) {
  const uint64_t packed = left + r->z.avail_in;
  return packed > UINT32_MAX ? UINT64_MAX / 2 : packed * LARGEST_RATIO + HELD_BACK;
}

void gzip_close(gzip_reader *r) {
  if (!r) return;
  (void)inflateEnd(&r->z);
  mem_release(r->memory, r->buffer);
  mem_release(r->memory, r);
}
