/* Write and read numbers and text in sequence: the front of a plan file. */
#ifndef LIBRESNET_LOADER_BASE_SERIAL_H
#define LIBRESNET_LOADER_BASE_SERIAL_H

#include "loader/base/memory.h"

typedef struct serial_writer {
  uint8_t *data; /* output; NULL: only count bytes */
  size_t size;   /* written so far */
} serial_writer;

void serial_put_bytes(serial_writer *w, const void *bytes, size_t size);
void serial_put_u32(serial_writer *w, uint32_t number);
void serial_put_u64(serial_writer *w, uint64_t number);
void serial_put_float(serial_writer *w, float number);
void serial_put_text(serial_writer *w, const char *text);

/* A read beyond the end sets `failed`; all numbers read from then on are 0. */
typedef struct serial_reader {
  const uint8_t *at, *end;
  bool failed;
} serial_reader;

uint32_t serial_get_u32(serial_reader *r);
uint64_t serial_get_u64(serial_reader *r);
float serial_get_float(serial_reader *r);

/* Copy the text with memory from `m`. Return NULL beyond the end or if it contains a NUL,
 * both with r->failed set, or without memory. */
char *serial_get_text(serial_reader *r, memory *m);

#endif
