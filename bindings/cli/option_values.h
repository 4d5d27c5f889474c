/* Values of options: text to numbers and names. Each function returns false, and leaves
 * the value undefined, if the text is not accepted. */
#ifndef RESNET_CLI_OPTION_VALUES_H
#define RESNET_CLI_OPTION_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "support/image.h"

/* The size of an image in pixels; 0 x 0: not given. */
typedef struct size_option {
  uint32_t height, width;
} size_option;

/* A number for which 0 differs from "not given". */
typedef struct number_option {
  bool given;
  uint32_t number;
} number_option;

/* One number, or one for each of three channels. */
typedef struct numbers_option {
  bool given;
  float values[3];
} numbers_option;

/* Parse a decimal integer. */
bool cli_value_number(const char *text, uint32_t minimum, uint32_t maximum, uint32_t *value);

/* Parse "S" or "HxW"; with `none` also "none", which is RESNET_SIZE_NONE for both. */
bool cli_value_size(const char *text, uint32_t maximum, bool none, size_option *size);

/* Set *value to the index of `text` among `words`, which are separated by '|'. */
bool cli_value_choice(const char *text, const char *words, uint32_t *value);

/* Parse "clip", "scale", "auto" or "LOW:HIGH". */
bool cli_value_depth16(const char *text, image_options *image);

/* Parse one finite number, or three with commas between them; with `positive` all must be
 * greater than 0. */
bool cli_value_numbers(const char *text, bool positive, numbers_option *numbers);

#endif
