#include "runtime/plan_file/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/serial.h"
#include "loader/graph/graph_io.h"
#include "runtime/plan/cost_model.h"
#include "runtime/plan_file/checksum.h"
#include "runtime/plan_file/format.h"
#include "runtime/plan_file/pack.h"

enum { MAX_ATTEMPTS = 100 };

/* ---- the front --------------------------------------------------------------------- */

static void put_key(serial_writer *w, const plan_file_key *key) {
  serial_put_u32(w, key->options.conv);
  serial_put_u32(w, key->options.memory);
  serial_put_u32(w, key->options.batch);
  serial_put_text(w, key->cpu);
  serial_put_text(w, key->build);
}

/* Append the algorithms of the plan's convolutions. Each is an op, in the order of
 * nodes. */
static void put_algorithms(serial_writer *w, const plan *p) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < p->op_count; i++)
    count += plan_algorithm_of(&p->ops[i]) != PLAN_NO_ALGORITHM;
  serial_put_u32(w, count);
  for (uint32_t i = 0; i < p->op_count; i++) {
    const uint32_t algorithm = plan_algorithm_of(&p->ops[i]);
    if (algorithm != PLAN_NO_ALGORITHM)
      serial_put_u32(w, plan_file_name_crc(plan_algorithm_name(algorithm)));
  }
}

/* Append everything but the header. A writer that only counts needs no checksums: they
 * are 0 then. */
static void put_front(serial_writer *w, const plan_file_content *c, const plan_file_key *key) {
  const plan_file *f = c->file;
  serial_put_bytes(w, f->graph, f->graph_size);
  plan_file_put_settings(w, &c->settings);
  put_key(w, key);
  put_algorithms(w, c->plan);
  serial_put_u32(w, f->weights_count);
  for (uint32_t i = 0; i < f->weights_count; i++)
    serial_put_u64(w, w->data ? plan_file_weights_checksum(&f->weights[i]) : 0);
  serial_put_u32(w, c->plan->op_count);
  for (uint32_t i = 0; i < c->plan->op_count; i++) {
    const plan_packed_weights *packed = &c->plan->ops[i].packed;
    serial_put_u32(w, plan_file_kernel_crc(&c->plan->ops[i]));
    serial_put_u64(w, packed->size);
    serial_put_u64(w, packed->size && w->data ? plan_file_checksum(packed->data, packed->size) : 0);
  }
}

/* Return the size of a file whose front has `front` bytes. It cannot overflow, as all
 * weights are in memory. */
static uint64_t file_size(const plan_file_content *c, uint64_t front) {
  uint64_t end = front, size = 0;
  for (uint32_t i = 0; i < c->plan->op_count; i++) {
    (void)plan_file_align(&end);
    end += c->plan->ops[i].packed.size;
  }
  for (uint32_t i = 0; i < c->file->weights_count; i++) {
    (void)plan_file_align(&end);
    (void)plan_file_weights_size(&c->file->weights[i], &size);
    end += size;
  }
  (void)plan_file_align(&end);
  return end;
}

static resnet_status make_front(const plan_file_content *c, const plan_file_key *key,
                                serial_writer *w, resnet_error *error) {
  serial_writer counted = {.size = sizeof(plan_file_header)};
  put_front(&counted, c, key);
  if (counted.size > PLAN_MAX_FRONT)
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "the model's names and labels take %zu bytes: up to %d are accepted",
                    counted.size, PLAN_MAX_FRONT);
  w->data = mem_allocate(c->file->memory, counted.size, 1);
  if (!w->data) return err_no_memory(error, "the plan file's header");
  plan_file_header h = {
      .byte_order = PLAN_BYTE_ORDER, .format = PLAN_FORMAT, .front_size = counted.size};
  memcpy(h.magic, PLAN_MAGIC, sizeof h.magic);
  h.file_size = file_size(c, counted.size);
  h.graph_size = c->file->graph_size;
  serial_put_bytes(w, &h, sizeof h);
  put_front(w, c, key);
  h.crc = plan_file_front_crc(w->data, w->size);
  memcpy(w->data, &h, sizeof h);
  return RESNET_OK;
}

/* ---- the sections ------------------------------------------------------------------ */

typedef struct output {
  int file;
  uint64_t at;
  resnet_error *error;
} output;

static resnet_status write_bytes(output *o, const void *bytes, size_t size) {
  const uint8_t *from = bytes;
  o->at += size;
  while (size > 0) {
    const ssize_t done = write(o->file, from, size);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return err_from_errno(o->error, "written", errno);
    from += done;
    size -= (size_t)done;
  }
  return RESNET_OK;
}

static resnet_status write_gap(output *o) {
  static const uint8_t zeros[PLAN_ALIGNMENT];
  uint64_t next = o->at;
  (void)plan_file_align(&next);
  return write_bytes(o, zeros, (size_t)(next - o->at));
}

static resnet_status write_section(output *o, const void *bytes, size_t size) {
  resnet_status status = write_gap(o);
  return status == RESNET_OK ? write_bytes(o, bytes, size) : status;
}

static resnet_status write_content(output *o, const plan_file_content *c,
                                   const serial_writer *front) {
  resnet_status status = write_bytes(o, front->data, front->size);
  for (uint32_t i = 0; i < c->plan->op_count && status == RESNET_OK; i++)
    status = write_section(o, c->plan->ops[i].packed.data, c->plan->ops[i].packed.size);
  for (uint32_t i = 0; i < c->file->weights_count && status == RESNET_OK; i++) {
    const plan_file_weights *w = &c->file->weights[i];
    status = write_section(o, w->weights, w->weight_count * sizeof *w->weights);
    if (status == RESNET_OK) status = write_section(o, w->bias, w->bias_count * sizeof *w->bias);
  }
  if (status == RESNET_OK) status = write_gap(o);
  if (status == RESNET_OK && fsync(o->file) != 0)
    status = err_from_errno(o->error, "written", errno);
  return status;
}

/* ---- the file ---------------------------------------------------------------------- */

/* Fail if `path` is a device or a folder: renaming would replace it. */
static resnet_status check_target(const char *path, resnet_error *error) {
  struct stat about;
  if (lstat(path, &about) != 0 || S_ISREG(about.st_mode) || S_ISLNK(about.st_mode))
    return RESNET_OK;
  return err_fail(error, RESNET_ERROR_IO,
                  "is not a regular file, and a plan file would replace it: name another path");
}

/* Create a new file "PATH.PROCESS-ATTEMPT.tmp", with the permissions of any new file. */
static resnet_status create_beside(const char *path, char *name, size_t size, int *file,
                                   resnet_error *error) {
  for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    (void)snprintf(name, size, "%s.%ld-%d.tmp", path, (long)getpid(), attempt);
    *file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
    if (*file >= 0) return RESNET_OK;
    if (errno != EEXIST) break;
  }
  return err_from_errno(error, "created", errno);
}

/* Write the temporary file, whose name is put into `name`, and rename it. */
static resnet_status write_file(const plan_file_content *c, const serial_writer *front,
                                const char *path, char *name, size_t size, resnet_error *error) {
  output o = {.file = -1, .error = error};
  resnet_status status = create_beside(path, name, size, &o.file, error);
  if (status != RESNET_OK) return status;
  status = write_content(&o, c, front);
  if (close(o.file) != 0 && status == RESNET_OK) status = err_from_errno(error, "written", errno);
  if (status == RESNET_OK && rename(name, path) != 0)
    status = err_from_errno(error, "replaced", errno);
  if (status != RESNET_OK) (void)unlink(name);
  return status;
}

/* Fail if no program could open the file: the reader's checker refuses the graph. */
static resnet_status check_written_graph(const plan_file *f, resnet_error *error) {
  graph g;
  resnet_error why;
  const resnet_status status = graph_read(&g, f->memory, f->graph, f->graph_size, &why);
  if (status == RESNET_OK) graph_release(&g);
  if (status == RESNET_OK) return RESNET_OK;
  if (status == RESNET_ERROR_MEMORY) return err_no_memory(error, "the check of a plan file");
  return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                  "the plan could not be opened again, so nothing is written (please report the "
                  "model): %.120s",
                  why.message);
}

resnet_status plan_file_write(const plan_file_content *content, const char *path,
                              resnet_error *error) {
  memory *m = content->file->memory;
  const size_t size = strlen(path) + 64;
  plan_file_key key;
  serial_writer front = {0};
  char *name = mem_allocate(m, size, 1);
  resnet_status status = name ? check_target(path, error) : err_no_memory(error, "a path");
  if (status == RESNET_OK) status = check_written_graph(content->file, error);
  if (status == RESNET_OK) status = plan_file_key_make(&key, m, content->options, error);
  if (status == RESNET_OK) status = make_front(content, &key, &front, error);
  if (status == RESNET_OK) status = write_file(content, &front, path, name, size, error);
  mem_release(m, front.data);
  mem_release(m, name);
  return status;
}
