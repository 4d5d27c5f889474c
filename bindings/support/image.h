/* Picture files to 8-bit RGB: what Pillow's
 * ImageOps.exif_transpose(Image.open(path)).convert("RGB") gives, bit for bit.
 *
 * JPEG (grey, YCbCr, RGB, CMYK, YCCK; baseline and progressive) and PNG (all colour types
 * and depths, interlaced), told apart by their content. Decoded at full size with
 * libjpeg's defaults (accurate integer DCT, fancy upsampling). CMYK is taken to be stored
 * inverted, as Adobe does and Pillow assumes. Alpha and transparency are dropped. 16 bits
 * a channel become their upper 8, but those of grey without alpha saturate at 255, as
 * Pillow has it. The EXIF orientation is applied; one in XMP is not read. Thread-safe.
 */
#ifndef RESNET_SUPPORT_IMAGE_H
#define RESNET_SUPPORT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "resnet.h"

/* The count at which Pillow refuses to decode (DecompressionBombError). */
#define PICTURE_MAX_PIXELS 178956970u
#define PICTURE_MAX_SIDE 65535u
#define PICTURE_MAX_FILE_BYTES ((size_t)256 << 20)

typedef struct picture {
  uint8_t *pixels; /* (height,width,3), owned; rows are width * 3 bytes apart */
  uint32_t width, height;
} picture;

/* On success *out is the caller's to release; on failure it is all zero and *error says
 * why. The name of the file is not part of the message. */
bool picture_read(const char *path, picture *out, resnet_error *error);
bool picture_decode(const uint8_t *bytes, size_t size, picture *out, resnet_error *error);

/* Release the pixels and zero *p; an all-zero picture is allowed. */
void picture_release(picture *p);

/* The whole of a regular file of at most `limit` bytes; *bytes is the caller's to
 * free. */
bool file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size, resnet_error *error);

/* Fill row y with RGB. */
typedef void (*picture_row_maker)(void *user, uint32_t y, uint8_t *row);

/* Write a PNG of the rows that make_row makes, top to bottom; the same pixels give the
 * same bytes. Whether `out` took them all is the caller's to check. */
bool png_write(FILE *out, uint32_t width, uint32_t height, picture_row_maker make_row, void *user,
               resnet_error *error);

/* ---- for the decoders -------------------------------------------------------------- */

/* Check the size that a header claims and allocate the pixels. */
bool picture_allocate(picture *out, uint64_t width, uint64_t height, resnet_error *error);

/* Both leave *out to the caller to release on failure, and tell the orientation, 1 to
 * 8. */
bool jpeg_decode(const uint8_t *bytes, size_t size, picture *out, int *orientation,
                 resnet_error *error);
bool png_decode(const uint8_t *bytes, size_t size, picture *out, int *orientation,
                resnet_error *error);

/* The orientation, 1 to 8, in a TIFF structure as EXIF has it; 1 where there is none or
 * it is malformed. */
int exif_orientation(const uint8_t *tiff, size_t size);

#endif
