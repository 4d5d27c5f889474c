/* syscall() and O_PATH are not in POSIX. */
#define _GNU_SOURCE
#include "loader/onnx/external_data.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#ifdef SYS_openat2
#include <linux/openat2.h>
#endif
#endif

#include "loader/base/open_file.h"
#include "loader/onnx/onnx_parse.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

enum {
  MAX_LOCATION = 1023,
  MAX_READ = 1 << 30, /* bytes per call: Linux reads less than 2 GiB at once */
  FOLDER_FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC
};

/* ---- a tensor's entries ------------------------------------------------------------ */

/* ONNX's keys. The checksum (SHA-1 of the file) is not verified: the author of a hostile
 * file can write the right one. */
enum { LOCATION, OFFSET, LENGTH, CHECKSUM, KEY_COUNT };
static const char *const keys[KEY_COUNT] = {"location", "offset", "length", "checksum"};

typedef struct piece {
  const Onnx__ExternalDataProto *entries[KEY_COUNT]; /* NULL: not given */
  ProtobufCBinaryData location;
  uint64_t offset, length;
} piece;

static ProtobufCBinaryData value_of(const piece *p, int key) {
  const Onnx__ExternalDataProto *entry = p->entries[key];
  return entry && entry->has_value ? entry->value : (ProtobufCBinaryData){0};
}

/* Put the names of the tensor and its file before the message in *error. */
static resnet_status name_piece(const piece *p, const Onnx__TensorProto *t, resnet_status status,
                                resnet_error *error) {
  enum { NAME = 36, FILE_NAME = 40 };
  char prefix[100];
  size_t length = p->location.len < FILE_NAME ? p->location.len : FILE_NAME;
  const char *location = p->location.data ? (const char *)p->location.data : "";
  (void)snprintf(prefix, sizeof prefix, "tensor '%.*s', file '%.*s'", NAME, onnx_text(t->name),
                 (int)length, location);
  return err_add_prefix(error, status, prefix);
}

static int find_key(const Onnx__ExternalDataProto *entry) {
  int key = 0;
  while (key < KEY_COUNT && !(entry->key.len == strlen(keys[key]) &&
                              !memcmp(entry->key.data, keys[key], entry->key.len)))
    key++;
  return key;
}

/* Fail on unknown keys: they may change the meaning of the others. */
static resnet_status read_entries(const Onnx__TensorProto *t, piece *p, resnet_error *error) {
  for (size_t i = 0; i < t->n_external_data; i++) {
    const Onnx__ExternalDataProto *entry = t->external_data[i];
    int key = find_key(entry);
    if (key == KEY_COUNT || p->entries[key])
      return err_fail(
          error, RESNET_ERROR_FORMAT,
          "external_data has the key '%.*s'%s: location, offset, length and checksum are "
          "accepted, once each",
          entry->key.len < 30 ? (int)entry->key.len : 30,
          entry->key.len ? (const char *)entry->key.data : "", key == KEY_COUNT ? "" : " twice");
    p->entries[key] = entry;
  }
  p->location = value_of(p, LOCATION);
  return RESNET_OK;
}

/* Read a decimal number below 2^63, the limit of file sizes; 0 without the key. */
static resnet_status read_number(const piece *p, int key, uint64_t *number, resnet_error *error) {
  ProtobufCBinaryData text = value_of(p, key);
  bool good = text.len > 0 || !p->entries[key];
  *number = 0;
  for (size_t i = 0; i < text.len && good; i++) {
    unsigned digit = text.data[i] - (unsigned)'0';
    good = digit <= 9 && *number <= ((uint64_t)INT64_MAX - digit) / 10;
    *number = *number * 10 + digit;
  }
  if (good) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_FORMAT,
                  "its %s is '%.*s': a whole number of bytes below 2^63 is accepted", keys[key],
                  text.len < 30 ? (int)text.len : 30, text.len ? (const char *)text.data : "");
}

static bool has_parent(const char *path) {
  while (path) {
    size_t length = strcspn(path, "/");
    if (length == 2 && memcmp(path, "..", 2) == 0) return true;
    path = path[length] ? path + length + 1 : NULL;
  }
  return false;
}

/* Copy the name and append a NUL. */
static resnet_status read_location(ProtobufCBinaryData location, char path[MAX_LOCATION + 1],
                                   resnet_error *error) {
  const char *problem = NULL;
  bool fits = location.len > 0 && location.len <= MAX_LOCATION;
  if (fits) memcpy(path, location.data, location.len);
  path[fits ? location.len : 0] = '\0';
  if (location.len == 0)
    problem = "has no name";
  else if (!fits)
    problem = "has a name of more than 1023 bytes";
  else if (strlen(path) != location.len)
    problem = "has a NUL byte in its name";
  else if (path[0] == '/')
    problem = "is an absolute path";
  else if (has_parent(path))
    problem = "has '..' in its path";
  else if (strstr(path, "//") || path[location.len - 1] == '/')
    problem = "has a folder or file without a name in its path";
  if (!problem) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_FORMAT,
                  "%s: it must be in or below the model's folder; save the model again, with its "
                  "weights beside it",
                  problem);
}

static resnet_status read_piece(const Onnx__TensorProto *t, size_t bytes, piece *p,
                                resnet_error *error) {
  char path[MAX_LOCATION + 1];
  *p = (piece){0};
  resnet_status status = read_entries(t, p, error);
  if (status == RESNET_OK) status = read_location(p->location, path, error);
  if (status == RESNET_OK) status = read_number(p, OFFSET, &p->offset, error);
  if (status == RESNET_OK) status = read_number(p, LENGTH, &p->length, error);
  if (status != RESNET_OK || !p->entries[LENGTH] || p->length == bytes) return status;
  return err_fail(
      error, RESNET_ERROR_FORMAT,
      "its length is %llu bytes, its dimensions ask for %zu: the model is damaged, export it again",
      (unsigned long long)p->length, bytes);
}

static resnet_status check_access(const external_files *files, resnet_error *error) {
  switch (files->access) {
  case EXTERNAL_FROM_MEMORY:
    return err_fail(
        error, RESNET_ERROR_UNSUPPORTED,
        "a model in memory has no files beside it: open it by its path, with external_data on");
  case EXTERNAL_OFF:
    return err_fail(
        error, RESNET_ERROR_UNSUPPORTED,
        "its weights are in another file: set options.external_data to read it, or merge both "
        "into one: onnx.save(onnx.load(path), path)");
  case EXTERNAL_ON:
    break;
  }
  if (files->folder < 0)
    return err_from_errno(error, "looked for in the model's folder", files->folder_error);
  return RESNET_OK;
}

resnet_status external_check(const external_files *files, const Onnx__TensorProto *t, size_t bytes,
                             resnet_error *error) {
  piece p;
  resnet_status status = read_piece(t, bytes, &p, error);
  if (status == RESNET_OK) status = check_access(files, error);
  return status == RESNET_OK ? RESNET_OK : name_piece(&p, t, status, error);
}

/* ---- opening: descriptors, or negative errnos -------------------------------------- */

static int or_errno(int descriptor) { return descriptor >= 0 ? descriptor : -errno; }

static int open_at_once(int folder, const char *path) {
#ifdef SYS_openat2
  const struct open_how how = {.flags = FILE_OPEN_FLAGS,
                               .resolve =
                                   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  return or_errno((int)syscall(SYS_openat2, folder, path, &how, sizeof how));
#else
  (void)folder;
  (void)path;
  return -ENOSYS;
#endif
}

/* Open a folder; -ELOOP for a symbolic link. With O_DIRECTORY the system reports ENOTDIR
 * for a link. */
static int open_folder_in(int folder, const char *name) {
  struct stat about;
  int found = or_errno(openat(folder, name, FOLDER_FLAGS | O_NOFOLLOW));
  if (found == -ENOTDIR && fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISLNK(about.st_mode))
    return -ELOOP;
  return found;
}

/* Open the folders of the path one by one. The path has no `..` and links are refused, so
 * each step stays below the previous one. */
static int open_by_component(int folder, const char *path) {
  char name[MAX_LOCATION + 1];
  int at = folder;
  for (size_t length = strcspn(path, "/"); path[length] && at >= 0; length = strcspn(path, "/")) {
    memcpy(name, path, length);
    name[length] = '\0';
    int next = open_folder_in(at, name);
    if (at != folder) (void)close(at);
    at = next;
    path += length + 1;
  }
  if (at < 0) return at;
  int file = or_errno(openat(at, path, FILE_OPEN_FLAGS | O_NOFOLLOW));
  if (at != folder) (void)close(at);
  return file;
}

/* Open a file below the model's folder. openat2 needs Linux 5.6; a sandbox that does not
 * know it returns ENOSYS or EPERM. */
static int open_beneath(const external_files *files, const char *path) {
  int file = open_at_once(files->folder, path);
  return file == -ENOSYS || file == -EPERM ? open_by_component(files->folder, path) : file;
}

static resnet_status explain_opening(int code, resnet_error *error) {
  if (code == ENOENT)
    return err_fail(error, RESNET_ERROR_IO, "is not there: it belongs to the model, fetch it too");
  if (code == ELOOP)
    return err_fail(
        error, RESNET_ERROR_IO,
        "is a symbolic link, or is behind one: put the file itself in its place, or a copy");
  return err_from_errno(error, "opened", code);
}

static resnet_status check_file(int descriptor, uint64_t max_bytes, uint64_t *size,
                                resnet_error *error) {
  struct stat about;
  if (fstat(descriptor, &about) != 0) return err_from_errno(error, "examined", errno);
  if (!S_ISREG(about.st_mode))
    return err_fail(error, RESNET_ERROR_IO, "is %s: weights must be in a regular file",
                    file_describe_type(about.st_mode));
  if (about.st_nlink != 1)
    return err_fail(
        error, RESNET_ERROR_IO,
        "has %llu hard links, so it may belong to something else: put a copy in its place",
        (unsigned long long)about.st_nlink);
  *size = about.st_size < 0 ? UINT64_MAX : (uint64_t)about.st_size;
  if (*size > max_bytes)
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "has more than %llu bytes: raise max_file_bytes if you trust it",
                    (unsigned long long)max_bytes);
  return RESNET_OK;
}

static resnet_status open_file(const external_files *files, external_file *f, resnet_error *error) {
  char path[MAX_LOCATION + 1];
  resnet_status status = read_location(f->location, path, error);
  if (status != RESNET_OK) return status;
  f->descriptor = open_beneath(files, path);
  if (f->descriptor < 0) return explain_opening(-f->descriptor, error);
  status = check_file(f->descriptor, files->max_file_bytes, &f->size, error);
  if (status != RESNET_OK) (void)close(f->descriptor);
  return status;
}

static size_t count_open(const external_files *files) {
  return files->opened < EXTERNAL_FILES_OPEN ? files->opened : EXTERNAL_FILES_OPEN;
}

/* Find the open file of that name, or open it in place of the oldest one. */
static resnet_status find_file(external_files *files, ProtobufCBinaryData location,
                               const external_file **out, resnet_error *error) {
  size_t count = count_open(files);
  for (size_t i = 0; i < count; i++) {
    const external_file *f = *out = &files->files[i];
    if (f->location.len == location.len &&
        memcmp(f->location.data, location.data, location.len) == 0)
      return RESNET_OK;
  }
  external_file fresh = {.location = location};
  resnet_status status = open_file(files, &fresh, error);
  if (status != RESNET_OK) return status;
  external_file *place = &files->files[files->opened % EXTERNAL_FILES_OPEN];
  if (count == EXTERNAL_FILES_OPEN) (void)close(place->descriptor);
  *place = fresh;
  files->opened++;
  *out = place;
  return RESNET_OK;
}

/* The path comes from the caller, so links in it are followed. */
resnet_status external_files_open(external_files *files, memory *m, const char *model_path,
                                  bool allowed, uint64_t max_file_bytes, resnet_error *error) {
  *files = (external_files){.access = allowed ? EXTERNAL_ON : EXTERNAL_OFF, .folder = -1};
  if (!allowed) return RESNET_OK;
  const char *slash = strrchr(model_path, '/');
  char *folder = slash ? mem_copy_string(m, model_path, (size_t)(slash - model_path) + 1)
                       : mem_copy_string(m, ".", 1);
  if (!folder) return err_no_memory(error, "the folder's name");
  files->max_file_bytes = max_file_bytes;
  files->folder = open(folder, FOLDER_FLAGS);
  files->folder_error = errno;
  mem_release(m, folder);
  return RESNET_OK;
}

void external_files_close(external_files *files) {
  if (files->access != EXTERNAL_ON) return;
  for (size_t i = 0; i < count_open(files); i++) (void)close(files->files[i].descriptor);
  if (files->folder >= 0) (void)close(files->folder);
  *files = (external_files){0};
}

/* ---- reading ----------------------------------------------------------------------- */

static resnet_status read_bytes(int descriptor, uint64_t offset, uint8_t *to, size_t bytes,
                                resnet_error *error) {
  while (bytes > 0) {
    ssize_t got = pread(descriptor, to, bytes < MAX_READ ? bytes : MAX_READ, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return err_from_errno(error, "read", errno);
    if (got == 0)
      return err_fail(error, RESNET_ERROR_IO, "became shorter while it was read: try again");
    to += got;
    offset += (uint64_t)got;
    bytes -= (size_t)got;
  }
  return RESNET_OK;
}

/* Read `bytes` bytes. Check the file's size before allocating. */
static resnet_status read_file(external_files *files, memory *m, const piece *p, size_t bytes,
                               uint8_t **data, resnet_error *error) {
  const external_file *f = NULL;
  resnet_status status = find_file(files, p->location, &f, error);
  if (status != RESNET_OK) return status;
  if (p->offset > f->size || bytes > f->size - p->offset)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "has %llu bytes, but %zu from offset %llu on are needed: it is cut off or "
                    "another model's; fetch it again",
                    (unsigned long long)f->size, bytes, (unsigned long long)p->offset);
  *data = mem_allocate_unset(m, bytes, 1);
  if (!*data) return err_no_memory(error, "weights");
  status = read_bytes(f->descriptor, p->offset, *data, bytes, error);
  if (status == RESNET_OK) return status;
  mem_release(m, *data);
  *data = NULL;
  return status;
}

resnet_status external_read(external_files *files, memory *m, const Onnx__TensorProto *t,
                            size_t bytes, uint8_t **data, resnet_error *error) {
  piece p;
  *data = NULL;
  resnet_status status = read_piece(t, bytes, &p, error);
  if (status == RESNET_OK) status = check_access(files, error);
  if (status == RESNET_OK) status = read_file(files, m, &p, bytes, data, error);
  return status == RESNET_OK ? RESNET_OK : name_piece(&p, t, status, error);
}
