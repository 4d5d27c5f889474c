/* Images that only one of two models gets right. */
#ifndef RESNET_CLI_REPORT_DIFFERENCES_H
#define RESNET_CLI_REPORT_DIFFERENCES_H

#include <stdio.h>

#include "cli/compare/comparison.h"

/* How the page explains the choice of images. */
#define REPORT_DIFFERENCES_RULE                                                                    \
  "From each class in turn, the image of which the right model is surest is shown. The images "    \
  "are sorted by that confidence."

/* Write a heading and a list of images that `right` gets right and `wrong` does not, or
 * nothing if there are none. Stop after about `budget` bytes. */
void report_write_differences(comparison *c, const model_summary *right, const model_summary *wrong,
                              size_t budget, FILE *out);

#endif
