#include "cli/option_values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resnet.h"

/* strtoul alone would accept "-1", "" and "3x". */
bool cli_value_number(const char *text, uint32_t minimum, uint32_t maximum, uint32_t *value) {
  if (*text == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 9) return false;
  unsigned long parsed = strtoul(text, NULL, 10);
  if (parsed < minimum || parsed > maximum) return false;
  *value = (uint32_t)parsed;
  return true;
}

/* Parse two numbers with a character between them, which is at `between`. */
static bool parse_pair(const char *text, const char *between, uint32_t minimum, uint32_t maximum,
                       uint32_t *first, uint32_t *second) {
  char before[12];
  const size_t length = (size_t)(between - text);
  if (length >= sizeof before) return false;
  memcpy(before, text, length);
  before[length] = '\0';
  return cli_value_number(before, minimum, maximum, first) &&
         cli_value_number(between + 1, minimum, maximum, second);
}

bool cli_value_size(const char *text, uint32_t maximum, bool none, size_option *size) {
  const char *x = strchr(text, 'x');
  if (none && strcmp(text, "none") == 0) {
    *size = (size_option){RESNET_SIZE_NONE, RESNET_SIZE_NONE};
    return true;
  }
  if (x) return parse_pair(text, x, 1, maximum, &size->height, &size->width);
  if (!cli_value_number(text, 1, maximum, &size->height)) return false;
  size->width = size->height;
  return true;
}

bool cli_value_choice(const char *text, const char *words, uint32_t *value) {
  const size_t length = strlen(text);
  for (*value = 0; words; ++*value) {
    const size_t word = strcspn(words, "|");
    if (word == length && strncmp(words, text, word) == 0) return true;
    words = words[word] ? words + word + 1 : NULL;
  }
  return false;
}

bool cli_value_depth16(const char *text, image_options *image) {
  const char *colon = strchr(text, ':');
  uint32_t low = 0, high = UINT16_MAX;
  if (strcmp(text, "clip") == 0) {
    image->depth16 = IMAGE_DEPTH16_CLIP;
  } else if (strcmp(text, "auto") == 0) {
    image->depth16 = IMAGE_DEPTH16_AUTO;
  } else if (strcmp(text, "scale") == 0 ||
             (colon && parse_pair(text, colon, 0, UINT16_MAX, &low, &high) && low < high)) {
    *image = (image_options){IMAGE_DEPTH16_RANGE, (uint16_t)low, (uint16_t)high};
  } else {
    return false;
  }
  return true;
}

/* Parse a number at *text and move *text behind it. strtof alone would accept white
 * space, "inf", "nan" and hexadecimal numbers. */
static bool take_float(const char **text, bool positive, float *value) {
  char *end;
  if (strspn(*text, "0123456789+-.eE") < strcspn(*text, ",")) return false;
  *value = strtof(*text, &end);
  if (end == *text || !isfinite(*value) || (positive && *value <= 0)) return false;
  *text = end;
  return true;
}

bool cli_value_numbers(const char *text, bool positive, numbers_option *numbers) {
  int count = 0;
  numbers->given = true;
  do {
    if (count > 0) text++;
    if (count == 3 || !take_float(&text, positive, &numbers->values[count])) return false;
    count++;
  } while (*text == ',');
  if (*text || count == 2) return false;
  for (; count < 3; count++) numbers->values[count] = numbers->values[0];
  return true;
}
