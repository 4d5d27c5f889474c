#include "cli/report/svg_heat.h"

#include <math.h>
#include <string.h>

#include "cli/report/markup.h"
#include "cli/report/svg.h"

enum { NAME_LETTERS = 14, NARROW_NAME_LETTERS = 10 };

/* Names are at least this far apart; a few are left out if cells are smaller. */
static const double line_height = 13;

/* Numbers are white on cells of at least this shade, else in the page's text colour. */
static const double dark_shade = 0.8, slant = 0.7071067811865476;

typedef struct layout {
  double left, top, cell, width, height;
  bool printed; /* print the numbers */
  bool narrow;
  size_t letters; /* in a name */
} layout;

static double longest_name(const char *const *names, size_t count, size_t letters) {
  double longest = 0;
  for (size_t i = 0; i < count; i++) {
    double width = svg_text_width(names[i]), max = (double)letters * svg_text_width("n");
    longest = fmax(longest, fmin(width, max));
  }
  return longest;
}

static layout lay_out_broad(const svg_heat *h) {
  double names = longest_name(h->column_names, h->columns, NAME_LETTERS);
  layout l = {.cell = h->printed ? fmax(30, fmin(46, 460 / (double)h->columns))
                                 : fmax(8, 460 / (double)h->columns),
              .printed = h->printed,
              .letters = NAME_LETTERS};
  l.left = 34 + longest_name(h->row_names, h->rows, NAME_LETTERS);
  l.top = 30 + (names + 14) * slant;
  l.width = l.left + l.cell * (double)h->columns + fmax(14, (names + 14) * slant - l.cell / 2);
  l.width = fmax(l.width, 126 + svg_text_width(h->scale));
  return l;
}

/* Names of columns are upright, and cells are too small for numbers. */
static layout lay_out_narrow(const svg_heat *h) {
  layout l = {.narrow = true, .letters = NARROW_NAME_LETTERS, .width = SVG_NARROW_WIDTH};
  l.left = 34 + longest_name(h->row_names, h->rows, l.letters);
  l.top = 36 + longest_name(h->column_names, h->columns, l.letters);
  l.cell = (l.width - l.left - 8) / (double)h->columns;
  return l;
}

static layout lay_out(const svg_heat *h, bool narrow) {
  layout l = narrow ? lay_out_narrow(h) : lay_out_broad(h);
  l.height = l.top + l.cell * (double)h->rows + 46;
  return l;
}

static void write_names(FILE *out, const svg_heat *h, const layout *l) {
  const size_t stride = (size_t)ceil(line_height / l->cell);
  for (size_t i = 0; i < h->rows; i += stride) {
    (void)fprintf(out, "<text class=\"tick end\" x=\"%.1f\" y=\"%.1f\">", l->left - 6,
                  l->top + ((double)i + 0.5) * l->cell + 4.5);
    markup_html_shortened(out, h->row_names[i], l->letters);
    (void)fputs("</text>\n", out);
  }
  for (size_t i = 0; i < h->columns; i += stride) {
    (void)fprintf(out, "<text class=\"tick\" transform=\"translate(%.1f %.1f) rotate(%d)\">",
                  l->left + ((double)i + 0.5) * l->cell + (l->narrow ? 4 : 3), l->top - 7,
                  l->narrow ? -90 : -45);
    markup_html_shortened(out, h->column_names[i], l->letters);
    (void)fputs("</text>\n", out);
  }
  (void)fprintf(
      out, "<text class=\"axis-title\" transform=\"translate(16 %.1f) rotate(-90)\">%s</text>\n",
      l->top + l->cell * (double)h->rows / 2, h->row_title);
  (void)fprintf(out, "<text class=\"axis-title\" x=\"%.1f\" y=\"16\">%s</text>\n",
                l->left + l->cell * (double)h->columns / 2, h->column_title);
}

static void write_cell(FILE *out, const svg_heat *h, const layout *l, size_t row, size_t column) {
  size_t at = row * h->columns + column;
  if (h->numbers[at] == 0) return;
  double x = l->left + (double)column * l->cell, y = l->top + (double)row * l->cell;
  char number[SVG_NUMBER_SIZE];
  (void)svg_number(number, (double)h->numbers[at], 1);
  if (!l->narrow) {
    (void)fputs("<g><title>", out);
    markup_html_text(out, h->row_names[row]);
    (void)fputs(" \xe2\x86\x92 ", out);
    markup_html_text(out, h->column_names[column]);
    (void)fprintf(out, ": %s</title>", number);
  }
  (void)fprintf(out,
                "<rect class=\"cell\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                "height=\"%.1f\" fill-opacity=\"%.3f\"/>",
                x, y, l->cell - 1, l->cell - 1, fmin(1, fmax(0, h->shades[at])));
  if (l->printed)
    (void)fprintf(out, "<text class=\"value%s\" x=\"%.1f\" y=\"%.1f\">%s</text>",
                  h->shades[at] >= dark_shade ? " on-dark" : "", x + (l->cell - 1) / 2,
                  y + l->cell / 2 + 4, number);
  (void)fputs(l->narrow ? "\n" : "</g>\n", out);
}

static void write_scale(FILE *out, const svg_heat *h, const layout *l) {
  double y = l->top + l->cell * (double)h->rows + 16;
  for (int i = 0; i <= 4; i++)
    (void)fprintf(out,
                  "<rect class=\"cell\" x=\"%.1f\" y=\"%.1f\" width=\"17\" height=\"12\" "
                  "fill-opacity=\"%.2f\"/>\n",
                  14 + i * 18.0, y, i / 4.0);
  (void)fprintf(out, "<text class=\"tick\" x=\"112\" y=\"%.1f\">%s</text>\n", y + 11,
                l->narrow ? h->short_scale : h->scale);
}

void svg_write_heat(const svg_place *place, const svg_heat *h) {
  const layout l = lay_out(h, place->narrow);
  svg_begin(place, h->title, h->description, l.width, l.height);
  (void)fprintf(
      place->out, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
      l.left - 1, l.top - 1, l.cell * (double)h->columns + 1, l.cell * (double)h->rows + 1);
  write_names(place->out, h, &l);
  for (size_t row = 0; row < h->rows; row++)
    for (size_t column = 0; column < h->columns; column++)
      write_cell(place->out, h, &l, row, column);
  write_scale(place->out, h, &l);
  svg_end(place);
}
