/* A model file's bytes. */
#ifndef LIBRESNET_LOADER_ONNX_FILE_H
#define LIBRESNET_LOADER_ONNX_FILE_H

#include "failure.h"
#include "memory.h"

typedef struct file_bytes {
  uint8_t *data; /* from the allocator; release with memory_release */
  size_t size;
} file_bytes;

/* Read the regular file `path` whole, unless it is larger than max_bytes. Directories, FIFOs and devices are refused
 * without waiting for them. */
resnet_status file_read(const char *path, memory *m, uint64_t max_bytes, file_bytes *out, resnet_error *error);

/* Whether the bytes begin as gzip does (RFC 1952). */
bool is_gzip(const void *bytes, size_t size);

/* Decompress gzip, one or several members, to at most max_bytes. */
resnet_status gzip_read(const void *bytes, size_t size, memory *m, uint64_t max_bytes, file_bytes *out,
                        resnet_error *error);

#endif
