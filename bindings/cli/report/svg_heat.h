/* Heat maps. */
#ifndef RESNET_CLI_REPORT_SVG_HEAT_H
#define RESNET_CLI_REPORT_SVG_HEAT_H

#include "cli/report/svg.h"

/* A heat map of (rows,columns) cells. */
typedef struct svg_heat {
  const char *title, *description, *row_title, *column_title;
  const char *scale, *short_scale; /* what the shades are */
  size_t rows, columns;
  const char *const *row_names, *const *column_names;
  const double *shades;    /* (rows,columns): 0 light to 1 dark */
  const uint64_t *numbers; /* (rows,columns): for the tooltips; cells of 0 stay empty */
  bool printed;            /* print the numbers in the cells, too */
} svg_heat;

void svg_write_heat(const svg_place *place, const svg_heat *heat);

#endif
