#include "loader/base/serial.h"

#include <string.h>

void emit_bytes(plan_writer *w, const void *bytes, size_t size) {
  if (w->data && size) memcpy(w->data + w->size, bytes, size);
  w->size += size;
}

void emit_u32(plan_writer *w, uint32_t number) { emit_bytes(w, &number, sizeof number); }

void emit_u64(plan_writer *w, uint64_t number) { emit_bytes(w, &number, sizeof number); }

void emit_float(plan_writer *w, float number) { emit_bytes(w, &number, sizeof number); }

/* Names come from files of less than 4 GiB: their lengths fit. */
void emit_text(plan_writer *w, const char *text) {
  emit_u32(w, (uint32_t)strlen(text));
  emit_bytes(w, text, strlen(text));
}

static void take_bytes(plan_reader *r, void *to, size_t size) {
  memset(to, 0, size);
  if (r->failed || size > (size_t)(r->end - r->at)) {
    r->failed = true;
    return;
  }
  memcpy(to, r->at, size);
  r->at += size;
}

uint32_t take_u32(plan_reader *r) {
  uint32_t number;
  take_bytes(r, &number, sizeof number);
  return number;
}

uint64_t take_u64(plan_reader *r) {
  uint64_t number;
  take_bytes(r, &number, sizeof number);
  return number;
}

float take_float(plan_reader *r) {
  float number;
  take_bytes(r, &number, sizeof number);
  return number;
}

char *take_text(plan_reader *r, memory *m) {
  const uint32_t length = take_u32(r);
  if (r->failed || length > (size_t)(r->end - r->at) || (length && memchr(r->at, 0, length))) {
    r->failed = true;
    return NULL;
  }
  const uint8_t *text = r->at;
  r->at += length;
  return memory_copy_string(m, (const char *)text, length);
}
