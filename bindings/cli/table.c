#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "cli/message.h"
#include "cli/terminal.h"
#include "support/utf8.h"

void cli_table_add(table *t, const char *text) {
  t->cells = cli_grow(t->cells, t->used, &t->capacity, sizeof *t->cells);
  t->cells[t->used++] = cli_copy_text(text);
}

void cli_table_add_number(table *t, unsigned long long number) {
  char text[32];
  (void)snprintf(text, sizeof text, "%llu", number);
  cli_table_add(t, text);
}

static void pad(size_t count) {
  for (; count > 0; count--) (void)fputc(' ', stdout);
}

static void print_row(const table *t, size_t first, const size_t *widths) {
  for (size_t column = 0; column < t->columns; column++) {
    const char *text = t->cells[first + column];
    size_t space = widths[column] - utf8_count(text);
    bool last = column + 1 == t->columns;
    if (column) pad(2);
    if (t->alignment[column] == 'r') pad(space);
    cli_print_masked(stdout, text);
    if (t->alignment[column] == 'l' && !last) pad(space);
  }
  (void)fputc('\n', stdout);
}

void cli_table_print(table *t) {
  size_t widths[TABLE_MAX_COLUMNS] = {0};
  for (size_t i = 0; i < t->used; i++) {
    size_t width = utf8_count(t->cells[i]), *widest = &widths[i % t->columns];
    if (width > *widest) *widest = width;
  }
  for (size_t row = 0; row < t->used; row += t->columns) {
    if (row == 0) (void)fputs(cli_bold(), stdout);
    print_row(t, row, widths);
    if (row == 0) (void)fputs(cli_plain(), stdout);
  }
  for (size_t i = 0; i < t->used; i++) free(t->cells[i]);
  free(t->cells);
  t->cells = NULL;
  t->used = t->capacity = 0;
}
