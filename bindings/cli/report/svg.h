/* Frame, ticks and numbers of plots in SVG. A plot is part of a page, which contains
 * plot.css, or a separate file, which contains the style itself. The colours are those of
 * Okabe and Ito (2008); markers and dashes differ too. All text is inside the viewBox. */
#ifndef RESNET_CLI_REPORT_SVG_H
#define RESNET_CLI_REPORT_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
  SVG_COLOURS = 8,
  SVG_MARKERS = 6,
  SVG_MAX_TICKS = 24,
  SVG_NUMBER_SIZE = 32,
  SVG_NARROW_WIDTH = 328
};

/* Where a plot is written. */
typedef struct svg_place {
  FILE *out;
  const char *id; /* unique in the page; one word */
  bool alone;     /* a separate file */
  bool narrow;    /* for a screen of 360 pixels */
} svg_place;

/* Find round numbers from `low` to `high`, at most `max` (2 to SVG_MAX_TICKS), and set
 * *step to their distance: 1, 2 or 5 times a power of 10. `whole`: whole numbers
 * only. Return how many there are, or 0 if `low` and `high` are equal or not finite. */
size_t svg_ticks(double low, double high, size_t max, bool whole, double *step,
                 double ticks[SVG_MAX_TICKS]);

/* Find 1, 2 and 5 times the powers of 10 from `low` to `high`, or only powers of 10 if
 * these are more than `max`. Return how many there are. */
size_t svg_log_ticks(double low, double high, size_t max, double ticks[SVG_MAX_TICKS]);

/* Write a number to `out` with the digits that `step` needs, e.g. "0.25", "12,000" or
 * "2e-07". step 0: with 4 significant digits. Return `out`. */
const char *svg_number(char out[SVG_NUMBER_SIZE], double value, double step);

/* Return an upper estimate of the text's width in a plot, in pixels. */
double svg_text_width(const char *text);

/* Write the frame of a plot: the <svg> element with its title and description. */
void svg_begin(const svg_place *place, const char *title, const char *description, double width,
               double height);
void svg_end(const svg_place *place);

#endif
