#include "loader/base/serial.h"

#include <string.h>

void serial_put_bytes(serial_writer *w, const void *bytes, size_t size) {
  if (w->data && size) memcpy(w->data + w->size, bytes, size);
  w->size += size;
}

void serial_put_u32(serial_writer *w, uint32_t number) {
  serial_put_bytes(w, &number, sizeof number);
}

void serial_put_u64(serial_writer *w, uint64_t number) {
  serial_put_bytes(w, &number, sizeof number);
}

void serial_put_float(serial_writer *w, float number) {
  serial_put_bytes(w, &number, sizeof number);
}

/* Lengths fit, as names come from files of less than 4 GiB. */
void serial_put_text(serial_writer *w, const char *text) {
  serial_put_u32(w, (uint32_t)strlen(text));
  serial_put_bytes(w, text, strlen(text));
}

static void take_bytes(serial_reader *r, void *to, size_t size) {
  memset(to, 0, size);
  if (r->failed || size > (size_t)(r->end - r->at)) {
    r->failed = true;
    return;
  }
  memcpy(to, r->at, size);
  r->at += size;
}

uint32_t serial_get_u32(serial_reader *r) {
  uint32_t number;
  take_bytes(r, &number, sizeof number);
  return number;
}

uint64_t serial_get_u64(serial_reader *r) {
  uint64_t number;
  take_bytes(r, &number, sizeof number);
  return number;
}

float serial_get_float(serial_reader *r) {
  float number;
  take_bytes(r, &number, sizeof number);
  return number;
}

char *serial_get_text(serial_reader *r, memory *m) {
  const uint32_t length = serial_get_u32(r);
  if (r->failed || length > (size_t)(r->end - r->at) || (length && memchr(r->at, 0, length))) {
    r->failed = true;
    return NULL;
  }
  const uint8_t *text = r->at;
  r->at += length;
  return mem_copy_string(m, (const char *)text, length);
}
