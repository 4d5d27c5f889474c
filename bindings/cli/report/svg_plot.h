/* Plots of lines, points and bars over two axes. */
#ifndef RESNET_CLI_REPORT_SVG_PLOT_H
#define RESNET_CLI_REPORT_SVG_PLOT_H

#include "cli/report/svg.h"

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
  double min, max;
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

#endif
