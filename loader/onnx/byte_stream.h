/* The bytes of a model one after the other, from a file or from memory, unpacked where
 * they are gzip (RFC 1952). No more than two small buffers are held of them. */
#ifndef LIBRESNET_LOADER_ONNX_BYTE_STREAM_H
#define LIBRESNET_LOADER_ONNX_BYTE_STREAM_H

#include "loader/base/error.h"
#include "loader/base/memory.h"

typedef struct byte_stream byte_stream;

/* Open the regular file `path` unless it is larger than max_bytes. Directories, FIFOs and
 * devices are refused without waiting for them. On success *out is the caller's to give
 * to stream_close. Later failures fill `error`, too. */
resnet_status stream_open_file(const char *path, memory *m, uint64_t max_bytes, byte_stream **out,
                               resnet_error *error);

/* The same for bytes in memory, which must stay until the stream is closed. */
resnet_status stream_open_memory(const void *bytes, size_t size, memory *m, uint64_t max_bytes,
                                 byte_stream **out, resnet_error *error);

/* NULL is allowed. */
void stream_close(byte_stream *s);

/* The next byte, or `size` bytes to `to` (NULL: nowhere). False: the stream failed, or
 * ends before. */
bool stream_byte(byte_stream *s, uint8_t *byte);
bool stream_read(byte_stream *s, void *to, size_t size);

/* Bytes taken so far. */
size_t stream_position(const byte_stream *s);

/* Whether all bytes were taken; for gzip, its checksums are then known to be right. True,
 * too, where it failed. */
bool stream_ends(byte_stream *s);

/* False where `size` bytes more cannot come. For gzip this is an upper bound of what the
 * packed bytes can hold. */
bool stream_may_hold(const byte_stream *s, uint64_t size);

/* RESNET_OK, or the failure that the error holds. */
resnet_status stream_status(const byte_stream *s);

/* The same after gzip has been read to its end: why damaged or endless bytes make no
 * sense is told by gzip itself. */
resnet_status stream_finish(byte_stream *s);

#endif
