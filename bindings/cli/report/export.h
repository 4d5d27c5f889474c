/* The files of `resnet compare --tables`. */
#ifndef RESNET_CLI_REPORT_EXPORT_H
#define RESNET_CLI_REPORT_EXPORT_H

#include "cli/compare/comparison.h"
#include "resnet.h"

/* Write the data as CSV and the plots as SVG files into `folder`, which is created if it
 * does not exist. On failure print the reason. */
bool report_export_write(comparison *c, const char *folder);

/* Check that the files can be written, without changing anything. */
bool report_export_check(const char *folder, resnet_error *error);

#endif
