/* The HTML page of `resnet compare --report`. */
#ifndef RESNET_CLI_REPORT_PAGE_H
#define RESNET_CLI_REPORT_PAGE_H

#include "cli/compare/comparison.h"

/* Write one HTML page to a temporary file beside `path`, then rename it. On failure print
 * the reason and leave `path` unchanged. */
bool report_write_page(comparison *c, const char *path);

#endif
