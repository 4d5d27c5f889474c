/* What the Python binding needs besides resnet.h and the program `resnet` has already, in
 * a shared library of its own: picture files, decoded as the program decodes them, and
 * statistics of responses, as `resnet compare` gathers them.
 *
 * Loaded through ctypes: all types are plain, all memory that a call needs is allocated
 * by the calls that say so, and nothing here prints, ends the process, keeps global state
 * or calls back into Python. Errors are told as resnet.h tells them: a status, and,
 * unless `error` is NULL, a message. Does not link to libresnet:
 * resnet_python_table_observe is handed to resnet_session_observe by whoever has loaded
 * both.
 */
#ifndef RESNET_PYTHON_H
#define RESNET_PYTHON_H

#include "resnet.h"

#define RESNET_PYTHON_API __attribute__((visibility("default")))

/* Raised when a struct below or a signature changes. */
#define RESNET_PYTHON_ABI 1

/* The RESNET_PYTHON_ABI that the library was built with: to be compared before any other
 * call. Thread-safe. */
RESNET_PYTHON_API uint32_t resnet_python_abi(void);

/* ---- pictures ---------------------------------------------------------------------- */

typedef struct resnet_python_picture {
  uint8_t *pixels; /* (height,width,3), RGB, rows width * 3 bytes apart */
  /* in pixels, 1 to 65535 each, at most 178,956,970 in all */
  uint32_t width, height;
} resnet_python_picture;

/* Decode a JPEG or PNG picture, told apart by its first bytes, to 8-bit RGB with its EXIF
 * orientation applied: the program's own decoder, see bindings/support/image.h. A file must
 * be a regular one of at most 256 MiB. On success *out is the caller's to release; on
 * failure it is all zero: RESNET_ERROR_IO (the file), _FORMAT (damaged or cut off),
 * _UNSUPPORTED (neither JPEG nor PNG), _LIMIT (too large), _MEMORY, _ARGUMENT (NULL). The
 * message does not name the file. `bytes` are not kept. Thread-safe. */
RESNET_PYTHON_API resnet_status resnet_python_picture_read(const char *path,
                                                           resnet_python_picture *out,
                                                           resnet_error *error);
RESNET_PYTHON_API resnet_status resnet_python_picture_decode(const void *bytes, size_t size,
                                                             resnet_python_picture *out,
                                                             resnet_error *error);

/* Release the pixels and zero *picture. NULL and an all-zero picture are allowed.
 * Thread-safe. */
RESNET_PYTHON_API void resnet_python_picture_release(resnet_python_picture *picture);

/* ---- statistics of responses ------------------------------------------------------- */

/* A response that a table gathers: of op `op` of the plan at `point`, with so many
 * channels: resnet_op.channels, of all points. */
typedef struct resnet_python_place {
  uint32_t op;
  resnet_point point;
  uint32_t channels;
} resnet_python_place;

/* What a table found out about a place, over all pictures, pixels and channels; how,
 * and how exactly, see bindings/support/responses.h. Doubles are NAN where there were no
 * values. */
typedef struct resnet_python_row {
  uint32_t op;
  resnet_point point;
  uint32_t height, width; /* as last met; 0: never */
  uint32_t channels;
  uint32_t dead; /* channels that are above 0 for no picture at no pixel */
  uint64_t values;
  /* std: the population's, sqrt(sum((value - mean)^2) / values) */
  double mean, std;
  double least, most;
  double percentiles[5]; /* 1, 25, 50, 75, 99 */
  double negative;       /* share of values up to 0, from 0 to 1 */
} resnet_python_row;

/* Sums over responses. One thread at a time may use one, and the run that it observes
 * counts as its user. */
typedef struct resnet_python_table resnet_python_table;

/* Make a table of `count` places, 1 to UINT32_MAX, no two the same. All memory that it
 * will ever need, about 50 KiB and 20 bytes a channel for each place, is allocated here.
 * On success *table is the caller's to close; on failure it is NULL:
 * RESNET_ERROR_ARGUMENT, RESNET_ERROR_MEMORY. */
RESNET_PYTHON_API resnet_status resnet_python_table_open(const resnet_python_place *places,
                                                         size_t count, resnet_python_table **table,
                                                         resnet_error *error);

/* Close *table and set it to NULL. NULL and pointers to NULL are allowed. No session may
 * observe with it any more. */
RESNET_PYTHON_API void resnet_python_table_close(resnet_python_table **table);

/* A resnet_observer whose `user` is a table: adds the response, if it is of one of its
 * places. It allocates nothing. A response that has not the channels of its place is left
 * out, and the next call of resnet_python_table_merge or resnet_python_table_rows fails
 * for it. */
RESNET_PYTHON_API void resnet_python_table_observe(void *table, const resnet_response *response);

/* Pictures of a chunk, where there are so many in all; SIZE_MAX: not known, but many.
 * Sums are rounded, so that the last bits of a table depend on their order. These are the
 * bits of `resnet compare`, whatever the batches: pictures are cut into chunks of so
 * many; each chunk's are added, in order, to a cleared table whose `next` is the place of
 * the chunk's first picture, from 0; and the chunks are merged, in order, into a table
 * that starts empty. Thread-safe. */
RESNET_PYTHON_API size_t resnet_python_table_chunk(size_t pictures);

/* Forget all pictures, and that some response had wrong channels. `next` is the place
 * among all of the next picture: which of a large response's values percentiles are of
 * depends on it. */
RESNET_PYTHON_API void resnet_python_table_clear(resnet_python_table *table, uint64_t next);

/* Add what `other` has seen after what *table has. Both must have been made of the same
 * places in the same order, else RESNET_ERROR_ARGUMENT; likewise where either had met a
 * response with wrong channels. */
RESNET_PYTHON_API resnet_status resnet_python_table_merge(resnet_python_table *table,
                                                          const resnet_python_table *other,
                                                          resnet_error *error);

/* Fill a row for each place, in order; `count` must be their number. The table can go on
 * afterwards. */
RESNET_PYTHON_API resnet_status resnet_python_table_rows(const resnet_python_table *table,
                                                         resnet_python_row *rows, size_t count,
                                                         resnet_error *error);

#endif
