/* The tables of a comparison. */
#ifndef RESNET_CLI_REPORT_SHEETS_H
#define RESNET_CLI_REPORT_SHEETS_H

#include "cli/compare/comparison.h"
#include "cli/report/sheet.h"

typedef void (*sheet_function)(const comparison *c, sheet *s);

void report_sheet_models(const comparison *c, sheet *s);
void report_sheet_layers(const comparison *c, sheet *s);
void report_sheet_blocks(const comparison *c, sheet *s);
void report_sheet_ablations(const comparison *c, sheet *s);
void report_sheet_shortcuts(const comparison *c, sheet *s);
void report_sheet_confusions(const comparison *c, sheet *s);
void report_sheet_calibration(const comparison *c, sheet *s);
void report_sheet_pairs(const comparison *c, sheet *s);

#endif
