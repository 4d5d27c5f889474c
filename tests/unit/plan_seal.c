#include "plan_seal.h"

#include <string.h>

#include "loader/base/serial.h"
#include "runtime/plan_file/checksum.h"
#include "runtime/plan_file/format.h"

enum {
  MAX_NODES = 4096,
  NODE_NUMBERS = 8 * 4,
  NODE_WINDOW = 20 * 4 + 3 * 4,
  COUNTS = 7 * 4,
  PREPROCESS = 8 * 4 + 8 * 4,
  EVIDENCE = 2 * 4 + 7 * 4
};

typedef struct arrays {
  uint64_t weights, bias; /* floats */
} arrays;

static arrays nodes[MAX_NODES];
static uint32_t node_count; /* with weights */

static void skip(serial_reader *r, uint64_t size) {
  if (r->failed || size > (uint64_t)(r->end - r->at))
    r->failed = true;
  else
    r->at += size;
}

static void skip_text(serial_reader *r) { skip(r, serial_get_u32(r)); }

static void walk_graph(serial_reader *r) {
  const uint32_t count = serial_get_u32(r);
  node_count = 0;
  skip(r, COUNTS - 4);
  skip_text(r);
  skip_text(r);
  for (uint32_t i = 0; i < count && !r->failed; i++) {
    skip(r, NODE_NUMBERS);
    skip_text(r);
    skip_text(r);
    skip(r, NODE_WINDOW);
    const arrays a = {serial_get_u64(r), serial_get_u64(r)};
    if (!r->failed && a.weights && node_count < MAX_NODES) nodes[node_count++] = a;
  }
}

static void store(uint8_t *at, uint64_t number) { memcpy(at, &number, sizeof number); }

/* Return the next blob of `size` bytes; NULL if the file ends before. */
static const uint8_t *blob(const uint8_t *file, size_t file_size, uint64_t *at, uint64_t size) {
  (void)plan_file_align(at);
  if (*at > file_size || size > file_size - *at) return NULL;
  const uint8_t *start = file + *at;
  *at += size;
  return start;
}

plan_places plan_find_places(const uint8_t *file, size_t size) {
  plan_places p = {0};
  plan_file_header h;
  if (size < sizeof h) return p;
  memcpy(&h, file, sizeof h);
  if (h.front_size < sizeof h || h.front_size > size || h.graph_size > h.front_size - sizeof h)
    return p;
  serial_reader graph = {.at = file + sizeof h, .end = file + sizeof h + h.graph_size};
  walk_graph(&graph);
  serial_reader r = {.at = graph.end, .end = file + h.front_size};
  p.tail = (size_t)(r.at - file);
  skip(&r, PREPROCESS + EVIDENCE);
  skip_text(&r);
  for (uint32_t labels = serial_get_u32(&r); labels > 0 && !r.failed; labels--) skip_text(&r);
  p.key = (size_t)(r.at - file);
  skip(&r, 12);
  skip_text(&r);
  skip_text(&r);
  p.algorithms = (size_t)(r.at - file);
  skip(&r, (uint64_t)serial_get_u32(&r) * 4);
  const uint32_t count = serial_get_u32(&r);
  p.sums = (size_t)(r.at - file);
  skip(&r, (uint64_t)count * 8);
  p.ops = (size_t)(r.at - file);
  const uint32_t ops = serial_get_u32(&r);
  uint64_t at = h.front_size;
  (void)plan_file_align(&at);
  p.packed = (size_t)at;
  for (uint32_t i = 0; i < ops && !r.failed; i++) {
    skip(&r, 4);
    (void)blob(file, size, &at, serial_get_u64(&r));
    skip(&r, 8);
  }
  (void)plan_file_align(&at);
  p.weights = (size_t)at;
  return r.failed || graph.failed || count != node_count ? (plan_places){0} : p;
}

size_t plan_find_numbers(const uint8_t *file, size_t size, size_t *places, size_t max) {
  size_t found = 0;
  plan_file_header h;
  if (!plan_find_places(file, size).tail) return 0;
  memcpy(&h, file, sizeof h);
  serial_reader r = {.at = file + sizeof h, .end = file + sizeof h + h.graph_size};
  const uint32_t count = serial_get_u32(&r);
  skip(&r, COUNTS - 4);
  skip_text(&r);
  skip_text(&r);
  for (uint32_t i = 0; i < count && !r.failed; i++) {
    for (size_t k = 0; k < NODE_NUMBERS; k += 4, skip(&r, 4))
      if (found < max) places[found++] = (size_t)(r.at - file);
    skip_text(&r);
    skip_text(&r);
    for (size_t k = 0; k < NODE_WINDOW + 16; k += 4, skip(&r, 4))
      if (found < max) places[found++] = (size_t)(r.at - file);
  }
  return found;
}

static void seal_packed(uint8_t *file, size_t size, size_t at, uint64_t start) {
  uint32_t count;
  memcpy(&count, file + at, sizeof count);
  at += sizeof count;
  for (uint32_t i = 0; i < count; i++, at += 20) {
    uint64_t bytes;
    memcpy(&bytes, file + at + 4, sizeof bytes);
    const uint8_t *packed = blob(file, size, &start, bytes);
    if (packed) store(file + at + 12, bytes ? plan_file_checksum(packed, (size_t)bytes) : 0);
  }
}

static void seal_weights(uint8_t *file, size_t size, size_t at, uint64_t start) {
  for (uint32_t i = 0; i < node_count; i++, at += 8) {
    if (nodes[i].weights > size || nodes[i].bias > size) return;
    const uint8_t *weights = blob(file, size, &start, nodes[i].weights * sizeof(float));
    const uint8_t *bias = weights ? blob(file, size, &start, nodes[i].bias * sizeof(float)) : NULL;
    if (!bias) return;
    const uint64_t both[2] = {plan_file_checksum(weights, (size_t)nodes[i].weights * sizeof(float)),
                              plan_file_checksum(bias, (size_t)nodes[i].bias * sizeof(float))};
    store(file + at, plan_file_checksum(both, sizeof both));
  }
}

void plan_seal(uint8_t *file, size_t size) {
  plan_file_header h;
  if (size < sizeof h) return;
  memcpy(&h, file, sizeof h);
  if (h.front_size < sizeof h || h.front_size > size) return;
  const plan_places p = plan_find_places(file, size);
  if (p.tail) {
    seal_packed(file, size, p.ops, p.packed);
    seal_weights(file, size, p.sums, p.weights);
  }
  h.crc = plan_file_front_crc(file, (size_t)h.front_size);
  memcpy(file, &h, sizeof h);
}
