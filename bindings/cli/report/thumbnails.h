/* Small images in the page. */
#ifndef RESNET_CLI_REPORT_THUMBNAILS_H
#define RESNET_CLI_REPORT_THUMBNAILS_H

#include "cli/compare/comparison.h"

/* <img> of image `index`, at most 64 pixels wide and high, PNG within the page; a mark
 * of its absence where it cannot be read. How many bytes that took. */
size_t report_write_thumbnail(comparison *c, size_t index, FILE *out);

#endif
