/* Code that the Python package shares with the `resnet` program, in a separate shared
 * library: an image decoder, and the statistics of responses that `resnet compare` shows.
 *
 * The library is loaded through ctypes, so all types are plain. Nothing here prints, ends
 * the process, keeps global state or calls Python. Errors are reported as in resnet.h: a
 * status and, unless `error` is NULL, a message. The library does not link to libresnet:
 * its caller loads both and passes resnet_python_table_observe to resnet_session_observe.
 */
#ifndef RESNET_PYTHON_H
#define RESNET_PYTHON_H

#include "resnet.h"

#define RESNET_PYTHON_API __attribute__((visibility("default")))

/* Incremented when a struct or a signature below changes. */
#define RESNET_PYTHON_ABI 2

/* Return the RESNET_PYTHON_ABI that the library was built with. Compare it before any
 * other call. Thread-safe. */
RESNET_PYTHON_API uint32_t resnet_python_abi(void);

/* ---- images ------------------------------------------------------------------------ */

typedef struct resnet_python_image {
  uint8_t *pixels; /* (height,width,3), RGB, rows width * 3 bytes apart */
  /* in pixels, 1 to 65535 each, at most 178,956,970 in all */
  uint32_t width, height;
  uint32_t cut; /* 1: 16-bit values were cut by RESNET_PYTHON_CLIP, with a loss; else 0 */
} resnet_python_image;

/* How 16-bit values become 8-bit ones. */
typedef enum resnet_python_depth {
  /* As in Pillow: grey saturates at 255, colours lose their lower 8 bits. */
  RESNET_PYTHON_CLIP = 0,
  /* low to high become 0 to 255. */
  RESNET_PYTHON_RANGE = 1,
  /* The image's smallest to largest value become 0 to 255. */
  RESNET_PYTHON_AUTO = 2
} resnet_python_depth;

/* Decode a JPEG or PNG image to 8-bit RGB and apply its EXIF orientation. The format is
 * recognised by the first bytes; the decoder is the program's, see
 * bindings/support/image.h. A file must be a regular file of at most 256 MiB. `bytes` are
 * not kept. `low` and `high` are used by RESNET_PYTHON_RANGE only: low < high <= 65535.
 *
 * On success the caller owns *out and releases it. On failure *out is all zero, and the
 * message does not name the file. The status is one of:
 *   RESNET_ERROR_IO: the file cannot be read.
 *   RESNET_ERROR_FORMAT: the image is damaged or cut off.
 *   RESNET_ERROR_UNSUPPORTED: neither JPEG nor PNG.
 *   RESNET_ERROR_LIMIT: the file or the image is too large.
 *   RESNET_ERROR_MEMORY: out of memory.
 *   RESNET_ERROR_ARGUMENT: an argument is NULL, or the range is empty.
 * Thread-safe. */
RESNET_PYTHON_API resnet_status resnet_python_image_read(const char *path,
                                                         resnet_python_depth depth, uint32_t low,
                                                         uint32_t high, resnet_python_image *out,
                                                         resnet_error *error);
RESNET_PYTHON_API resnet_status resnet_python_image_decode(const void *bytes, size_t size,
                                                           resnet_python_depth depth, uint32_t low,
                                                           uint32_t high, resnet_python_image *out,
                                                           resnet_error *error);

/* Release the pixels and zero *image. NULL and an all-zero image are allowed.
 * Thread-safe. */
RESNET_PYTHON_API void resnet_python_image_release(resnet_python_image *image);

/* ---- statistics of responses ------------------------------------------------------- */

/* A response that a table observes: op `op` of the plan, at `point`. `channels` is
 * resnet_op.channels for every point. */
typedef struct resnet_python_place {
  uint32_t op;
  resnet_point point;
  uint32_t channels;
} resnet_python_place;

/* The statistics of one place over all images, pixels and channels. For the method and
 * its precision see bindings/support/responses.h. Doubles are NAN if there were no
 * values. */
typedef struct resnet_python_row {
  uint32_t op;
  resnet_point point;
  uint32_t height, width; /* of the last response; 0: no response yet */
  uint32_t channels;
  uint32_t dead; /* channels that are never above 0, in any pixel of any image */
  uint64_t values;
  double mean, std; /* std: sqrt(sum((value - mean)^2) / values) */
  double min, max;
  double percentiles[5]; /* 1, 25, 50, 75, 99 */
  double negative;       /* share of values that are not above 0, from 0 to 1 */
} resnet_python_row;

/* Sums over responses. Only one thread may use a table at a time; a run that the table
 * observes counts as a use. */
typedef struct resnet_python_table resnet_python_table;

/* Make a table of `count` places, 1 to UINT32_MAX, no two the same. This call allocates
 * all memory that the table will ever need: about 50 KiB plus 20 bytes per channel for
 * each place. On success the caller owns *table and closes it. On failure *table is NULL:
 * RESNET_ERROR_ARGUMENT or RESNET_ERROR_MEMORY. */
RESNET_PYTHON_API resnet_status resnet_python_table_open(const resnet_python_place *places,
                                                         size_t count, resnet_python_table **table,
                                                         resnet_error *error);

/* Close *table and set it to NULL. NULL and pointers to NULL are allowed. No session may
 * have the table as observer any more. */
RESNET_PYTHON_API void resnet_python_table_close(resnet_python_table **table);

/* Add a response to the table if it belongs to one of the table's places. This is a
 * resnet_observer whose `user` is the table; it allocates nothing. A response whose
 * number of channels is not that of its place is ignored, and makes the next call of
 * resnet_python_table_merge or resnet_python_table_rows fail. */
RESNET_PYTHON_API void resnet_python_table_observe(void *table, const resnet_response *response);

/* Return the number of images in a chunk, for `images` images in all; SIZE_MAX: an
 * unknown, large number.
 *
 * Sums are rounded, so the last bits of a table depend on the order of its images. To get
 * the bits of `resnet compare` for any batch size: cut the images into chunks of this
 * size. Add each chunk's images, in order, to a table that was cleared with the index of
 * the chunk's first image, counted from 0. Merge the chunks, in order, into an empty
 * table. Thread-safe. */
RESNET_PYTHON_API size_t resnet_python_table_chunk(size_t images);

/* Remove all images from the table, and any error about wrong channels. `next` is the
 * index of the next image among all images: it selects the values of a large response
 * that percentiles are computed from. */
RESNET_PYTHON_API void resnet_python_table_clear(resnet_python_table *table, uint64_t next);

/* Append the responses of `other` to those of *table. Fail with RESNET_ERROR_ARGUMENT if
 * the two do not have the same places in the same order, or if one of them received a
 * response with wrong channels. */
RESNET_PYTHON_API resnet_status resnet_python_table_merge(resnet_python_table *table,
                                                          const resnet_python_table *other,
                                                          resnet_error *error);

/* Fill one row for each place, in order. `count` must be the number of places. More
 * responses may be added afterwards. */
RESNET_PYTHON_API resnet_status resnet_python_table_rows(const resnet_python_table *table,
                                                         resnet_python_row *rows, size_t count,
                                                         resnet_error *error);

#endif
