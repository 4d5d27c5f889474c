/* Decode image files to 8-bit RGB. The pixels equal, bit for bit, those of Pillow's
 * ImageOps.exif_transpose(Image.open(path)).convert("RGB").
 *
 * Formats, recognised by their first bytes:
 *   JPEG: grey, YCbCr, RGB, CMYK, YCCK; baseline and progressive
 *   PNG:  all colour types and depths, interlaced or not
 *   WebP: lossy and lossless, not animated; only if built with RESNET_WEBP
 *
 * JPEG is decoded at full size with libjpeg's defaults (accurate integer DCT, fancy
 * upsampling). CMYK is assumed to be stored inverted, as Adobe does and Pillow assumes.
 * Alpha and transparency are dropped. 16-bit channels keep their upper 8 bits; 16-bit
 * grey without alpha saturates at 255, as in Pillow: image_options may say otherwise. The
 * EXIF orientation is applied; an orientation in XMP is not read. All functions are
 * thread-safe. */
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

/* How 16-bit values become 8-bit ones. */
typedef enum image_depth16 {
  IMAGE_DEPTH16_CLIP = 0,  /* as Pillow: grey saturates at 255, colours lose 8 bits */
  IMAGE_DEPTH16_RANGE = 1, /* low to high become 0 to 255 */
  IMAGE_DEPTH16_AUTO = 2   /* the image's smallest to largest value become 0 to 255 */
} image_depth16;

typedef struct image_options {
  image_depth16 depth16;
  uint16_t low, high; /* for IMAGE_DEPTH16_RANGE: low < high */
} image_options;

/* What the file had before it was made 8-bit; all zero for 8 bits and fewer. */
typedef struct image_depth {
  uint8_t bits;       /* 16 or 0 */
  uint8_t channels;   /* 1: grey without alpha; otherwise colours, or grey with alpha */
  uint16_t largest;   /* value; 0: unknown, since the lower 8 bits were not read */
  uint64_t above_255; /* values */
} image_depth;

typedef struct image_rgb {
  uint8_t *pixels; /* (height,width,3), owned; rows are width * 3 bytes apart */
  uint32_t width, height;
  image_depth depth;
} image_rgb;

/* Decode a file, or the bytes of one. `options` may be NULL: all zero. The caller
 * releases *out on success; on failure *out is all zero and *error holds the reason. The
 * message does not name the file. */
bool image_read(const char *path, const image_options *options, image_rgb *out,
                resnet_error *error);
bool image_decode(const uint8_t *bytes, size_t size, const image_options *options, image_rgb *out,
                  resnet_error *error);

/* Return true if 16-bit values were cut in the way of IMAGE_DEPTH16_CLIP, and not only
 * grey values up to 255. */
bool image_was_cut(const image_rgb *image);

/* Release the pixels and zero *image; an all-zero image is allowed. */
void image_release(image_rgb *image);

/* Check the size that a file header claims and allocate the pixels. */
bool image_allocate(image_rgb *out, uint64_t width, uint64_t height, resnet_error *error);

/* Read what is left of an open file, pipe or terminal, at most `limit` bytes; the caller
 * frees *bytes. */
bool image_read_stream(int file, size_t limit, uint8_t **bytes, size_t *size, resnet_error *error);

/* Read a whole regular file of at most `limit` bytes; the caller frees *bytes. */
bool image_read_bytes(const char *path, size_t limit, uint8_t **bytes, size_t *size,
                      resnet_error *error);

/* Read from a descriptor, which may be a pipe, until there are `capacity` bytes or no
 * more. Return false if that fails. */
bool image_read_some(int file, size_t capacity, uint8_t *bytes, size_t *size);

/* Read the first bytes of a regular file, at most `capacity`. Return false if that fails.
 */
bool image_read_start(const char *path, uint8_t *bytes, size_t capacity, size_t *size);

#endif
