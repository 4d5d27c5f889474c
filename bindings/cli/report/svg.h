/* Plots as SVG: within a page, whose plot.css they need, or as files of their own, with
 * the style inside. Colours are those of Okabe and Ito (2008); markers and dashes differ
 * too. No text leaves the viewBox. */
#ifndef RESNET_CLI_REPORT_SVG_H
#define RESNET_CLI_REPORT_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SVG_COLOURS = 8, SVG_MARKERS = 6, SVG_MAX_TICKS = 24, SVG_NUMBER_SIZE = 32 };

/* Where a plot is written. */
typedef struct svg_place {
  FILE *out;
  const char *id; /* unique in the page; a word */
  bool alone;     /* a file of its own */
} svg_place;

/* Round numbers, 1, 2 or 5 times a power of 10 apart, from `low` or above to `high` or
 * below, at most `max` (2 to SVG_MAX_TICKS). *step: how far apart. 0 where there is
 * nothing between the two. */
size_t svg_ticks(double low, double high, size_t max, bool whole, double *step,
                 double ticks[SVG_MAX_TICKS]);

/* 1, 2 and 5 times powers of 10, or those powers alone where there would be too many. */
size_t svg_log_ticks(double low, double high, size_t max, double ticks[SVG_MAX_TICKS]);

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
