/* Decode image files to 8-bit RGB. The pixels equal, bit for bit, those of Pillow's
 * ImageOps.exif_transpose(Image.open(path)).convert("RGB").
 *
 * Formats, recognised by their first bytes:
 *   JPEG: grey, YCbCr, RGB, CMYK, YCCK; baseline and progressive
 *   PNG:  all colour types and depths, interlaced or not
 *
 * JPEG is decoded at full size with libjpeg's defaults (accurate integer DCT, fancy
 * upsampling). CMYK is assumed to be stored inverted, as Adobe does and Pillow assumes.
 * Alpha and transparency are dropped. 16-bit channels keep their upper 8 bits; 16-bit
 * grey without alpha saturates at 255, as in Pillow. The EXIF orientation is applied; an
 * orientation in XMP is not read. All functions are thread-safe. */
#ifndef RESNET_SUPPORT_IMAGE_H
#define RESNET_SUPPORT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resnet.h"

/* The count above which Pillow refuses to decode (DecompressionBombError). */
#define IMAGE_MAX_PIXELS 178956970u
#define IMAGE_MAX_SIDE 65535u
#define IMAGE_MAX_FILE_BYTES ((size_t)256 << 20)

typedef struct image_rgb {
  uint8_t *pixels; /* (height,width,3), owned; rows are width * 3 bytes apart */
  uint32_t width, height;
} image_rgb;

/* Decode a file, or the bytes of one. The caller releases *out on success; on failure
 * *out is all zero and *error holds the reason. The message does not name the file. */
bool image_read(const char *path, image_rgb *out, resnet_error *error);
bool image_decode(const uint8_t *bytes, size_t size, image_rgb *out, resnet_error *error);

/* Release the pixels and zero *image; an all-zero image is allowed. */
void image_release(image_rgb *image);

/* Check the size that a file header claims and allocate the pixels. */
bool image_allocate(image_rgb *out, uint64_t width, uint64_t height, resnet_error *error);

/* Read a whole regular file of at most `limit` bytes; the caller frees *bytes. */
bool image_read_bytes(const char *path, size_t limit, uint8_t **bytes, size_t *size,
                      resnet_error *error);

#endif
