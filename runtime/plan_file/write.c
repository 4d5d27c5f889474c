/* Writing a plan file (plan_format.h): into a temporary file beside its place, then
 * renamed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/graph/graph_io.h"
#include "runtime/api/model.h"
#include "runtime/plan_file/format.h"

enum { MAX_ATTEMPTS = 100 };

/* ---- the front --------------------------------------------------------------------- */

static void put_preprocess(serial_writer *w, const resnet_model *model) {
  const resnet_preprocess *p = &model->preprocess;
  /* a guess is made again */
  const bool has = model->preprocess_source != RESNET_PREPROCESS_GUESSED;
  serial_put_u32(w, has);
  serial_put_u32(w, has ? p->resize : 0);
  serial_put_u32(w, has ? p->crop : 0);
  serial_put_u32(w, has ? p->order : 0);
  serial_put_float(w, has ? p->scale : 0);
  for (size_t i = 0; i < 3; i++) serial_put_float(w, has ? p->mean[i] : 0);
  for (size_t i = 0; i < 3; i++) serial_put_float(w, has ? p->std[i] : 0);
}

static void put_key(serial_writer *w, const plan_key *key) {
  serial_put_u32(w, key->options.conv);
  serial_put_u32(w, key->options.memory);
  serial_put_u32(w, key->options.batch);
  serial_put_text(w, key->cpu);
  serial_put_text(w, key->build);
}

/* All but the header. Only counted where nothing is written: then checksums are 0. */
static void put_front(serial_writer *w, const resnet_model *model, const plan_key *key) {
  const plan *p = &model->plan;
  serial_put_bytes(w, model->file.graph, model->file.graph_size);
  put_preprocess(w, model);
  put_key(w, key);
  serial_put_u32(w, model->file.weights_count);
  for (uint32_t i = 0; i < model->file.weights_count; i++)
    serial_put_u64(w, w->data ? plan_weights_checksum(&model->file.weights[i]) : 0);
  serial_put_u32(w, p->op_count);
  for (uint32_t i = 0; i < p->op_count; i++) {
    const plan_packed_weights *packed = &p->ops[i].packed;
    serial_put_u32(w, plan_kernel_crc(&p->ops[i]));
    serial_put_u64(w, packed->size);
    serial_put_u64(w, packed->size && w->data ? plan_checksum(packed->data, packed->size) : 0);
  }
}

/* Bytes of the whole file whose front has `front` bytes; weights in memory, aligned,
 * cannot overflow. */
static uint64_t file_size(const resnet_model *model, uint64_t front) {
  uint64_t end = front, size = 0;
  for (uint32_t i = 0; i < model->plan.op_count; i++) {
    (void)plan_align(&end);
    end += model->plan.ops[i].packed.size;
  }
  for (uint32_t i = 0; i < model->file.weights_count; i++) {
    (void)plan_align(&end);
    (void)plan_weights_size(&model->file.weights[i], &size);
    end += size;
  }
  (void)plan_align(&end);
  return end;
}

static resnet_status make_front(const resnet_model *model, const plan_key *key, serial_writer *w,
                                resnet_error *error) {
  serial_writer counted = {.size = sizeof(plan_header)};
  put_front(&counted, model, key);
  if (counted.size > PLAN_MAX_FRONT)
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "the model's names and labels take %zu bytes: accepted are up to %d",
                    counted.size, PLAN_MAX_FRONT);
  w->data = mem_allocate(model->memory, counted.size, 1);
  if (!w->data) return err_no_memory(error, "the plan file's header");
  plan_header h = {
      .byte_order = PLAN_BYTE_ORDER, .format = PLAN_FORMAT, .front_size = counted.size};
  memcpy(h.magic, PLAN_MAGIC, sizeof h.magic);
  h.file_size = file_size(model, counted.size);
  h.graph_size = model->file.graph_size;
  serial_put_bytes(w, &h, sizeof h);
  put_front(w, model, key);
  h.crc = plan_front_crc(w->data, w->size);
  memcpy(w->data, &h, sizeof h);
  return RESNET_OK;
}

/* ---- writing ----------------------------------------------------------------------- */

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
  (void)plan_align(&next);
  return write_bytes(o, zeros, (size_t)(next - o->at));
}

static resnet_status write_section(output *o, const void *bytes, size_t size) {
  resnet_status status = write_gap(o);
  return status == RESNET_OK ? write_bytes(o, bytes, size) : status;
}

static resnet_status write_model(output *o, const resnet_model *model, const serial_writer *front) {
  resnet_status status = write_bytes(o, front->data, front->size);
  for (uint32_t i = 0; i < model->plan.op_count && status == RESNET_OK; i++)
    status = write_section(o, model->plan.ops[i].packed.data, model->plan.ops[i].packed.size);
  for (uint32_t i = 0; i < model->file.weights_count && status == RESNET_OK; i++) {
    const plan_weights *w = &model->file.weights[i];
    status = write_section(o, w->weights, w->weight_count * sizeof *w->weights);
    if (status == RESNET_OK) status = write_section(o, w->bias, w->bias_count * sizeof *w->bias);
  }
  if (status == RESNET_OK) status = write_gap(o);
  if (status == RESNET_OK && fsync(o->file) != 0)
    status = err_from_errno(o->error, "written", errno);
  return status;
}

/* A new file "PATH.PROCESS-ATTEMPT.tmp", with the permissions that any new file gets. */
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

/* Renaming would put a file where a device or a folder was. */
static resnet_status check_target(const char *path, resnet_error *error) {
  struct stat about;
  if (lstat(path, &about) != 0 || S_ISREG(about.st_mode) || S_ISLNK(about.st_mode))
    return RESNET_OK;
  return err_fail(error, RESNET_ERROR_IO,
                  "is not a regular file: a plan file would replace it; name another path");
}

static resnet_status write_file(const resnet_model *model, const serial_writer *front,
                                const char *path, char *name, size_t size, resnet_error *error) {
  output o = {.file = -1, .error = error};
  resnet_status status = create_beside(path, name, size, &o.file, error);
  if (status != RESNET_OK) return status;
  status = write_model(&o, model, front);
  if (close(o.file) != 0 && status == RESNET_OK) status = err_from_errno(error, "written", errno);
  if (status == RESNET_OK && rename(name, path) != 0)
    status = err_from_errno(error, "renamed to", errno);
  if (status != RESNET_OK) (void)unlink(name);
  return status;
}

/* ---- the call ---------------------------------------------------------------------- */

/* Weights from a file that was mapped are as good as they were, or are not saved. */
static resnet_status verify_source(const plan_file *f, resnet_error *error) {
  resnet_status status = RESNET_OK;
  for (uint32_t i = 0; f->bytes && i < f->weights_count && status == RESNET_OK; i++)
    status = plan_weights_verify(&f->weights[i], error);
  return status;
}

static resnet_status save(const resnet_model *model, const char *path, resnet_error *error) {
  const size_t size = strlen(path) + 64;
  plan_key key;
  serial_writer front = {0};
  char *name = mem_allocate(model->memory, size, 1);
  resnet_status status = name ? check_target(path, error) : err_no_memory(error, "a path");
  if (status == RESNET_OK) status = verify_source(&model->file, error);
  if (status == RESNET_OK) status = plan_key_make(&key, model->memory, &model->options, error);
  if (status == RESNET_OK) status = make_front(model, &key, &front, error);
  if (status == RESNET_OK) status = write_file(model, &front, path, name, size, error);
  mem_release(model->memory, front.data);
  mem_release(model->memory, name);
  return status;
}

resnet_status resnet_model_save(const resnet_model *model, const char *path, resnet_error *error) {
  if (!model || !path)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "resnet_model_save: `model` or `path` is NULL");
  if (!model->file.graph)
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "resnet_model_save: the model's weights are gone: open it with keep_weights = 1 in "
        "its options");
  const resnet_status status = save(model, path, error);
  return status == RESNET_OK ? err_clear(error) : err_add_prefix(error, status, path);
}
