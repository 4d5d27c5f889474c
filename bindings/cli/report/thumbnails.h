/* Small images in the page. */
#ifndef RESNET_CLI_REPORT_THUMBNAILS_H
#define RESNET_CLI_REPORT_THUMBNAILS_H

#include <stdio.h>

#include "cli/compare/comparison.h"

/* Write an <img> with image `index` as PNG, at most 64 pixels wide and high, or a note
 * if it cannot be read. Return the approximate number of bytes. */
size_t report_write_thumbnail(comparison *c, size_t index, FILE *out);

#endif
