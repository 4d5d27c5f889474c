#include "onnx_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { GZIP_FIRST_BLOCK = 1 << 16 };

static resnet_status too_large(resnet_error *error, const char *what, uint64_t max_bytes) {
  return fail(error, RESNET_ERROR_LIMIT, "%s more than %llu bytes: raise max_file_bytes if you trust it", what,
              (unsigned long long)max_bytes);
}

static resnet_status fail_errno(resnet_error *error, const char *action, int code) {
  char reason[96] = "";
  if (strerror_r(code, reason, sizeof reason) != 0) reason[0] = '\0';
  return fail(error, RESNET_ERROR_IO, "cannot be %s: %s", action, reason);
}

static const char *describe_type(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  if (S_ISSOCK(mode)) return "a socket";
  return "no regular file";
}

static resnet_status read_all(int file, file_bytes *out, resnet_error *error) {
  size_t done = 0;
  while (done < out->size) {
    ssize_t got = read(file, out->data + done, out->size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(error, "read", errno);
    if (got == 0) return fail(error, RESNET_ERROR_IO, "became shorter while it was read: try again");
    done += (size_t)got;
  }
  return RESNET_OK;
}

static resnet_status read_open_file(int file, memory *m, uint64_t max_bytes, file_bytes *out, resnet_error *error) {
  struct stat about;
  if (fstat(file, &about) != 0) return fail_errno(error, "examined", errno);
  if (!S_ISREG(about.st_mode))
    return fail(error, RESNET_ERROR_IO, "is %s: a model must be a regular file", describe_type(about.st_mode));
  if (about.st_size < 0 || (uint64_t)about.st_size > max_bytes || (uint64_t)about.st_size > SIZE_MAX)
    return too_large(error, "has", max_bytes);
  out->size = (size_t)about.st_size;
  out->data = memory_allocate(m, out->size, 1);
  if (!out->data) return fail_memory(error, "the file");
  return read_all(file, out, error);
}

resnet_status file_read(const char *path, memory *m, uint64_t max_bytes, file_bytes *out, resnet_error *error) {
  memset(out, 0, sizeof *out);
  /* O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever */
  int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (file < 0) return fail_errno(error, "opened", errno);
  resnet_status status = read_open_file(file, m, max_bytes, out, error);
  (void)close(file);
  if (status != RESNET_OK) {
    memory_release(m, out->data);
    memset(out, 0, sizeof *out);
  }
  return status;
}

bool is_gzip(const void *bytes, size_t size) { return size >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0; }

static void *zlib_allocate(void *context, uInt count, uInt size) { return memory_allocate(context, count, size); }

static void zlib_release(void *context, void *pointer) { memory_release(context, pointer); }

/* Double the buffer, up to one byte above the limit: that byte tells a file that is too large. */
static resnet_status grow(memory *m, uint64_t max_bytes, file_bytes *out, size_t *capacity, resnet_error *error) {
  uint64_t largest = max_bytes < SIZE_MAX ? max_bytes + 1 : SIZE_MAX;
  size_t wanted = *capacity ? (*capacity > SIZE_MAX / 2 ? SIZE_MAX : *capacity * 2) : GZIP_FIRST_BLOCK;
  if (wanted > largest) wanted = (size_t)largest;
  if (wanted <= *capacity) return too_large(error, "unpacks to", max_bytes);
  uint8_t *data = memory_allocate(m, wanted, 1);
  if (!data) return fail_memory(error, "unpacking the file");
  if (out->size) memcpy(data, out->data, out->size);
  memory_release(m, out->data);
  out->data = data;
  *capacity = wanted;
  return RESNET_OK;
}

static resnet_status inflate_all(z_stream *z, const uint8_t *end, memory *m, uint64_t max_bytes, file_bytes *out,
                                 resnet_error *error) {
  size_t capacity = 0;
  for (;;) {
    if (out->size == capacity) {
      resnet_status status = grow(m, max_bytes, out, &capacity, error);
      if (status != RESNET_OK) return status;
    }
    size_t space = capacity - out->size, left = (size_t)(end - z->next_in);
    z->avail_out = space > INT32_MAX ? INT32_MAX : (uInt)space;
    z->avail_in = left > INT32_MAX ? INT32_MAX : (uInt)left;
    z->next_out = out->data + out->size;
    int result = inflate(z, Z_NO_FLUSH);
    out->size = (size_t)(z->next_out - out->data);
    if (result == Z_MEM_ERROR) return fail_memory(error, "unpacking the file");
    bool done = result == Z_STREAM_END && z->next_in == end;
    if (out->size > max_bytes) return too_large(error, "unpacks to", max_bytes);
    if (done) return RESNET_OK;
    if (result == Z_STREAM_END && inflateReset(z) == Z_OK) continue;
    if (result != Z_OK && !(result == Z_BUF_ERROR && out->size == capacity))
      return fail(error, RESNET_ERROR_FORMAT, "damaged or cut-off gzip data (%s): fetch the file again",
                  z->msg ? z->msg : "it ends too early");
  }
}

resnet_status gzip_read(const void *bytes, size_t size, memory *m, uint64_t max_bytes, file_bytes *out,
                        resnet_error *error) {
  memset(out, 0, sizeof *out);
  z_stream z = {.zalloc = zlib_allocate, .zfree = zlib_release, .opaque = m, .next_in = (Bytef *)(uintptr_t)bytes};
  if (inflateInit2(&z, 15 + 16) != Z_OK) return fail_memory(error, "unpacking the file");
  resnet_status status = inflate_all(&z, (const uint8_t *)bytes + size, m, max_bytes, out, error);
  (void)inflateEnd(&z);
  if (status != RESNET_OK) {
    memory_release(m, out->data);
    memset(out, 0, sizeof *out);
  }
  return status;
}
