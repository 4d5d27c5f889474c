#include "loader/onnx/byte_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/open_file.h"
#include "loader/onnx/gzip.h"

enum { BUFFER_BYTES = 1 << 16 };

struct byte_stream {
  memory *memory;
  resnet_error *error;
  resnet_status status; /* of the first failure */
  uint64_t max_bytes;
  int file;             /* -1: bytes */
  const uint8_t *bytes; /* the rest of the bytes in memory */
  size_t left;          /* bytes of the file, or at `bytes`, that are not yet taken */
  uint8_t *buffer;
  const uint8_t *next, *end;         /* in the buffer: bytes that are not yet read */
  size_t produced;                   /* bytes so far, unpacked */
  uint8_t start[STREAM_START_BYTES]; /* the first of them */
  gzip_reader *gzip;                 /* NULL: the bytes are not packed */
};

static resnet_status too_large(resnet_error *error, const char *what, uint64_t max_bytes) {
  if (max_bytes > INT32_MAX)
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "is larger than 2 GiB, the maximum that protobuf defines");
  return err_fail(error, RESNET_ERROR_LIMIT,
                  "%s more than %llu bytes: raise max_file_bytes if you trust it", what,
                  (unsigned long long)max_bytes);
}

/* ---- stored bytes ------------------------------------------------------------------ */

/* Read 1 to `size` bytes. Return how many; 0 on failure. */
static size_t take_from_file(byte_stream *s, void *to, size_t size) {
  ssize_t got = -1;
  do {
    got = read(s->file, to, size);
  } while (got < 0 && errno == EINTR);
  if (got < 0) s->status = err_from_errno(s->error, "read", errno);
  if (got == 0)
    s->status = err_fail(s->error, RESNET_ERROR_IO, "became shorter while it was read: try again");
  return got > 0 ? (size_t)got : 0;
}

/* Take up to `size` stored bytes of the stream `context`. Return how many; 0 at the end
 * or on failure. */
static size_t take_stored(void *context, void *to, size_t size) {
  byte_stream *s = context;
  size_t taken = size < s->left ? size : s->left;
  if (taken == 0) return 0;
  if (s->file >= 0) {
    taken = take_from_file(s, to, taken);
  } else {
    memcpy(to, s->bytes, taken);
    s->bytes += taken;
  }
  s->left -= taken;
  return taken;
}

/* ---- reading ----------------------------------------------------------------------- */

/* Produce 1 to `size` bytes. Return how many; 0 at the end or on failure. */
static size_t produce(byte_stream *s, void *to, size_t size) {
  if (s->status != RESNET_OK) return 0;
  size_t made =
      s->gzip ? gzip_read(s->gzip, to, size, s->error, &s->status) : take_stored(s, to, size);
  if (s->produced < sizeof s->start) {
    const size_t left = sizeof s->start - s->produced;
    memcpy(s->start + s->produced, to, made < left ? made : left);
  }
  s->produced += made;
  if (s->produced <= s->max_bytes && s->produced <= INT32_MAX) return made;
  s->status = too_large(s->error, "unpacks to", s->max_bytes);
  return 0;
}

static bool fill(byte_stream *s) {
  s->next = s->end = s->buffer;
  s->end += produce(s, s->buffer, BUFFER_BYTES);
  return s->next < s->end;
}

bool stream_byte(byte_stream *s, uint8_t *byte) {
  if (s->next == s->end && !fill(s)) return false;
  *byte = *s->next++;
  return true;
}

bool stream_read(byte_stream *s, void *to, size_t size) {
  uint8_t *out = to;
  while (size > 0) {
    size_t ready = (size_t)(s->end - s->next), got;
    if (ready == 0 && out && size >= BUFFER_BYTES) {
      got = produce(s, out, size);
      if (got == 0) return false;
    } else {
      if (ready == 0 && !fill(s)) return false;
      ready = (size_t)(s->end - s->next);
      got = ready < size ? ready : size;
      if (out) memcpy(out, s->next, got);
      s->next += got;
    }
    if (out) out += got;
    size -= got;
  }
  return true;
}

size_t stream_position(const byte_stream *s) { return s->produced - (size_t)(s->end - s->next); }

bool stream_ends(byte_stream *s) { return s->next == s->end && !fill(s); }

bool stream_may_hold(const byte_stream *s, uint64_t size) {
  const uint64_t ready = (uint64_t)(s->end - s->next);
  return size <= ready + (s->gzip ? gzip_max_bytes(s->gzip, s->left) : s->left);
}

const uint8_t *stream_start(const byte_stream *s, size_t *size) {
  *size = s->produced < sizeof s->start ? s->produced : sizeof s->start;
  return s->start;
}

resnet_status stream_status(const byte_stream *s) { return s->status; }

resnet_status stream_finish(byte_stream *s) {
  while (s->gzip && fill(s)) {
  }
  return s->status;
}

/* ---- opening ----------------------------------------------------------------------- */

void stream_close(byte_stream *s) {
  if (!s) return;
  gzip_close(s->gzip);
  if (s->file >= 0) (void)close(s->file);
  mem_release(s->memory, s->buffer);
  mem_release(s->memory, s);
}

/* Give the first bytes, which are in s->buffer and not yet read, to a gzip reader. */
static resnet_status start_unpacking(byte_stream *s) {
  const size_t filled = (size_t)(s->end - s->next);
  uint8_t *packed = s->buffer;
  s->produced = 0;
  s->buffer = NULL;
  s->gzip = gzip_open(s->memory, packed, filled, BUFFER_BYTES, take_stored, s);
  if (s->gzip) s->buffer = mem_allocate(s->memory, BUFFER_BYTES, 1);
  s->next = s->end = s->buffer;
  return s->buffer ? RESNET_OK : err_no_memory(s->error, "unpacking the file");
}

/* Open a stream that begins as `first`. Take over its file, on failure too. */
static resnet_status open_stream(byte_stream first, memory *m, uint64_t max_bytes,
                                 byte_stream **out, resnet_error *error) {
  byte_stream *s = mem_allocate(m, 1, sizeof *s);
  if (!s) {
    if (first.file >= 0) (void)close(first.file);
    return err_no_memory(error, "reading the file");
  }
  *s = first;
  s->memory = m;
  s->error = error;
  s->max_bytes = max_bytes;
  s->buffer = mem_allocate(m, BUFFER_BYTES, 1);
  if (!s->buffer) s->status = err_no_memory(error, "reading the file");
  if (s->left > max_bytes || s->left > INT32_MAX) s->status = too_large(error, "has", max_bytes);
  bool filled = s->status == RESNET_OK && fill(s);
  if (filled && gzip_begins(s->next, (size_t)(s->end - s->next))) s->status = start_unpacking(s);
  resnet_status status = s->status;
  if (status == RESNET_OK)
    *out = s;
  else
    stream_close(s);
  return status;
}

resnet_status stream_open_memory(const void *bytes, size_t size, memory *m, uint64_t max_bytes,
                                 byte_stream **out, resnet_error *error) {
  *out = NULL;
  return open_stream((byte_stream){.file = -1, .bytes = bytes, .left = size}, m, max_bytes, out,
                     error);
}

static resnet_status check_file(int file, uint64_t max_bytes, size_t *size, resnet_error *error) {
  struct stat about;
  if (fstat(file, &about) != 0) return err_from_errno(error, "examined", errno);
  if (!S_ISREG(about.st_mode))
    return err_fail(error, RESNET_ERROR_IO, "is %s: a model must be a regular file",
                    file_describe_type(about.st_mode));
  if (about.st_size < 0 || (uint64_t)about.st_size > SIZE_MAX)
    return too_large(error, "has", max_bytes);
  *size = (size_t)about.st_size;
  return RESNET_OK;
}

resnet_status stream_open_file(const char *path, memory *m, uint64_t max_bytes, byte_stream **out,
                               resnet_error *error) {
  *out = NULL;
  byte_stream first = {.file = open(path, FILE_OPEN_FLAGS)};
  if (first.file < 0) return err_from_errno(error, "opened", errno);
  resnet_status status = check_file(first.file, max_bytes, &first.left, error);
  if (status == RESNET_OK) return open_stream(first, m, max_bytes, out, error);
  (void)close(first.file);
  return status;
}
