#include "support/image.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/error.h"
#include "support/image_format.h"
#include "support/image_jpeg.h"
#include "support/image_png.h"
#include "support/image_webp.h"

void image_release(image_rgb *image) {
  free(image->pixels);
  *image = (image_rgb){0};
}

bool image_was_cut(const image_rgb *image) {
  return image->depth.bits == 16 && (image->depth.channels != 1 || image->depth.above_255 > 0);
}

bool image_allocate(image_rgb *out, uint64_t width, uint64_t height, resnet_error *error) {
  if (width == 0 || height == 0)
    return error_set(error, RESNET_ERROR_FORMAT, "the image has no pixels");
  if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE || width * height > IMAGE_MAX_PIXELS)
    return error_set(error, RESNET_ERROR_LIMIT,
                     "the image claims %llu x %llu pixels; at most %u a side and %u in all are "
                     "accepted: scale it down",
                     (unsigned long long)width, (unsigned long long)height, IMAGE_MAX_SIDE,
                     IMAGE_MAX_PIXELS);
  out->pixels = malloc((size_t)(width * height * 3));
  if (!out->pixels) return error_set(error, RESNET_ERROR_MEMORY, "no memory for the pixels");
  out->width = (uint32_t)width;
  out->height = (uint32_t)height;
  return true;
}

/* Read at most limit + 1 bytes: the size from fstat may be wrong, or the file may grow.
 */
static bool read_descriptor(int file, size_t limit, size_t expected, uint8_t **bytes, size_t *size,
                            resnet_error *error) {
  size_t capacity = expected + 1;
  uint8_t *buffer = malloc(capacity);
  if (!buffer) return error_set(error, RESNET_ERROR_MEMORY, "no memory for the file's bytes");
  size_t used = 0;
  while (used < capacity) {
    ssize_t got = read(file, buffer + used, capacity - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      free(buffer);
      return error_set(error, RESNET_ERROR_IO, "cannot be read: %s", strerror(errno));
    }
    if (got == 0) break;
    used += (size_t)got;
  }
  if (used > limit || used == capacity) {
    free(buffer);
    return error_set(error, RESNET_ERROR_IO, "changed while it was read: try again");
  }
  *bytes = buffer;
  *size = used;
  return true;
}

/* Wait for a descriptor that the caller opened as non-blocking. */
static void wait_for(int file) {
  struct pollfd waited = {.fd = file, .events = POLLIN};
  (void)poll(&waited, 1, -1);
}

/* Like read, but wait for bytes, and begin again after a signal. */
static ssize_t read_waiting(int file, uint8_t *bytes, size_t capacity) {
  while (true) {
    const ssize_t got = read(file, bytes, capacity);
    if (got >= 0) return got;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      wait_for(file);
    else if (errno != EINTR)
      return -1;
  }
}

bool image_read_some(int file, size_t capacity, uint8_t *bytes, size_t *size) {
  ssize_t got = 1;
  for (*size = 0; *size < capacity && got > 0; *size += got > 0 ? (size_t)got : 0)
    got = read_waiting(file, bytes + *size, capacity - *size);
  return got >= 0;
}

/* Append what `file` gives to *bytes. Return false, with *error set, if that failed. At
 * the end of the file *used stays as it is. */
static bool read_more(int file, uint8_t **bytes, size_t *capacity, size_t *used,
                      resnet_error *error) {
  if (*used == *capacity) {
    const size_t wanted = *capacity ? *capacity * 2 : (size_t)64 << 10;
    uint8_t *larger = realloc(*bytes, wanted);
    if (!larger) return error_set(error, RESNET_ERROR_MEMORY, "no memory for the bytes");
    *bytes = larger;
    *capacity = wanted;
  }
  const ssize_t got = read_waiting(file, *bytes + *used, *capacity - *used);
  if (got < 0) return error_set(error, RESNET_ERROR_IO, "cannot be read: %s", strerror(errno));
  *used += (size_t)got;
  return true;
}

bool image_read_stream(int file, size_t limit, uint8_t **bytes, size_t *size, resnet_error *error) {
  size_t capacity = 0, before;
  *bytes = NULL;
  *size = 0;
  bool ok;
  do {
    before = *size;
    ok = read_more(file, bytes, &capacity, size, error);
    if (ok && *size > limit)
      ok = error_set(error, RESNET_ERROR_LIMIT, "has more than %zu bytes", limit);
  } while (ok && *size > before);
  if (ok) return true;
  free(*bytes);
  *bytes = NULL;
  return false;
}

static bool check_file(int file, size_t limit, size_t *size, resnet_error *error) {
  struct stat status;
  if (fstat(file, &status) != 0)
    return error_set(error, RESNET_ERROR_IO, "cannot be read: %s", strerror(errno));
  if (S_ISDIR(status.st_mode))
    return error_set(error, RESNET_ERROR_IO, "is a folder; a file is needed");
  if (!S_ISREG(status.st_mode))
    return error_set(error, RESNET_ERROR_IO, "is not a regular file; a file is needed%s",
                     S_ISFIFO(status.st_mode) ? ", or - for standard input" : "");
  if ((uintmax_t)status.st_size > limit)
    return error_set(error, RESNET_ERROR_LIMIT, "has %ju bytes; at most %zu are accepted",
                     (uintmax_t)status.st_size, limit);
  *size = (size_t)status.st_size;
  return true;
}

bool image_read_start(const char *path, uint8_t *bytes, size_t capacity, size_t *size) {
  struct stat status;
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) return false;
  ssize_t got = -1;
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode)) got = read(file, bytes, capacity);
  (void)close(file);
  *size = got > 0 ? (size_t)got : 0;
  return got >= 0;
}

bool image_read_bytes(const char *path, size_t limit, uint8_t **bytes, size_t *size,
                      resnet_error *error) {
  *bytes = NULL;
  /* O_NONBLOCK: do not hang on a FIFO without a writer. */
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) return error_set(error, RESNET_ERROR_IO, "cannot be opened: %s", strerror(errno));
  size_t expected = 0;
  bool ok = check_file(file, limit, &expected, error) &&
            read_descriptor(file, limit, expected, bytes, size, error);
  (void)close(file);
  return ok;
}

/* How to undo each EXIF orientation (EXIF 2.32, tag 0x0112): swap, then mirror the
 * coordinates of an output pixel to find its source. */
static const struct {
  bool swap, mirror_x, mirror_y;
} orientations[9] = {
    [2] = {false, true, false}, [3] = {false, true, true}, [4] = {false, false, true},
    [5] = {true, false, false}, [6] = {true, false, true}, [7] = {true, true, true},
    [8] = {true, true, false}};

static void copy_upright(const image_rgb *in, image_rgb *out, int orientation) {
  bool swap = orientations[orientation].swap;
  bool mirror_x = orientations[orientation].mirror_x, mirror_y = orientations[orientation].mirror_y;
  uint8_t *to = out->pixels;
  for (uint32_t y = 0; y < out->height; y++) {
    for (uint32_t x = 0; x < out->width; x++, to += 3) {
      uint32_t from_x = swap ? y : x, from_y = swap ? x : y;
      if (mirror_x) from_x = in->width - 1 - from_x;
      if (mirror_y) from_y = in->height - 1 - from_y;
      memcpy(to, in->pixels + ((size_t)from_y * in->width + from_x) * 3, 3);
    }
  }
}

static bool set_upright(image_rgb *image, int orientation, resnet_error *error) {
  if (orientation == 1) return true;
  bool swap = orientations[orientation].swap;
  image_rgb upright = {0};
  if (!image_allocate(&upright, swap ? image->height : image->width,
                      swap ? image->width : image->height, error))
    return false;
  upright.depth = image->depth;
  copy_upright(image, &upright, orientation);
  image_release(image);
  *image = upright;
  return true;
}

typedef bool (*decoder)(const uint8_t *, size_t, const image_options *, image_rgb *, int *,
                        resnet_error *);

static decoder find_decoder(const uint8_t *bytes, size_t size) {
  switch (image_format_find(bytes, size).kind) {
  case IMAGE_FORMAT_JPEG:
    return image_decode_jpeg;
  case IMAGE_FORMAT_PNG:
    return image_decode_png;
  case IMAGE_FORMAT_WEBP:
    return image_decode_webp;
  default:
    return NULL;
  }
}

bool image_decode(const uint8_t *bytes, size_t size, const image_options *options, image_rgb *out,
                  resnet_error *error) {
  static const image_options defaults;
  *out = (image_rgb){0};
  if (size == 0) return error_set(error, RESNET_ERROR_FORMAT, "the file is empty");
  decoder decode = find_decoder(bytes, size);
  if (!decode) return image_format_refuse(bytes, size, error);
  int orientation = 1;
  if (decode(bytes, size, options ? options : &defaults, out, &orientation, error) &&
      set_upright(out, orientation, error))
    return true;
  image_release(out);
  return false;
}

bool image_read(const char *path, const image_options *options, image_rgb *out,
                resnet_error *error) {
  *out = (image_rgb){0};
  uint8_t *bytes;
  size_t size;
  if (!image_read_bytes(path, IMAGE_MAX_FILE_BYTES, &bytes, &size, error)) return false;
  bool ok = image_decode(bytes, size, options, out, error);
  free(bytes);
  return ok;
}
