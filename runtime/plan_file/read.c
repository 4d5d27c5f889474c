#include "runtime/plan_file/read.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/base/open_file.h"
#include "loader/base/zlib_hooks.h"
#include "loader/graph/graph_io.h"
#include "runtime/plan/cost_model.h"
#include "runtime/plan/lower.h"
#include "runtime/plan_file/checksum.h"
#include "runtime/plan_file/format.h"
#include "runtime/plan_file/settings.h"

#define MAKE_IT_AGAIN "compile the plan again from its .onnx file"

enum { GZIP_LOOK = 4096 /* bytes of a gzip file, enough to unpack the first few */ };

static bool begins(const void *bytes, size_t size) {
  return size >= PLAN_MAGIC_SIZE && memcmp(bytes, PLAN_MAGIC, PLAN_MAGIC_SIZE) == 0;
}

/* ---- the bytes --------------------------------------------------------------------- */

static resnet_status too_large(uint64_t max_bytes, resnet_error *error) {
  return err_fail(error, RESNET_ERROR_LIMIT,
                  "has more than %llu bytes: raise max_file_bytes if you trust it",
                  (unsigned long long)max_bytes);
}

/* Return whether the bytes are the beginning of a plan file in gzip. */
static bool begins_packed(memory *m, const void *bytes, size_t size) {
  uint8_t first[PLAN_MAGIC_SIZE];
  z_stream z = zlib_stream(m);
  if (size < 2 || memcmp(bytes, "\x1f\x8b", 2) != 0 || inflateInit2(&z, 15 + 16) != Z_OK)
    return false;
  z.next_in = (Bytef *)(uintptr_t)bytes;
  z.avail_in = size < GZIP_LOOK ? (uInt)size : GZIP_LOOK;
  z.next_out = first;
  z.avail_out = sizeof first;
  (void)inflate(&z, Z_SYNC_FLUSH);
  (void)inflateEnd(&z);
  return begins(first, sizeof first - z.avail_out);
}

/* Fail for a plan file in gzip: it cannot be mapped, the purpose of a plan file. */
static resnet_status refuse_packed(memory *m, const void *bytes, size_t size, resnet_error *error) {
  if (!begins_packed(m, bytes, size)) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                  "is a plan file packed with gzip: unpack it first, e.g. with gunzip");
}

/* Map the open file if it is a plan file. Leave others to the loader, which reports what
 * is wrong with them. */
static resnet_status map_open(plan_file *f, int file, const char *path, uint64_t max_bytes,
                              resnet_error *error) {
  char first[GZIP_LOOK];
  struct stat about;
  if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) return RESNET_OK;
  const ssize_t got = pread(file, first, sizeof first, 0);
  if (got < 0) return RESNET_OK;
  if (!begins(first, (size_t)got)) return refuse_packed(f->memory, first, (size_t)got, error);
  if ((uint64_t)about.st_size > max_bytes || (uint64_t)about.st_size > SIZE_MAX)
    return too_large(max_bytes, error);
  void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, file, 0);
  if (bytes == MAP_FAILED) return err_from_errno(error, "mapped", errno);
  f->bytes = bytes;
  f->size = (size_t)about.st_size;
  f->mapped = true;
  f->path = mem_copy_string(f->memory, path, strlen(path));
  return f->path ? RESNET_OK : err_no_memory(error, "the plan file's name");
}

resnet_status plan_file_map(plan_file *f, memory *m, const char *path, uint64_t max_bytes,
                            resnet_error *error) {
  *f = (plan_file){.memory = m};
  const int file = open(path, FILE_OPEN_FLAGS);
  if (file < 0) return RESNET_OK;
  const resnet_status status = map_open(f, file, path, max_bytes, error);
  (void)close(file);
  return status;
}

resnet_status plan_file_take(plan_file *f, memory *m, const void *bytes, size_t size, bool borrow,
                             uint64_t max_bytes, resnet_error *error) {
  *f = (plan_file){.memory = m};
  if (!begins(bytes, size)) return refuse_packed(m, bytes, size, error);
  if (size > max_bytes) return too_large(max_bytes, error);
  f->borrowed = borrow && (uintptr_t)bytes % PLAN_ALIGNMENT == 0;
  f->bytes = f->borrowed ? (uint8_t *)(uintptr_t)bytes : mem_allocate(m, size, 1);
  if (!f->bytes) return err_no_memory(error, "a copy of the plan file");
  if (!f->borrowed) memcpy(f->bytes, bytes, size);
  f->size = size;
  return RESNET_OK;
}

static void release_bytes(plan_file *f) {
  if (f->mapped)
    (void)munmap(f->bytes, f->size);
  else if (!f->borrowed)
    mem_release(f->memory, f->bytes);
}

void plan_file_release(plan_file *f) {
  memory *m = f->memory;
  if (!m) return;
  for (uint32_t i = 0; !f->bytes && i < f->weights_count; i++) {
    mem_release(m, f->weights[i].weights);
    mem_release(m, f->weights[i].bias);
  }
  if (!f->bytes) mem_release(m, f->graph);
  mem_release(m, f->weights);
  mem_release(m, f->packed);
  mem_release(m, f->path);
  mem_release(m, f->algorithms);
  release_bytes(f);
  memset(f, 0, sizeof *f);
}

/* ---- the front --------------------------------------------------------------------- */

static resnet_status check_size(const plan_file_header *h, size_t size, resnet_error *error) {
  if (h->file_size > size)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "the plan file is truncated: it has %zu of its %llu bytes; fetch it again",
                    size, (unsigned long long)h->file_size);
  if (h->file_size < size)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "the plan file has %zu bytes in place of %llu: something was added to "
                    "it; " MAKE_IT_AGAIN,
                    size, (unsigned long long)h->file_size);
  if (h->front_size < sizeof *h || h->front_size > size || h->front_size > PLAN_MAX_FRONT ||
      h->graph_size > h->front_size - sizeof *h || h->reserved)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "the plan file's header contradicts itself: " MAKE_IT_AGAIN);
  return RESNET_OK;
}

static resnet_status read_header(const plan_file *f, plan_file_header *h, resnet_error *error) {
  if (f->size < sizeof *h)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "the plan file is truncated: it has %zu bytes; fetch it again", f->size);
  memcpy(h, f->bytes, sizeof *h);
  if (h->byte_order != PLAN_BYTE_ORDER)
    return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                    "the plan file was made on a CPU of another byte order (mark %08x, here %08x): "
                    "compile the plan here from its .onnx file",
                    (unsigned)h->byte_order, (unsigned)PLAN_BYTE_ORDER);
  if (h->format != PLAN_FORMAT)
    return err_fail(
        error, RESNET_ERROR_UNSUPPORTED,
        "the plan file was made by %s library: its format is %u, this one reads %d; " MAKE_IT_AGAIN,
        h->format > PLAN_FORMAT ? "a newer" : "an older", (unsigned)h->format, PLAN_FORMAT);
  resnet_status status = check_size(h, f->size, error);
  if (status != RESNET_OK) return status;
  const uint32_t crc = plan_file_front_crc(f->bytes, (size_t)h->front_size);
  if (crc == h->crc) return RESNET_OK;
  return err_fail(
      error, RESNET_ERROR_FORMAT,
      "the plan file is damaged: the checksum of its header and graph is %08x instead of "
      "%08x; fetch it again, or " MAKE_IT_AGAIN,
      (unsigned)crc, (unsigned)h->crc);
}

static resnet_status malformed(resnet_error *error, const char *what) {
  return err_fail(error, RESNET_ERROR_FORMAT,
                  "the plan file is not well-formed (%s): " MAKE_IT_AGAIN, what);
}

/* Read a text of the key. Only printable ASCII is accepted: it becomes part of the
 * notice, which goes to terminals. */
static void read_key_text(serial_reader *r, char text[PLAN_KEY_TEXT]) {
  const uint32_t length = serial_get_u32(r);
  if (length >= PLAN_KEY_TEXT || length > (size_t)(r->end - r->at)) r->failed = true;
  for (uint32_t i = 0; i < length && !r->failed; i++)
    r->failed = r->at[i] < 0x20 || r->at[i] > 0x7e;
  if (r->failed) return;
  memcpy(text, r->at, length);
  r->at += length;
}

static resnet_status read_key(serial_reader *r, plan_file_key *key, resnet_error *error) {
  const uint32_t conv = serial_get_u32(r), memory_use = serial_get_u32(r),
                 batch = serial_get_u32(r);
  read_key_text(r, key->cpu);
  read_key_text(r, key->build);
  if (r->failed || conv > RESNET_CONV_XNNPACK || memory_use > RESNET_MEMORY_SMALL || batch == 0)
    return malformed(error, "its key");
  key->options = (plan_options){(resnet_conv)conv, (resnet_memory)memory_use, batch, NULL};
  return RESNET_OK;
}

/* Return the algorithm whose name has this CRC, or PLAN_NO_ALGORITHM. */
static uint32_t find_algorithm(uint32_t crc) {
  for (uint32_t i = 0; i < plan_algorithm_count(); i++)
    if (plan_file_name_crc(plan_algorithm_name(i)) == crc) return i;
  return PLAN_NO_ALGORITHM;
}

/* Read the algorithms. plan_lower verifies that they can compute their layers. */
static resnet_status read_algorithms(plan_file *f, serial_reader *r, const graph *g,
                                     resnet_error *error) {
  const uint32_t count = serial_get_u32(r);
  uint32_t layers = 0;
  for (uint32_t i = 0; i < g->node_count; i++) layers += plan_selects_algorithm(g->nodes[i].op);
  if (r->failed || count != layers) return malformed(error, "its table of algorithms");
  f->algorithms = mem_allocate(f->memory, count, sizeof *f->algorithms);
  if (!f->algorithms) return err_no_memory(error, "the plan file's algorithms");
  for (uint32_t i = 0; i < count; i++) {
    f->algorithms[i] = find_algorithm(serial_get_u32(r));
    if (r->failed) return malformed(error, "its table of algorithms");
    if (f->algorithms[i] == PLAN_NO_ALGORITHM)
      return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                      "the plan file computes convolution %u by an algorithm that this library "
                      "(%s) does not have: " MAKE_IT_AGAIN,
                      i + 1, resnet_version());
  }
  return RESNET_OK;
}

/* Make an entry for each node that has weights. find_sections() fills in their place. */
static resnet_status read_weights(plan_file *f, serial_reader *r, const graph *g,
                                  resnet_error *error) {
  const uint32_t count = serial_get_u32(r);
  f->weights = mem_allocate(f->memory, g->node_count, sizeof *f->weights);
  if (!f->weights) return err_no_memory(error, "the plan file's weights");
  for (uint32_t i = 0; i < g->node_count; i++) {
    const graph_node *n = &g->nodes[i];
    if (n->weight_count == 0) continue;
    f->weights[f->weights_count++] = (plan_file_weights){.weight_count = n->weight_count,
                                                         .bias_count = n->bias_count,
                                                         .checksum = serial_get_u64(r)};
  }
  return r->failed || count != f->weights_count ? malformed(error, "its table of weights")
                                                : RESNET_OK;
}

static resnet_status read_packed(plan_file *f, serial_reader *r, const graph *g,
                                 resnet_error *error) {
  const uint32_t count = serial_get_u32(r);
  if (count > g->node_count) return malformed(error, "its table of packed weights");
  f->packed = mem_allocate(f->memory, count, sizeof *f->packed);
  if (!f->packed) return err_no_memory(error, "the plan file's packed weights");
  f->packed_count = count;
  for (uint32_t i = 0; i < count; i++) {
    f->packed[i].kernel = serial_get_u32(r);
    const uint64_t size = serial_get_u64(r);
    f->packed[i].checksum = serial_get_u64(r);
    if (size > f->size) return malformed(error, "its table of packed weights");
    f->packed[i].size = (size_t)size;
  }
  return r->failed || r->at != r->end ? malformed(error, "its table of packed weights") : RESNET_OK;
}

/* ---- the sections ------------------------------------------------------------------ */

bool plan_file_weights_size(const plan_file_weights *w, uint64_t *size) {
  size_t weights, bias;
  if (!mem_size_multiply(w->weight_count, sizeof(float), &weights) ||
      !mem_size_multiply(w->bias_count, sizeof(float), &bias))
    return false;
  *size = weights;
  if (!plan_file_align(size) || bias > UINT64_MAX - *size) return false;
  *size += bias;
  return true;
}

/* Return the next `size` bytes of the file, from the next aligned place. Return NULL if
 * the file ends before. */
static uint8_t *take_section(const plan_file *f, uint64_t *at, uint64_t size) {
  uint64_t start = *at;
  if (!plan_file_align(&start) || start > f->size || size > f->size - start) return NULL;
  *at = start + size;
  return f->bytes + start;
}

static resnet_status find_sections(plan_file *f, uint64_t at, resnet_error *error) {
  bool good = true;
  for (uint32_t i = 0; i < f->packed_count && good; i++) {
    f->packed[i].data = take_section(f, &at, f->packed[i].size);
    good = f->packed[i].data != NULL;
  }
  for (uint32_t i = 0; i < f->weights_count && good; i++) {
    plan_file_weights *w = &f->weights[i];
    uint64_t size;
    uint8_t *start = plan_file_weights_size(w, &size) ? take_section(f, &at, size) : NULL;
    good = start != NULL;
    if (!good) break;
    w->weights = (float *)(void *)start;
    w->bias = (float *)(void *)(start + size - w->bias_count * sizeof(float));
  }
  if (good && plan_file_align(&at) && at == f->size) return RESNET_OK;
  return malformed(error, "its sections do not fill it");
}

/* Let the graph's nodes borrow the file's weights. */
static void lend_weights(const plan_file *f, graph *g) {
  const plan_file_weights *w = f->weights;
  for (uint32_t i = 0; i < g->node_count; i++) {
    graph_node *n = &g->nodes[i];
    if (n->weight_count == 0) continue;
    n->weights = w->weights;
    n->bias = w->bias;
    n->weights_borrowed = true;
    w++;
  }
}

resnet_status plan_file_read(plan_file *f, graph *g, resnet_error *error) {
  plan_file_header h;
  memset(g, 0, sizeof *g);
  resnet_status status = read_header(f, &h, error);
  if (status != RESNET_OK) return status;
  f->graph = f->bytes + sizeof h;
  f->graph_size = (size_t)h.graph_size;
  status = graph_read(g, f->memory, f->graph, f->graph_size, error);
  serial_reader r = {.at = f->graph + f->graph_size, .end = f->bytes + h.front_size};
  if (status == RESNET_OK) status = plan_file_read_settings(&r, g, error);
  if (status == RESNET_OK) status = read_key(&r, &f->key, error);
  if (status == RESNET_OK) status = read_algorithms(f, &r, g, error);
  if (status == RESNET_OK) status = read_weights(f, &r, g, error);
  if (status == RESNET_OK) status = read_packed(f, &r, g, error);
  if (status == RESNET_OK) status = find_sections(f, h.front_size, error);
  if (status == RESNET_OK)
    lend_weights(f, g);
  else
    graph_release(g);
  return status;
}

/* ---- keeping weights of an ONNX file ----------------------------------------------- */

/* Take over the weights of the graph's nodes. */
static void keep_weights(plan_file *f, graph *g) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    graph_node *n = &g->nodes[i];
    if (n->weight_count == 0) continue;
    f->weights[f->weights_count++] = (plan_file_weights){.weights = n->weights,
                                                         .bias = n->bias,
                                                         .weight_count = n->weight_count,
                                                         .bias_count = n->bias_count};
    n->weights_borrowed = true;
  }
}

resnet_status plan_file_keep(plan_file *f, memory *m, graph *g, resnet_error *error) {
  serial_writer w = {0};
  *f = (plan_file){.memory = m};
  graph_write(&w, g);
  f->graph = mem_allocate(m, w.size, 1);
  f->weights = mem_allocate(m, g->node_count, sizeof *f->weights);
  if (!f->graph || !f->weights) return err_no_memory(error, "the weights to be kept");
  w = (serial_writer){.data = f->graph};
  graph_write(&w, g);
  f->graph_size = w.size;
  keep_weights(f, g);
  return RESNET_OK;
}
