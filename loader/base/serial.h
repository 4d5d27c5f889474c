/* Numbers and text one after the other: how the front of a plan file is written and
 * read. */
#ifndef LIBRESNET_LOADER_BASE_SERIAL_H
#define LIBRESNET_LOADER_BASE_SERIAL_H

#include "loader/base/memory.h"

/* Writes where `data` is; NULL: only counts. */
typedef struct plan_writer {
  uint8_t *data;
  size_t size; /* written so far */
} plan_writer;

void emit_bytes(plan_writer *w, const void *bytes, size_t size);
void emit_u32(plan_writer *w, uint32_t number);
void emit_u64(plan_writer *w, uint64_t number);
void emit_float(plan_writer *w, float number);
void emit_text(plan_writer *w, const char *text);

/* After a read beyond the end, `failed` is set and all numbers read are 0. */
typedef struct plan_reader {
  const uint8_t *at, *end;
  bool failed;
} plan_reader;

uint32_t take_u32(plan_reader *r);
uint64_t take_u64(plan_reader *r);
float take_float(plan_reader *r);
/* A copy, from `m`. NULL: beyond the end or with a NUL inside (r->failed), or no
 * memory. */
char *take_text(plan_reader *r, memory *m);

#endif
