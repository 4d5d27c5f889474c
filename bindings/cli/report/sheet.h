/* A table for the page or as CSV, written by the same calls, cell by cell and row by row.
 *
 * Measured columns (times, memory) differ from run to run; all others are the same in
 * each run. CSV keeps the two in separate files, and the page gives measured cells the
 * class "measured". */
#ifndef RESNET_CLI_REPORT_SHEET_H
#define RESNET_CLI_REPORT_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum sheet_kind {
  SHEET_PAGE = 0,
  SHEET_CSV = 1,         /* key and plain columns */
  SHEET_CSV_MEASURED = 2 /* key and measured columns */
} sheet_kind;

typedef enum column_kind {
  COLUMN_KEY = 0, /* identifies the row */
  COLUMN_PLAIN = 1,
  COLUMN_MEASURED = 2,
  COLUMN_CSV = 3 /* plain, but not on the page */
} column_kind;

typedef struct sheet_column {
  const char *title; /* on the page */
  const char *name;  /* in CSV, with the unit if there is one */
  column_kind kind;
} sheet_column;

typedef struct sheet {
  FILE *out;
  sheet_kind kind;
  const sheet_column *columns;
  size_t column_count, column;
  size_t rows, max; /* the page shows at most `max` rows */
} sheet;

/* Begin a table; the caller has set `out` and `kind`. `columns` must outlive the
 * sheet. */
void sheet_open(sheet *s, const char *id, const char *caption, const sheet_column *columns,
                size_t count, size_t max);
void sheet_close(sheet *s);

void sheet_text(sheet *s, const char *text);
void sheet_count(sheet *s, uint64_t count);
void sheet_bytes(sheet *s, uint64_t bytes);

void sheet_empty(sheet *s);

/* Write why there is no number, as an empty cell in CSV. */
void sheet_missing(sheet *s, const char *reason);

/* Write a number with 4 significant digits on the page; NAN: an empty cell. */
void sheet_number(sheet *s, double value);

/* Write a share as a percentage on the page, as it is in CSV; NAN: an empty cell. */
void sheet_percent(sheet *s, double share);

#endif
