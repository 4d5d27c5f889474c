/* A mutator that knows protobuf's wire format, but not ONNX. It walks down to a random
 * field, changes that field and corrects the lengths around it. A plain mutation of bytes
 * breaks a length nearly every time, and the loader's later stages never see such a
 * file. */
#include "mutate.h"

#include <string.h>

enum { MAX_DEPTH = 16, MAX_FIELDS = 4096, MAX_VARINT = 10, WIRE_VARINT = 0, WIRE_BYTES = 2 };

/* Bytes [start,end) of a field, its value at [value,end), and the length of WIRE_BYTES at
 * [length,value). */
typedef struct field {
  size_t start, length, value, end;
  unsigned wire;
} field;

typedef struct walk {
  uint8_t *data;
  size_t size, max_size;
  uint32_t *random;
  /* messages around the chosen field, outermost first */
  field around[MAX_DEPTH];
  size_t depth;
} walk;

static bool read_varint(const walk *w, size_t *at, size_t end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 7 * MAX_VARINT && *at < end; shift += 7) {
    const uint8_t byte = w->data[(*at)++];
    if (shift < 64) *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

static size_t write_varint(uint8_t out[MAX_VARINT], uint64_t value) {
  size_t size = 0;
  for (; value > 0x7f; value >>= 7) out[size++] = (uint8_t)(value & 0x7f) | 0x80;
  out[size++] = (uint8_t)value;
  return size;
}

static bool read_field(const walk *w, size_t at, size_t end, field *f) {
  uint64_t tag, number;
  f->start = at;
  if (!read_varint(w, &at, end, &tag) || tag < 8) return false;
  f->wire = (unsigned)(tag & 7);
  f->length = f->value = at;
  if (f->wire == WIRE_VARINT) {
    if (!read_varint(w, &at, end, &number)) return false;
    f->end = at;
    return true;
  }
  uint64_t size = f->wire == 1 ? 8 : 4;
  if (f->wire == WIRE_BYTES) {
    if (!read_varint(w, &at, end, &size)) return false;
    f->value = at;
  } else if (f->wire != 1 && f->wire != 5)
    return false;
  if (size > end - at) return false;
  f->end = at + (size_t)size;
  return true;
}

/* Choose one of the fields of [start,end) with equal probability; return false if there
 * is none or this is no message. */
static bool choose_field(walk *w, size_t start, size_t end, field *chosen) {
  uint32_t count = 0;
  while (start < end) {
    field f;
    if (count == MAX_FIELDS || !read_field(w, start, end, &f)) return false;
    if (next_random(w->random) % ++count == 0) *chosen = f;
    start = f.end;
  }
  return count > 0;
}

/* Replace [start,end) and correct the lengths of the messages around it. Return false,
 * with undefined content, if it does not fit. */
static bool replace(walk *w, size_t start, size_t end, const uint8_t *with, size_t size) {
  if (size > w->max_size || w->size - (end - start) > w->max_size - size) return false;
  memmove(w->data + start + size, w->data + end, w->size - end);
  if (size > 0) memcpy(w->data + start, with, size);
  w->size = w->size - (end - start) + size;
  size_t grown = size - (end - start); /* modulo 2^n, like all sums with it */
  while (w->depth > 0) {
    const field f = w->around[--w->depth];
    uint8_t length[MAX_VARINT];
    const size_t bytes = write_varint(length, f.end - f.value + grown);
    if (w->size - (f.value - f.length) > w->max_size - bytes) return false;
    memmove(w->data + f.length + bytes, w->data + f.value, w->size - f.value);
    memcpy(w->data + f.length, length, bytes);
    w->size = w->size - (f.value - f.length) + bytes;
    grown += bytes - (f.value - f.length);
  }
  return true;
}

static bool change_varint(walk *w, const field *f) {
  static const uint64_t values[] = {0,
                                    1,
                                    2,
                                    3,
                                    4,
                                    5,
                                    7,
                                    8,
                                    11,
                                    13,
                                    16,
                                    127,
                                    128,
                                    255,
                                    1024,
                                    65535,
                                    65536,
                                    INT32_MAX,
                                    (uint64_t)INT32_MAX + 1,
                                    UINT32_MAX,
                                    INT64_MAX,
                                    (uint64_t)INT64_MAX + 1,
                                    UINT64_MAX};
  uint8_t bytes[MAX_VARINT];
  const uint64_t value = values[next_random(w->random) % (sizeof values / sizeof *values)];
  return replace(w, f->value, f->end, bytes, write_varint(bytes, value));
}

static bool change_bytes(walk *w, const field *f) {
  static uint8_t changed[1 << 16];
  const size_t size = f->end - f->value;
  if (size > sizeof changed / 2) return false;
  memcpy(changed, w->data + f->value, size);
  const size_t bytes = LLVMFuzzerMutate(changed, size, 2 * size + 16);
  uint8_t length[MAX_VARINT];
  const size_t length_size = write_varint(length, bytes);
  if (f->wire != WIRE_BYTES) return bytes == size && replace(w, f->value, f->end, changed, bytes);
  memmove(changed + length_size, changed, bytes);
  memcpy(changed, length, length_size);
  return replace(w, f->length, f->end, changed, length_size + bytes);
}

static bool repeat_field(walk *w, const field *f) {
  static uint8_t twice[1 << 16];
  const size_t size = f->end - f->start;
  if (size > sizeof twice / 2) return false;
  memcpy(twice, w->data + f->start, size);
  memcpy(twice + size, w->data + f->start, size);
  return replace(w, f->start, f->end, twice, 2 * size);
}

static bool change_field(walk *w, const field *f) {
  const uint32_t kind = next_random(w->random) % 16;
  if (kind == 0) return replace(w, f->start, f->end, NULL, 0);
  if (kind == 1) return repeat_field(w, f);
  return f->wire == WIRE_VARINT ? change_varint(w, f) : change_bytes(w, f);
}

/* Walk down from the whole file; stop at each level with a probability of 1/8. */
static bool mutate_field(walk *w) {
  field f, inner;
  if (!choose_field(w, 0, w->size, &f)) return false;
  while (f.wire == WIRE_BYTES && w->depth < MAX_DEPTH && next_random(w->random) % 8 != 0 &&
         choose_field(w, f.value, f.end, &inner)) {
    w->around[w->depth++] = f;
    f = inner;
  }
  return change_field(w, &f);
}

size_t mutate_wire(uint8_t *data, size_t size, size_t max_size, uint32_t *random) {
  static uint8_t copy[1 << 20];
  walk w = {.data = copy, .size = size, .max_size = max_size, .random = random};
  if (size > max_size || max_size >= sizeof copy) return 0;
  memcpy(copy, data, size);
  if (!mutate_field(&w)) return 0;
  memcpy(data, copy, w.size);
  return w.size;
}
