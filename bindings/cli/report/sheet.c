#include "cli/report/sheet.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/format.h"
#include "cli/report/markup.h"

static bool is_shown(const sheet *s, column_kind kind) {
  if (kind == COLUMN_KEY) return true;
  if (s->kind == SHEET_PAGE) return kind != COLUMN_CSV;
  return (kind == COLUMN_MEASURED) == (s->kind == SHEET_CSV_MEASURED);
}

static void write_headings(sheet *s) {
  bool first = true;
  for (size_t i = 0; i < s->column_count; i++) {
    const sheet_column *c = &s->columns[i];
    if (!is_shown(s, c->kind)) continue;
    if (s->kind == SHEET_PAGE)
      (void)fprintf(s->out, "<th scope=\"col\">%s</th>", c->title);
    else
      (void)fprintf(s->out, "%s%s", first ? "" : ",", c->name);
    first = false;
  }
}

void sheet_open(sheet *s, const char *id, const char *caption, const sheet_column *columns,
                size_t count, size_t max) {
  s->columns = columns;
  s->column_count = count;
  s->column = s->rows = 0;
  s->max = max;
  if (s->kind == SHEET_PAGE)
    (void)fprintf(s->out,
                  "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Table: %s\">\n"
                  "<table id=\"%s\" class=\"sortable\">\n<caption>%s</caption>\n<thead><tr>",
                  caption, id, caption);
  write_headings(s);
  (void)fputs(s->kind == SHEET_PAGE ? "</tr></thead>\n<tbody>\n" : "\r\n", s->out);
}

void sheet_close(sheet *s) {
  if (s->kind != SHEET_PAGE) return;
  char shown[FORMAT_SIZE], all[FORMAT_SIZE];
  (void)fputs("</tbody>\n</table>\n</div>\n", s->out);
  if (s->rows > s->max)
    (void)fprintf(s->out,
                  "<p class=\"note\">The first %s of %s rows; --tables writes all of them.</p>\n",
                  cli_format_grouped(shown, s->max), cli_format_grouped(all, s->rows));
}

/* Write the separator before a cell. Return true if the cell itself must be written. */
static bool begin_cell(sheet *s) {
  const sheet_column *c = &s->columns[s->column];
  if (s->column == 0) s->rows++;
  if (s->kind == SHEET_PAGE && s->rows > s->max) return false;
  if (s->column == 0 && s->kind == SHEET_PAGE) (void)fputs("<tr>", s->out);
  if (s->column > 0 && s->kind != SHEET_PAGE && is_shown(s, c->kind)) (void)fputc(',', s->out);
  return is_shown(s, c->kind);
}

static void end_cell(sheet *s) {
  if (++s->column < s->column_count) return;
  s->column = 0;
  if (s->kind != SHEET_PAGE)
    (void)fputs("\r\n", s->out);
  else if (s->rows <= s->max)
    (void)fputs("</tr>\n", s->out);
}

/* Write a cell that sorts by `value` and shows `text`. NAN sorts last. */
static void write_number(sheet *s, double value, const char *text) {
  if (begin_cell(s)) {
    const char *mark = s->columns[s->column].kind == COLUMN_MEASURED ? " class=\"measured\"" : "";
    if (s->kind == SHEET_PAGE && isfinite(value))
      (void)fprintf(s->out, "<td%s data-value=\"%.9g\">%s</td>", mark, value, text);
    else if (s->kind == SHEET_PAGE)
      (void)fprintf(s->out, "<td%s data-value=\"\">%s</td>", mark, text);
    else if (isfinite(value))
      (void)fprintf(s->out, "%.15g", value);
  }
  end_cell(s);
}

void sheet_text(sheet *s, const char *text) {
  if (begin_cell(s)) {
    bool heads = s->column == 0;
    if (s->kind != SHEET_PAGE) {
      markup_csv_text(s->out, text);
    } else {
      (void)fputs(heads ? "<th scope=\"row\"><bdi>" : "<td><bdi>", s->out);
      markup_html_text(s->out, text);
      (void)fputs(heads ? "</bdi></th>" : "</bdi></td>", s->out);
    }
  }
  end_cell(s);
}

void sheet_count(sheet *s, uint64_t count) {
  char text[FORMAT_SIZE];
  write_number(s, (double)count, cli_format_grouped(text, count));
}

void sheet_bytes(sheet *s, uint64_t bytes) {
  char text[FORMAT_SIZE];
  write_number(s, (double)bytes, cli_format_bytes(text, bytes));
}

void sheet_missing(sheet *s, const char *reason) { write_number(s, NAN, reason); }

void sheet_empty(sheet *s) { sheet_missing(s, "\xe2\x80\x93"); }

void sheet_number(sheet *s, double value) {
  char text[32];
  if (!isfinite(value)) {
    sheet_empty(s);
    return;
  }
  (void)snprintf(text, sizeof text, "%.4g", value);
  write_number(s, value, text);
}

void sheet_percent(sheet *s, double share) {
  char text[32];
  if (!isfinite(share)) {
    sheet_empty(s);
    return;
  }
  (void)snprintf(text, sizeof text, "%.2f %%", 100 * share);
  write_number(s, share, text);
}
