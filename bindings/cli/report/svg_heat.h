/* Heat maps. */
#ifndef RESNET_CLI_REPORT_SVG_HEAT_H
#define RESNET_CLI_REPORT_SVG_HEAT_H

#include "cli/report/svg.h"

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

#endif
