/* The kinds of files that are given where an image is expected. */
#ifndef RESNET_SUPPORT_IMAGE_FORMAT_H
#define RESNET_SUPPORT_IMAGE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resnet.h"

/* As many bytes as image_format_find looks at. */
#define IMAGE_FORMAT_BYTES ((size_t)4096)

typedef enum image_format_kind {
  IMAGE_FORMAT_UNKNOWN,
  IMAGE_FORMAT_JPEG,
  IMAGE_FORMAT_PNG,
  IMAGE_FORMAT_WEBP,
  IMAGE_FORMAT_IMAGE, /* an image of another format */
  IMAGE_FORMAT_MODEL, /* this library opens it, or says why not */
  IMAGE_FORMAT_FOREIGN_MODEL,
  IMAGE_FORMAT_ARCHIVE,
  IMAGE_FORMAT_DATA,
  IMAGE_FORMAT_PAGE,
  IMAGE_FORMAT_POINTER, /* of Git LFS: it names a file that was not fetched */
  IMAGE_FORMAT_EMPTY    /* zero bytes only */
} image_format_kind;

typedef struct image_format {
  image_format_kind kind;
  const char *name; /* with its article, e.g. "a GIF image"; NULL: unknown */
} image_format;

/* Recognise a file by its first bytes, IMAGE_FORMAT_BYTES of them or all there are. */
image_format image_format_find(const uint8_t *bytes, size_t size);

/* Return the 32-bit number in four bytes, the lowest first. */
uint32_t image_little_endian(const uint8_t *bytes);

/* Fail: the file is no image that can be decoded. Say what it is and what to do. */
bool image_format_refuse(const uint8_t *bytes, size_t size, resnet_error *error);

#endif
