/* Statistics of responses: an observer fills the program's sums. */
#include <stdlib.h>
#include <string.h>

#include "resnet_python.h"
#include "support/error.h"
#include "support/responses.h"

enum { POINTS = RESNET_POINT_CLASS_MAP + 1 };

typedef struct row {
  resnet_python_place place;
  uint32_t height, width;
  response_sums sums;
} row;

struct resnet_python_table {
  row *rows;
  uint32_t count;
  uint32_t *row_of; /* (ops,points): index into rows; RESNET_NO_INDEX: none */
  uint32_t ops;     /* 1 + the largest op among the places */
  /* the first response whose number of channels is not that of its place, if any */
  bool has_mismatch;
  uint32_t mismatch_op, mismatch_channels;
};

uint32_t resnet_python_abi(void) { return RESNET_PYTHON_ABI; }

size_t resnet_python_table_chunk(size_t images) { return response_chunk(images); }

static resnet_status finish(const resnet_error *failure, resnet_error *error) {
  if (error) *error = *failure;
  return failure->status;
}

/* ---- opening ----------------------------------------------------------------------- */

static bool check_places(const resnet_python_place *places, size_t count, uint32_t *ops,
                         resnet_error *error) {
  if (!places || count == 0 || count >= RESNET_NO_INDEX)
    return error_set(error, RESNET_ERROR_ARGUMENT, "a table needs 1 to %u places",
                     RESNET_NO_INDEX - 1);
  for (size_t i = 0; i < count; i++) {
    const resnet_python_place *p = &places[i];
    if (p->op == RESNET_NO_INDEX || (uint32_t)p->point >= POINTS || p->channels == 0)
      return error_set(error, RESNET_ERROR_ARGUMENT,
                       "place %zu (op %u, point %u, %u channels) is invalid", i, p->op,
                       (uint32_t)p->point, p->channels);
    if (p->op >= *ops) *ops = p->op + 1;
  }
  return true;
}

static uint32_t *row_index(const resnet_python_table *t, uint32_t op, resnet_point point) {
  return &t->row_of[(size_t)op * POINTS + (size_t)point];
}

static bool add_row(resnet_python_table *t, const resnet_python_place *place, resnet_error *error) {
  uint32_t *index = row_index(t, place->op, place->point);
  row *r = &t->rows[t->count];
  if (*index != RESNET_NO_INDEX)
    return error_set(error, RESNET_ERROR_ARGUMENT, "places %u and %u are the same", *index,
                     t->count);
  if (!response_sums_allocate(&r->sums, place->channels))
    return error_set(error, RESNET_ERROR_MEMORY, "no memory for statistics of %u channels",
                     place->channels);
  r->place = *place;
  *index = t->count++;
  return true;
}

static bool fill(resnet_python_table *t, const resnet_python_place *places, size_t count,
                 uint32_t ops, resnet_error *error) {
  const size_t indices = (size_t)ops * POINTS;
  t->ops = ops;
  t->rows = calloc(count, sizeof *t->rows);
  t->row_of = calloc(indices, sizeof *t->row_of);
  if (!t->rows || !t->row_of)
    return error_set(error, RESNET_ERROR_MEMORY, "no memory for a table of %zu places in %u ops",
                     count, ops);
  for (size_t i = 0; i < indices; i++) t->row_of[i] = RESNET_NO_INDEX;
  for (size_t i = 0; i < count; i++)
    if (!add_row(t, &places[i], error)) return false;
  return true;
}

resnet_status resnet_python_table_open(const resnet_python_place *places, size_t count,
                                       resnet_python_table **table, resnet_error *error) {
  resnet_error failure = {RESNET_OK, ""};
  uint32_t ops = 0;
  if (!table) {
    (void)error_set(&failure, RESNET_ERROR_ARGUMENT, "table is NULL");
    return finish(&failure, error);
  }
  *table = NULL;
  if (!check_places(places, count, &ops, &failure)) return finish(&failure, error);
  *table = calloc(1, sizeof **table);
  if (!*table)
    (void)error_set(&failure, RESNET_ERROR_MEMORY, "no memory for a table");
  else if (!fill(*table, places, count, ops, &failure))
    resnet_python_table_close(table);
  return finish(&failure, error);
}

void resnet_python_table_close(resnet_python_table **table) {
  if (!table || !*table) return;
  for (uint32_t i = 0; i < (*table)->count; i++) response_sums_release(&(*table)->rows[i].sums);
  free((*table)->rows);
  free((*table)->row_of);
  free(*table);
  *table = NULL;
}

/* ---- observing --------------------------------------------------------------------- */

static void note_mismatch(resnet_python_table *t, uint32_t op, uint32_t channels) {
  if (t->has_mismatch) return;
  t->has_mismatch = true;
  t->mismatch_op = op;
  t->mismatch_channels = channels;
}

void resnet_python_table_observe(void *table, const resnet_response *response) {
  resnet_python_table *t = table;
  if (response->op >= t->ops || (uint32_t)response->point >= POINTS) return;
  const uint32_t index = *row_index(t, response->op, response->point);
  if (index == RESNET_NO_INDEX) return;
  row *r = &t->rows[index];
  if (response->channels != r->sums.channels) {
    note_mismatch(t, response->op, response->channels);
    return;
  }
  r->height = response->height;
  r->width = response->width;
  response_sums_add(&r->sums, response->data, response->batch,
                    (size_t)response->height * response->width);
}

void resnet_python_table_clear(resnet_python_table *table, uint64_t next) {
  if (!table) return;
  table->has_mismatch = false;
  for (uint32_t i = 0; i < table->count; i++) {
    row *r = &table->rows[i];
    response_sums_clear(&r->sums, next);
    r->height = r->width = 0;
  }
}

/* ---- results ----------------------------------------------------------------------- */

static bool check_table(const resnet_python_table *t, resnet_error *error) {
  if (!t) return error_set(error, RESNET_ERROR_ARGUMENT, "table is NULL");
  if (t->has_mismatch)
    return error_set(error, RESNET_ERROR_ARGUMENT,
                     "a response of op %u had %u channels; its place has another number",
                     t->mismatch_op, t->mismatch_channels);
  return true;
}

static bool same_places(const resnet_python_table *a, const resnet_python_table *b) {
  bool same = a->count == b->count;
  for (uint32_t i = 0; same && i < a->count; i++) {
    const resnet_python_place *p = &a->rows[i].place, *q = &b->rows[i].place;
    same = p->op == q->op && p->point == q->point && p->channels == q->channels;
  }
  return same;
}

static void merge_row(row *r, const row *other) {
  response_sums_merge(&r->sums, &other->sums);
  if (other->height == 0) return;
  r->height = other->height;
  r->width = other->width;
}

resnet_status resnet_python_table_merge(resnet_python_table *table,
                                        const resnet_python_table *other, resnet_error *error) {
  resnet_error failure = {RESNET_OK, ""};
  if (!check_table(table, &failure) || !check_table(other, &failure))
    return finish(&failure, error);
  if (!same_places(table, other)) {
    (void)error_set(&failure, RESNET_ERROR_ARGUMENT, "the tables have different places");
    return finish(&failure, error);
  }
  for (uint32_t i = 0; i < table->count; i++) merge_row(&table->rows[i], &other->rows[i]);
  return finish(&failure, error);
}

static resnet_python_row row_of(const row *r) {
  response_summary s;
  response_sums_summarise(&r->sums, &s);
  resnet_python_row out = {
      .op = r->place.op,
      .point = r->place.point,
      .height = r->height,
      .width = r->width,
      .channels = s.channels,
      .dead = s.dead,
      .values = s.values,
      .mean = s.mean,
      .std = s.std,
      .min = s.min,
      .max = s.max,
      .negative = s.negative,
  };
  memcpy(out.percentiles, s.percentiles, sizeof out.percentiles);
  return out;
}

resnet_status resnet_python_table_rows(const resnet_python_table *table, resnet_python_row *rows,
                                       size_t count, resnet_error *error) {
  resnet_error failure = {RESNET_OK, ""};
  if (!check_table(table, &failure)) return finish(&failure, error);
  if (!rows || count != table->count) {
    (void)error_set(&failure, RESNET_ERROR_ARGUMENT, "the table has %u rows, not %zu", table->count,
                    rows ? count : 0);
    return finish(&failure, error);
  }
  for (uint32_t i = 0; i < table->count; i++) rows[i] = row_of(&table->rows[i]);
  return finish(&failure, error);
}
