/* Numbers and text one after the other: how the front of a plan file is written and
 * read. */
#ifndef LIBRESNET_LOADER_BASE_SERIAL_H
#define LIBRESNET_LOADER_BASE_SERIAL_H

#include "loader/base/memory.h"

/* Writes where `data` is; NULL: only counts. */
typedef struct serial_writer {
  uint8_t *data;
  size_t size; /* written so far */
} serial_writer;

void serial_put_bytes(serial_writer *w, const void *bytes, size_t size);
void serial_put_u32(serial_writer *w, uint32_t number);
void serial_put_u64(serial_writer *w, uint64_t number);
void serial_put_float(serial_writer *w, float number);
void serial_put_text(serial_writer *w, const char *text);

/* After a read beyond the end, `failed` is set and all numbers read are 0. */
typedef struct serial_reader {
  const uint8_t *at, *end;
  bool failed;
} serial_reader;

uint32_t serial_get_u32(serial_reader *r);
uint64_t serial_get_u64(serial_reader *r);
float serial_get_float(serial_reader *r);
/* A copy, from `m`. NULL: beyond the end or with a NUL inside (r->failed), or no
 * memory. */
char *serial_get_text(serial_reader *r, memory *m);

#endif
