/* The bytes of a model in order, from a file or from memory, unpacked if they are gzip
 * (RFC 1952). A stream holds at most two buffers of 64 KiB. */
#ifndef LIBRESNET_LOADER_ONNX_BYTE_STREAM_H
#define LIBRESNET_LOADER_ONNX_BYTE_STREAM_H

#include "loader/base/error.h"
#include "loader/base/memory.h"

typedef struct byte_stream byte_stream;

/* Open the regular file `path`. Refuse more than max_bytes bytes. Refuse directories,
 * FIFOs and devices without waiting for them. On success the caller closes *out with
 * stream_close. The stream keeps `error` and reports later failures in it. */
resnet_status stream_open_file(const char *path, memory *m, uint64_t max_bytes, byte_stream **out,
                               resnet_error *error);

/* Do the same for bytes in memory, which must outlive the stream. */
resnet_status stream_open_memory(const void *bytes, size_t size, memory *m, uint64_t max_bytes,
                                 byte_stream **out, resnet_error *error);

/* Release the stream; NULL is allowed. */
void stream_close(byte_stream *s);

/* Read the next byte. Return false if the stream failed or ends. */
bool stream_byte(byte_stream *s, uint8_t *byte);

/* Read the next `size` bytes to `to`; NULL: skip them. Return false if the stream failed
 * or ends before. */
bool stream_read(byte_stream *s, void *to, size_t size);

/* Return the number of bytes read so far. */
size_t stream_position(const byte_stream *s);

/* Return whether all bytes were read, or the stream failed. gzip's checksums are verified
 * at its end. */
bool stream_ends(byte_stream *s);

/* Return false if `size` more bytes cannot follow. For gzip the limit is an upper bound
 * of what the packed bytes can hold. */
bool stream_may_hold(const byte_stream *s, uint64_t size);

/* Return the first bytes, unpacked, and in *size how many are known: up to
 * STREAM_START_BYTES. */
enum { STREAM_START_BYTES = 512 };
const uint8_t *stream_start(const byte_stream *s, size_t *size);

/* Return RESNET_OK or the status of the first failure. */
resnet_status stream_status(const byte_stream *s);

/* Read gzip to its end and return stream_status(). gzip's own error explains damaged or
 * truncated data better than the parser's. */
resnet_status stream_finish(byte_stream *s);

#endif
