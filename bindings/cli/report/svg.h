/* Plots as SVG: within a page, whose plot.css they need, or as files of their own, with
 * the style inside. Colours are those of Okabe and Ito (2008), told apart by markers and
 * dashes too. No text leaves the viewBox. */
#ifndef RESNET_CLI_REPORT_SVG_H
#define RESNET_CLI_REPORT_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SVG_COLOURS = 8, SVG_MARKERS = 6, SVG_MOST_TICKS = 24, SVG_NUMBER_SIZE = 32 };

/* Where a plot is written. */
typedef struct svg_place {
  FILE *out;
  const char *id; /* unique in the page; a word */
  bool alone;     /* a file of its own */
} svg_place;

typedef struct svg_series {
  const char *name;
  size_t count;
  const double *x;            /* NULL: 1, 2, 3 ... */
  const double *y;            /* NAN: a gap */
  const double *low, *high;   /* range of each y, or NULL */
  const char *const *details; /* what else a tooltip says of each point; or NULL */
  unsigned colour, marker;    /* any number */
  double level;               /* where the plot has own_levels */
  bool dashed, hollow;
  bool unjoined; /* points only */
} svg_series;

typedef struct svg_axis {
  const char *title; /* with the unit in brackets */
  /* the range, where both are finite and not equal; else that of the data, from 0 */
  double least, most;
  bool logarithmic; /* where all data are above 0 */
  bool whole;       /* ticks at whole numbers only */
} svg_axis;

typedef struct svg_plot {
  /* for those who cannot see it; the title is shown in files */
  const char *title, *description;
  svg_axis x, y;
  const svg_series *series;
  size_t series_count;
  bool bars;     /* beside each other at x = 1, 2, 3 ... */
  bool diagonal; /* a line of y = x */
  double level;  /* a horizontal line at this y, if level_name is not NULL */
  const char *level_name;
  bool own_levels; /* instead, a thin one for each series */
} svg_plot;

void svg_write_plot(const svg_place *place, const svg_plot *plot);

/* Cells of (rows,columns), dark where `shade` is near 1. */
typedef struct svg_heat {
  const char *title, *description, *row_title, *column_title, *scale;
  size_t rows, columns;
  const char *const *row_names, *const *column_names;
  const double *shades;
  /* in tooltips, and in the cells where `printed`; cells of 0 are left empty */
  const uint64_t *numbers;
  bool printed;
} svg_heat;

void svg_write_heat(const svg_place *place, const svg_heat *heat);

/* ---- shared by the two, and for tests ---------------------------------------------- */

/* Round numbers, 1, 2 or 5 times a power of 10 apart, from `low` or above to `high` or
 * below, at most `most` (2 to SVG_MOST_TICKS). *step: how far apart. 0 where there is
 * nothing between the two. */
size_t svg_ticks(double low, double high, size_t most, bool whole, double *step,
                 double ticks[SVG_MOST_TICKS]);

/* 1, 2 and 5 times powers of 10, or those powers alone where there would be too many. */
size_t svg_log_ticks(double low, double high, size_t most, double ticks[SVG_MOST_TICKS]);

/* With the digits that `step` needs: "0.25", "12,000", "2e-07". step 0: as short as it
 * can be. */
const char *svg_number(char out[SVG_NUMBER_SIZE], double value, double step);

/* About how wide the text is at the plots' size of letters; rather too much than too
 * little. */
double svg_text_width(const char *text);

void svg_begin(const svg_place *place, const char *title, const char *description, double width,
               double height);
void svg_end(const svg_place *place);

#endif
