/* The images that a command line names. */
#ifndef RESNET_CLI_IMAGE_INPUT_H
#define RESNET_CLI_IMAGE_INPUT_H

#include <stdbool.h>

#include "cli/options.h"
#include "resnet.h"
#include "support/image.h"

/* Read and decode an image; "-" is standard input. The caller releases *out; on failure
 * it is all zero. */
bool cli_image_read(const settings *s, const char *path, image_rgb *out, resnet_error *error);

/* Return true if the file at `path` is a model that the library opens, by its content or,
 * if it is no image, by the end of its name. Standard input is read up to its kind. */
bool cli_image_is_model(const char *path);

/* Print a note if 16-bit values of the image were cut, unless --quiet or --depth16 is
 * given. */
void cli_image_print_depth(const settings *s, const char *path, const image_rgb *image);

/* Likewise for the images of a data set, which has `count` with 16 bits. */
void cli_image_print_depths(const settings *s, size_t count);

#endif
