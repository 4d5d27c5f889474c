/* A table of numbers, for the page and as CSV, from the same calls. Row after row, cell
 * after cell.
 *
 * What is measured (times, memory) differs from run to run, all else does not; CSV keeps
 * the two in files of their own, and the page marks its cells with class "measured". */
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
  COLUMN_KEY = 0, /* says what the row is about */
  COLUMN_PLAIN = 1,
  COLUMN_MEASURED = 2,
  COLUMN_CSV = 3 /* plain, and not on the page */
} column_kind;

typedef struct sheet_column {
  const char *title; /* on the page */
  const char *name;  /* in CSV, with the unit where there is one */
  column_kind kind;
} sheet_column;

typedef struct sheet {
  FILE *out;
  sheet_kind kind;
  const sheet_column *columns;
  size_t column_count, column;
  size_t rows, max; /* on the page no more than `most` rows are shown */
} sheet;

/* Set out and kind before. `columns` must last as long as the sheet. */
void sheet_open(sheet *s, const char *id, const char *caption, const sheet_column *columns,
                size_t count, size_t max);
void sheet_close(sheet *s);

void sheet_text(sheet *s, const char *text);
void sheet_count(sheet *s, uint64_t count);
void sheet_bytes(sheet *s, uint64_t bytes);

void sheet_empty(sheet *s);

/* NAN is no value: an empty cell. */
void sheet_number(sheet *s, double value);  /* 4 significant digits on the page */
void sheet_percent(sheet *s, double share); /* CSV has the share itself */

#endif
