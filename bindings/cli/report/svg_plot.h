/* Plots of lines, points and bars over two axes. */
#ifndef RESNET_CLI_REPORT_SVG_PLOT_H
#define RESNET_CLI_REPORT_SVG_PLOT_H

#include "cli/report/svg.h"

typedef struct svg_series {
  const char *name;
  size_t count;
  const double *x;            /* NULL: 1, 2, 3 ... */
  const double *y;            /* NAN: a gap */
  const double *low, *high;   /* range of each y; NULL: none */
  const char *const *details; /* text in the tooltip of each point; NULL: none */
  unsigned colour, marker;    /* any number */
  double level;               /* if the plot has own_levels */
  bool dashed, hollow;
  bool unjoined; /* points only */
} svg_series;

typedef struct svg_axis {
  const char *title; /* with the unit in brackets */
  double min, max;   /* the range if min < max; else that of the data, from 0 */
  bool logarithmic;  /* if all data are above 0 */
  bool whole;        /* ticks at whole numbers only */
} svg_axis;

typedef struct svg_plot {
  const char *title, *description; /* for screen readers; separate files show the title */
  svg_axis x, y;
  const svg_series *series;
  size_t series_count;
  bool bars;              /* bars beside each other at x = 1, 2, 3 ... */
  bool diagonal;          /* draw the line y = x */
  double level;           /* draw a line at this y if level_name is not NULL, */
  bool own_levels;        /* or a thin line for each series at its level */
  const char *level_name; /* in the legend */
} svg_plot;

void svg_write_plot(const svg_place *place, const svg_plot *plot);

#endif
