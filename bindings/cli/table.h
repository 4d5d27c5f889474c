/* A text table: each column is as wide as its widest cell. */
#ifndef RESNET_CLI_TABLE_H
#define RESNET_CLI_TABLE_H

#include <stddef.h>

enum { TABLE_MAX_COLUMNS = 12 };

typedef struct table {
  size_t columns;
  const char *alignment; /* one letter a column: 'l' or 'r' */
  char **cells;          /* row after row; the first row is the heading */
  size_t used, capacity;
} table;

/* Add the next cell, from left to right, row after row; the text is copied. */
void cli_table_add(table *t, const char *text);
void cli_table_add_number(table *t, unsigned long long number);

/* Print the table and release its cells. On a terminal the heading is bold. Control
 * characters are masked. */
void cli_table_print(table *t);

#endif
