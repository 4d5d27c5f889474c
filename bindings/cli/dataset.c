#include "cli/dataset.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zip.h>

#include "cli/memory.h"
#include "support/error.h"
#include "support/image.h"

/* Maximum depth below the data set: folder/class/image. */
enum { MAX_DEPTH = 3 };

static bool is_hidden(const char *part) {
  return part[0] == '.' || strncmp(part, "__MACOSX", 8) == 0;
}

static void add_item(dataset *d, const char *root, const char *name, uint64_t entry) {
  size_t size = strlen(root) + strlen(name) + 2;
  d->items = cli_grow(d->items, d->count, &d->capacity, sizeof *d->items);
  dataset_item *item = &d->items[d->count++];
  *item = (dataset_item){.path = cli_allocate(size, 1), .entry = entry};
  (void)snprintf(item->path, size, "%s/%s", root, name);
}

/* ---- a folder ---- */

/* Add the files below `root`. `name` is the path relative to `root`, "" at first. */
static bool walk(dataset *d, const char *root, const char *name, int depth, resnet_error *error);

static bool visit(dataset *d, const char *root, const char *name, int depth, resnet_error *error) {
  size_t size = strlen(root) + strlen(name) + 2;
  char *path = cli_allocate(size, 1);
  (void)snprintf(path, size, "%s/%s", root, name);
  struct stat status;
  bool ok = true;
  if (stat(path, &status) != 0)
    ok = error_set(error, RESNET_ERROR_IO, "%.150s: cannot be read: %s", name, strerror(errno));
  else if (S_ISDIR(status.st_mode) && depth >= MAX_DEPTH)
    ok = error_set(error, RESNET_ERROR_UNSUPPORTED,
                   "%.150s: nested too deep: expected <class>/<image>", name);
  else if (S_ISDIR(status.st_mode))
    ok = walk(d, root, name, depth + 1, error);
  else if (depth > 1)
    add_item(d, root, name, 0);
  free(path);
  return ok;
}

static bool walk(dataset *d, const char *root, const char *name, int depth, resnet_error *error) {
  size_t size = strlen(root) + strlen(name) + 2;
  char *path = cli_allocate(size, 1);
  (void)snprintf(path, size, "%s/%s", root, name);
  DIR *folder = opendir(path);
  free(path);
  if (!folder)
    return error_set(error, RESNET_ERROR_IO, "%.150s: cannot be listed: %s", name, strerror(errno));
  bool ok = true;
  for (struct dirent *entry; ok && (entry = readdir(folder));) {
    if (is_hidden(entry->d_name)) continue;
    size_t child_size = strlen(name) + strlen(entry->d_name) + 2;
    char *child = cli_allocate(child_size, 1);
    (void)snprintf(child, child_size, "%s%s%s", name, *name ? "/" : "", entry->d_name);
    ok = visit(d, root, child, depth, error);
    free(child);
  }
  (void)closedir(folder);
  return ok;
}

/* ---- an archive ---- */

static unsigned count_parts(const char *name) {
  unsigned parts = 1;
  for (; *name; name++) parts += *name == '/';
  return parts;
}

static bool has_hidden_part(const char *name) {
  for (; name; name = strchr(name, '/')) {
    name += *name == '/';
    if (is_hidden(name)) return true;
  }
  return false;
}

static bool list_archive(dataset *d, const char *path, resnet_error *error) {
  zip_int64_t entries = zip_get_num_entries(d->archive, 0);
  for (zip_int64_t i = 0; i < entries; i++) {
    const char *name = zip_get_name(d->archive, (zip_uint64_t)i, 0);
    if (!name || !*name || name[strlen(name) - 1] == '/' || has_hidden_part(name)) continue;
    unsigned parts = count_parts(name);
    if (parts > MAX_DEPTH)
      return error_set(error, RESNET_ERROR_UNSUPPORTED,
                       "%.150s: nested too deep: expected <class>/<image>", name);
    if (parts > 1) add_item(d, path, name, (uint64_t)i);
  }
  return true;
}

static bool open_archive(dataset *d, const char *path, resnet_error *error) {
  int code = 0;
  d->archive = zip_open(path, ZIP_RDONLY, &code);
  if (d->archive) return list_archive(d, path, error);
  zip_error_t reason;
  zip_error_init_with_code(&reason, code);
  (void)error_set(error, RESNET_ERROR_FORMAT, "cannot be opened as a .zip: %.150s",
                  zip_error_strerror(&reason));
  zip_error_fini(&reason);
  return false;
}

/* ---- classes ---- */

static int compare_folders(const dataset_item *a, const dataset_item *b) {
  size_t shorter = a->folder_length < b->folder_length ? a->folder_length : b->folder_length;
  int order = memcmp(a->path + a->folder_start, b->path + b->folder_start, shorter);
  if (order != 0) return order;
  return (a->folder_length > b->folder_length) - (a->folder_length < b->folder_length);
}

static int compare_items(const void *a, const void *b) {
  const dataset_item *left = a, *right = b;
  int order = compare_folders(left, right);
  return order != 0 ? order : strcmp(left->path, right->path);
}

/* If there is any <folder>/<class>/<image>, keep only such items and require that all
 * share that folder. */
static bool check_one_set(dataset *d, size_t root_length, resnet_error *error) {
  const char *set = NULL;
  for (size_t i = 0; i < d->count && !set; i++)
    if (count_parts(d->items[i].path + root_length) == MAX_DEPTH)
      set = d->items[i].path + root_length;
  if (!set) return true;
  int length = (int)strcspn(set, "/") + 1;
  size_t kept = 0;
  for (size_t i = 0; i < d->count; i++) {
    const char *name = d->items[i].path + root_length;
    if (strncmp(name, set, (size_t)length) != 0)
      return error_set(
          error, RESNET_ERROR_UNSUPPORTED,
          "holds two data sets, '%.*s' and '%.*s', of <class>/<image>: name one of them",
          length - 1, set, (int)strcspn(name, "/"), name);
    if (count_parts(name) == MAX_DEPTH) {
      dataset_item item = d->items[i];
      d->items[i] = d->items[kept];
      d->items[kept++] = item;
    }
  }
  while (d->count > kept) free(d->items[--d->count].path);
  return true;
}

static void find_folder_name(dataset_item *item) {
  const char *end = strrchr(item->path, '/'), *start = end;
  while (start[-1] != '/') start--;
  item->folder_start = (size_t)(start - item->path);
  item->folder_length = (size_t)(end - start);
}

static void number_folders(dataset *d) {
  for (size_t i = 0; i < d->count; i++) find_folder_name(&d->items[i]);
  qsort(d->items, d->count, sizeof *d->items, compare_items);
  size_t capacity = 0;
  for (size_t i = 0; i < d->count; i++) {
    dataset_item *item = &d->items[i];
    if (i == 0 || compare_folders(item, item - 1) != 0) {
      d->folders = cli_grow(d->folders, d->folder_count, &capacity, sizeof *d->folders);
      char *name = cli_allocate(item->folder_length + 1, 1);
      memcpy(name, item->path + item->folder_start, item->folder_length);
      d->folders[d->folder_count++] = name;
    }
    item->folder = d->folder_count - 1;
  }
}

static bool list_images(dataset *d, const char *path, resnet_error *error) {
  struct stat status;
  if (stat(path, &status) != 0)
    return error_set(error, RESNET_ERROR_IO, "cannot be opened: %s", strerror(errno));
  if (S_ISDIR(status.st_mode)) return walk(d, path, "", 1, error);
  if (S_ISREG(status.st_mode)) return open_archive(d, path, error);
  return error_set(error, RESNET_ERROR_IO, "is neither a folder nor a .zip file");
}

bool cli_dataset_open(const char *path, dataset *d, resnet_error *error) {
  *d = (dataset){0};
  (void)pthread_mutex_init(&d->reading, NULL);
  if (!list_images(d, path, error) || !check_one_set(d, strlen(path) + 1, error)) goto error;
  if (d->count == 0) {
    (void)error_set(error, RESNET_ERROR_FORMAT, "holds no images: expected <class>/<image>");
    goto error;
  }
  number_folders(d);
  return true;
error:
  cli_dataset_close(d);
  return false;
}

void cli_dataset_close(dataset *d) {
  for (size_t i = 0; i < d->count; i++) free(d->items[i].path);
  for (uint32_t i = 0; i < d->folder_count; i++) free(d->folders[i]);
  free(d->items);
  free(d->folders);
  if (d->archive) zip_discard(d->archive);
  (void)pthread_mutex_destroy(&d->reading);
  *d = (dataset){0};
}

/* ---- reading ---- */

/* Read one byte more than the entry claims to have: the end must come there, and libzip
 * then compares the checksum. */
static bool read_entry(zip_file_t *file, uint8_t *bytes, size_t size, resnet_error *error) {
  size_t used = 0;
  zip_int64_t got = 1;
  while (used <= size && (got = zip_fread(file, bytes + used, size + 1 - used)) > 0)
    used += (size_t)got;
  if (got < 0)
    return error_set(error, RESNET_ERROR_FORMAT, "damaged entry: %.150s", zip_file_strerror(file));
  if (used != size)
    return error_set(error, RESNET_ERROR_FORMAT,
                     "the size of the entry differs from the size in the archive");
  return true;
}

static bool read_locked(dataset *d, uint64_t entry, uint8_t **bytes, size_t *size,
                        resnet_error *error) {
  zip_stat_t status;
  zip_stat_init(&status);
  if (zip_stat_index(d->archive, entry, 0, &status) != 0 || !(status.valid & ZIP_STAT_SIZE))
    return error_set(error, RESNET_ERROR_FORMAT, "damaged archive: %.150s",
                     zip_strerror(d->archive));
  if (status.size > IMAGE_MAX_FILE_BYTES)
    return error_set(error, RESNET_ERROR_LIMIT, "unpacks to %llu bytes; at most %zu are accepted",
                     (unsigned long long)status.size, IMAGE_MAX_FILE_BYTES);
  zip_file_t *file = zip_fopen_index(d->archive, entry, 0);
  if (!file)
    return error_set(error, RESNET_ERROR_FORMAT, "cannot be unpacked: %.150s",
                     zip_strerror(d->archive));
  uint8_t *buffer = malloc((size_t)status.size + 1);
  bool ok = buffer ? read_entry(file, buffer, (size_t)status.size, error)
                   : error_set(error, RESNET_ERROR_MEMORY, "no memory for the entry");
  (void)zip_fclose(file);
  if (!ok) {
    free(buffer);
    return false;
  }
  *bytes = buffer;
  *size = (size_t)status.size;
  return true;
}

bool cli_dataset_read(dataset *d, size_t index, uint8_t **bytes, size_t *size,
                      resnet_error *error) {
  const dataset_item *item = &d->items[index];
  if (!d->archive) return image_read_bytes(item->path, IMAGE_MAX_FILE_BYTES, bytes, size, error);
  (void)pthread_mutex_lock(&d->reading);
  bool ok = read_locked(d, item->entry, bytes, size, error);
  (void)pthread_mutex_unlock(&d->reading);
  return ok;
}

bool cli_dataset_decode(dataset *d, size_t index, image_rgb *out, resnet_error *error) {
  uint8_t *bytes = NULL;
  size_t size = 0;
  *out = (image_rgb){0};
  if (!cli_dataset_read(d, index, &bytes, &size, error)) return false;
  bool ok = image_decode(bytes, size, &d->options, out, error);
  free(bytes);
  d->items[index].cut = image_was_cut(out);
  return ok;
}

size_t cli_dataset_count_cut(const dataset *d) {
  size_t count = 0;
  for (size_t i = 0; i < d->count; i++) count += d->items[i].cut;
  return count;
}
