/* Reading gzip (RFC 1952), member after member, with zlib. */
#ifndef LIBRESNET_LOADER_ONNX_GZIP_H
#define LIBRESNET_LOADER_ONNX_GZIP_H

#include "loader/base/error.h"
#include "loader/base/memory.h"

typedef struct gzip_reader gzip_reader;

/* Write up to `size` packed bytes to `to`. Returns how many; 0 at the end or on
 * failure. */
typedef size_t gzip_source(void *context, void *to, size_t size);

/* Return whether the bytes begin with the magic number of gzip. */
bool gzip_begins(const uint8_t *bytes, size_t size);

/* Open a reader of the `filled` bytes in `buffer`, which has room for `capacity`, then of
 * `source`. The buffer is from `m`; the reader takes it over, on failure too. NULL: no
 * memory. */
gzip_reader *gzip_open(memory *m, uint8_t *buffer, size_t filled, size_t capacity,
                       gzip_source *source, void *context);

/* Unpack 1 to `size` bytes. Returns how many; 0 at the end or on failure, which sets
 * *status. *status may also be set by the source. */
size_t gzip_read(gzip_reader *r, void *to, size_t size, resnet_error *error, resnet_status *status);

/* Return an upper bound of the bytes still to come if the source has `left` more. */
uint64_t gzip_max_bytes(const gzip_reader *r, uint64_t left);

/* Release the reader and its buffer; NULL is allowed. */
void gzip_close(gzip_reader *r);

#endif
