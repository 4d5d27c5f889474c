#include "loader/onnx/byte_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/open_file.h"
#include "loader/base/zlib_hooks.h"

enum {
  BUFFER_BYTES = 1 << 16,
  /* deflate encodes at most 258 bytes in 2 bits (RFC 1951, 3.2.5) */
  LARGEST_RATIO = 4 * 258,
  HELD_BACK = 1 << 16 /* bytes that zlib may have read and not yet unpacked */
};

struct byte_stream {
  memory *memory;
  resnet_error *error;
  resnet_status status; /* of the first failure */
  uint64_t max_bytes;
  int file;             /* -1: bytes */
  const uint8_t *bytes; /* the rest of the bytes in memory */
  size_t left;          /* bytes of the file, or at `bytes`, that are not yet taken */
  uint8_t *buffer;
  const uint8_t *next, *end; /* in the buffer: bytes that are not yet read */
  size_t produced;           /* bytes so far, unpacked */
  bool packed, ended;
  uint8_t *packed_buffer;
  z_stream z;
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

static size_t take_stored(byte_stream *s, void *to, size_t size) {
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

/* ---- gzip -------------------------------------------------------------------------- */

/* Give the first bytes, which are in s->buffer and not yet read, to zlib. */
static resnet_status start_unpacking(byte_stream *s) {
  s->packed_buffer = s->buffer;
  s->z = zlib_stream(s->memory);
  s->z.next_in = s->packed_buffer;
  s->z.avail_in = (uInt)(s->end - s->next);
  s->buffer = mem_allocate(s->memory, BUFFER_BYTES, 1);
  s->next = s->end = s->buffer;
  if (!s->buffer || inflateInit2(&s->z, 15 + 16) != Z_OK)
    return err_no_memory(s->error, "unpacking the file");
  s->packed = true;
  return RESNET_OK;
}

/* Run one step of zlib. Return the number of bytes that it made; 0 is possible. */
static size_t inflate_step(byte_stream *s, void *to, size_t size) {
  if (s->z.avail_in == 0) {
    s->z.next_in = s->packed_buffer;
    s->z.avail_in = (uInt)take_stored(s, s->packed_buffer, BUFFER_BYTES);
    if (s->status != RESNET_OK) return 0;
  }
  uInt space = size > INT32_MAX ? INT32_MAX : (uInt)size;
  s->z.next_out = to;
  s->z.avail_out = space;
  int result = inflate(&s->z, Z_NO_FLUSH);
  if (result == Z_MEM_ERROR) {
    s->status = err_no_memory(s->error, "unpacking the file");
  } else if (result == Z_STREAM_END) { /* another member may follow */
    s->ended = s->z.avail_in == 0 && s->left == 0;
    if (!s->ended) (void)inflateReset(&s->z);
  } else if (result != Z_OK) {
    s->status = err_fail(s->error, RESNET_ERROR_FORMAT,
                         "damaged or cut-off gzip data (%s): fetch the file again",
                         s->z.msg ? s->z.msg : "it ends too early");
  }
  return space - s->z.avail_out;
}

static size_t take_unpacked(byte_stream *s, void *to, size_t size) {
  size_t made = 0;
  while (made == 0 && !s->ended && s->status == RESNET_OK) made = inflate_step(s, to, size);
  return s->status == RESNET_OK ? made : 0;
}

/* ---- reading ----------------------------------------------------------------------- */

/* Produce 1 to `size` bytes. Return how many; 0 at the end or on failure. */
static size_t produce(byte_stream *s, void *to, size_t size) {
  if (s->status != RESNET_OK) return 0;
  size_t made = s->packed ? take_unpacked(s, to, size) : take_stored(s, to, size);
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
  uint64_t ready = (uint64_t)(s->end - s->next), stored = (uint64_t)s->left + s->z.avail_in;
  if (!s->packed) return size <= ready + s->left;
  return stored > UINT32_MAX || size <= ready + stored * LARGEST_RATIO + HELD_BACK;
}

resnet_status stream_status(const byte_stream *s) { return s->status; }

resnet_status stream_finish(byte_stream *s) {
  while (s->packed && fill(s)) {
  }
  return s->status;
}

/* ---- opening ----------------------------------------------------------------------- */

void stream_close(byte_stream *s) {
  if (!s) return;
  if (s->packed) (void)inflateEnd(&s->z);
  if (s->file >= 0) (void)close(s->file);
  mem_release(s->memory, s->buffer);
  mem_release(s->memory, s->packed_buffer);
  mem_release(s->memory, s);
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
  if (filled && s->end - s->next >= 2 && memcmp(s->next, "\x1f\x8b", 2) == 0) {
    s->produced = 0;
    s->status = start_unpacking(s);
  }
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
