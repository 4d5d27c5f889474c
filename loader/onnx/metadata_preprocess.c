#include "loader/onnx/metadata_preprocess.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- numbers ----------------------------------------------------------------------- */

enum { MAX_DIGITS = 18 /* that fit 63 bits */, MAX_EXPONENT = 30 };

/* Append decimal digits to *mantissa, which has `taken`, up to MAX_DIGITS. Return how
 * many it has now; leading zeros do not count. */
static int read_digits(const char **text, int taken, int64_t *mantissa) {
  for (; **text >= '0' && **text <= '9' && taken < MAX_DIGITS; (*text)++) {
    *mantissa = *mantissa * 10 + (**text - '0');
    taken += *mantissa != 0;
  }
  return taken;
}

/* Read an optional exponent such as "e-3". Return false if no digits follow the "e". */
static bool read_exponent(const char **text, int64_t *exponent) {
  if (**text != 'e' && **text != 'E') return true;
  const char *sign = ++*text;
  *text += *sign == '-' || *sign == '+';
  const char *digits = *text;
  int64_t power = 0;
  (void)read_digits(text, MAX_DIGITS - 2, &power);
  *exponent += *sign == '-' ? -power : power;
  return *text > digits;
}

/* Read a decimal number such as -0.485 or 1e-3, in any locale. Return false if there is
 * none, or if it does not fit a float. */
static bool read_number(const char **text, float *number) {
  double sign = **text == '-' ? -1 : 1, power = 1;
  *text += **text == '-';
  const char *start = *text;
  int64_t mantissa = 0, exponent = 0;
  int taken = read_digits(text, 0, &mantissa);
  bool digits = *text > start;
  if (**text == '.') {
    const char *point = ++*text;
    (void)read_digits(text, taken, &mantissa);
    exponent = point - *text;
    digits = digits || exponent < 0;
  }
  if (!digits || !read_exponent(text, &exponent) || exponent < -MAX_EXPONENT ||
      exponent > MAX_EXPONENT)
    return false;
  for (int64_t i = 0; i < exponent || i < -exponent; i++) power *= 10;
  double exact = sign * (exponent < 0 ? (double)mantissa / power : (double)mantissa * power);
  if (fabs(exact) > (double)FLT_MAX) return false;
  *number = (float)exact;
  return true;
}

static bool ends_word(char c) { return c == '\0' || c == ' '; }

/* Read `count` numbers separated by commas, or one for all. */
static bool read_floats(const char *text, size_t count, float *floats) {
  size_t found = 0;
  for (; found < count; found++) {
    if (found > 0 && *text++ != ',') return false;
    if (!read_number(&text, &floats[found])) return false;
    if (found == 0 && ends_word(*text)) break;
  }
  for (size_t i = 1; found == 0 && i < count; i++) floats[i] = floats[0];
  return ends_word(*text);
}

static bool all_positive(const float *numbers, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!(numbers[i] > 0)) return false;
  return true;
}

/* ---- words ------------------------------------------------------------------------- */

/* Read one of the words; set its index. */
static bool read_choice(const char *text, const char *const *words, size_t count, int *index) {
  for (size_t i = 0; i < count; i++) {
    const size_t length = strlen(words[i]);
    if (strncmp(text, words[i], length) != 0 || !ends_word(text[length])) continue;
    *index = (int)i;
    return true;
  }
  return false;
}

static bool read_side(const char **text, uint32_t *side) {
  *side = 0;
  for (; **text >= '0' && **text <= '9' && *side <= 65535; (*text)++)
    *side = *side * 10 + (uint32_t)(**text - '0');
  return *side >= 1 && *side <= 65535;
}

/* Read a size: one number for both sides, HEIGHTxWIDTH, "auto" or "none". */
static bool read_size(const char *text, uint32_t *height, uint32_t *width) {
  static const char *const words[] = {"auto", "none"};
  int word;
  if (read_choice(text, words, 2, &word)) {
    *height = *width = word == 0 ? 0 : RESNET_SIZE_NONE;
    return true;
  }
  if (!read_side(&text, height)) return false;
  *width = *height;
  if (*text == 'x') {
    text++;
    if (!read_side(&text, width)) return false;
  }
  return ends_word(*text);
}

static bool read_ratio(const char *text, float *ratio) {
  return read_floats(text, 1, ratio) && *ratio >= 1 && *ratio <= 16;
}

static const char *const fits[] = {[RESNET_FIT_CROP] = "crop", [RESNET_FIT_STRETCH] = "stretch"};
static const char *const filters[] = {[RESNET_FILTER_BILINEAR] = "bilinear",
                                      [RESNET_FILTER_BICUBIC] = "bicubic",
                                      [RESNET_FILTER_NEAREST] = "nearest"};
static const char *const orders[] = {
    [RESNET_ORDER_RGB] = "rgb", [RESNET_ORDER_BGR] = "bgr", [RESNET_ORDER_GREY] = "grey"};

/* ---- keys -------------------------------------------------------------------------- */

/* The first six are needed. */
static const char *const keys[] = {"resize", "crop", "order",  "scale", "mean",
                                   "std",    "fit",  "filter", "ratio"};
enum {
  KEY_RESIZE,
  KEY_CROP,
  KEY_ORDER,
  KEY_SCALE,
  KEY_MEAN,
  KEY_STD,
  KEY_FIT,
  KEY_FILTER,
  KEY_RATIO,
  KEY_COUNT,
  NEEDED_KEYS = KEY_FIT
};

static bool read_enum(const char *text, int key, resnet_preprocess *p) {
  int index;
  switch (key) {
  case KEY_FIT:
    if (!read_choice(text, fits, 2, &index)) return false;
    p->fit = (resnet_fit)index;
    return true;
  case KEY_FILTER:
    if (!read_choice(text, filters, 3, &index)) return false;
    p->filter = (resnet_filter)index;
    return true;
  default:
    if (!read_choice(text, orders, 3, &index)) return false;
    p->order = (resnet_channel_order)index;
    return true;
  }
}

static bool read_value(resnet_preprocess *p, int key, const char *text) {
  switch (key) {
  case KEY_RESIZE:
    return read_size(text, &p->resize_height, &p->resize_width);
  case KEY_CROP:
    return read_size(text, &p->crop_height, &p->crop_width);
  case KEY_SCALE:
    return read_floats(text, 1, &p->scale) && all_positive(&p->scale, 1);
  case KEY_MEAN:
    return read_floats(text, 3, p->mean);
  case KEY_STD:
    return read_floats(text, 3, p->std) && all_positive(p->std, 3);
  case KEY_RATIO:
    return read_ratio(text, &p->resize_ratio);
  default:
    return read_enum(text, key, p);
  }
}

static const char *accepted_values(int key) {
  static const char *const values[KEY_COUNT] = {
      [KEY_RESIZE] = "1 to 65535, HEIGHTxWIDTH, auto or none",
      [KEY_CROP] = "1 to 65535, HEIGHTxWIDTH, auto or none",
      [KEY_ORDER] = "rgb, bgr or grey",
      [KEY_SCALE] = "a number above 0",
      [KEY_MEAN] = "three numbers, or one",
      [KEY_STD] = "three numbers above 0, or one",
      [KEY_FIT] = "crop or stretch",
      [KEY_FILTER] = "bilinear, bicubic or nearest",
      [KEY_RATIO] = "a number from 1 to 16"};
  return values[key];
}

/* Return the index of the key in the first `length` bytes of `word`, or KEY_COUNT. */
static int find_key(const char *word, size_t length) {
  int key = 0;
  while (key < KEY_COUNT && (strlen(keys[key]) != length || strncmp(keys[key], word, length) != 0))
    key++;
  return key;
}

/* Read "key=value" of `length` bytes; *seen has a bit for each key so far. */
static resnet_status read_word(resnet_preprocess *p, const char *word, size_t length,
                               unsigned *seen, resnet_error *error) {
  const size_t end_of_key = strcspn(word, "= ");
  const int shown = length < 60 ? (int)length : 60;
  const int key = word[end_of_key] == '=' ? find_key(word, end_of_key) : KEY_COUNT;
  if (key == KEY_COUNT)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "metadata resnet.preprocess has '%.*s': fit=, filter=, resize=, crop=, ratio=, "
                    "order=, scale=, mean= and std= are accepted",
                    shown, word);
  if (*seen >> key & 1)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "metadata resnet.preprocess has '%.*s': give each key once", shown, word);
  if (!read_value(p, key, word + end_of_key + 1))
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "metadata resnet.preprocess has '%.*s': %s is accepted", shown, word,
                    accepted_values(key));
  *seen |= 1U << key;
  return RESNET_OK;
}

resnet_status metadata_read_preprocess(graph *g, const char *text, resnet_error *error) {
  unsigned seen = 0;
  g->preprocess.resize_ratio = 1;
  for (const char *word = text + strspn(text, " "); *word; word += strspn(word, " ")) {
    const size_t length = strcspn(word, " ");
    const resnet_status status = read_word(&g->preprocess, word, length, &seen, error);
    if (status != RESNET_OK) return status;
    word += length;
  }
  const unsigned needed = (1U << NEEDED_KEYS) - 1;
  if ((seen & needed) != needed)
    return err_fail(
        error, RESNET_ERROR_FORMAT,
        "metadata resnet.preprocess is not complete: resize, crop, order, scale, mean and "
        "std are needed");
  g->has_preprocess = true;
  return RESNET_OK;
}
