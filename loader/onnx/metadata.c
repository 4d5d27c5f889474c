#include "loader/onnx/metadata.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "loader/onnx/onnx_parse.h"

/* ---- labels: one per line ---------------------------------------------------------- */

static uint32_t count_lines(const char *text) {
  uint32_t count = 1;
  for (; *text && count < UINT32_MAX; text++) count += *text == '\n';
  return count;
}

static resnet_status check_label_count(const graph *g, uint32_t count, resnet_error *error) {
  const uint32_t classes = graph_class_count(g->scores, g->nodes[g->output].shape.c);
  if (count == classes || (count == 1 && graph_is_binary(g->scores))) return RESNET_OK;
  return err_fail(
      error, RESNET_ERROR_FORMAT,
      "metadata resnet.labels has %u line%s, the model %u class%s: write one label a line for each "
      "class",
      count, count == 1 ? "" : "s", classes, classes == 1 ? "" : "es");
}

/* Append the label in text[0..length), after `prefix`. */
static resnet_status add_label(graph *g, const char *prefix, const char *text, size_t length,
                               resnet_error *error) {
  const size_t before = strlen(prefix);
  char *label = mem_allocate(g->memory, before + length + 1, 1);
  if (!label) return err_no_memory(error, "the labels");
  memcpy(label, prefix, before);
  memcpy(label + before, text, length);
  g->labels[g->label_count++] = label;
  return RESNET_OK;
}

/* Read a label for each class. If one score gives two classes, a single label is that of
 * class 1. An embedding has no classes: then the labels belong to another tensor. */
static resnet_status read_labels(graph *g, const char *text, resnet_error *error) {
  const uint32_t count = count_lines(text);
  if (g->scores == RESNET_SCORES_EMBEDDING) graph_take_as_classes(g, count);
  if (g->scores == RESNET_SCORES_EMBEDDING) return RESNET_OK;
  resnet_status status = check_label_count(g, count, error);
  if (status != RESNET_OK) return status;
  g->labels = mem_allocate(g->memory, count + 1, sizeof(char *));
  if (!g->labels) return err_no_memory(error, "the labels");
  if (count == 1 && graph_is_binary(g->scores))
    status = add_label(g, "not ", text, strlen(text), error);
  for (uint32_t i = 0; i < count && status == RESNET_OK; i++) {
    const size_t length = strcspn(text, "\n");
    status = add_label(g, "", text, length, error);
    text += length + (text[length] == '\n');
  }
  return status;
}

/* ---- preprocessing ----------------------------------------------------------------- */

/* "resize=32 crop=32 order=rgb scale=255 mean=0.49,0.48,0.44 std=0.24,0.24,0.26" */

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

static bool read_floats(const char *text, size_t count, float *floats) {
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && *text++ != ',') return false;
    if (!read_number(&text, &floats[i])) return false;
  }
  return ends_word(*text);
}

/* Read a number of pixels for both sides, or "none". */
static bool read_size(const char *text, uint32_t *height, uint32_t *width) {
  *height = *width = RESNET_SIZE_NONE;
  if (strncmp(text, "none", 4) == 0 && ends_word(text[4])) return true;
  uint32_t size = 0;
  for (; *text >= '0' && *text <= '9' && size <= 65535; text++)
    size = size * 10 + (uint32_t)(*text - '0');
  *height = *width = size;
  return ends_word(*text) && size >= 1 && size <= 65535;
}

static bool read_order(const char *text, resnet_channel_order *order) {
  *order = strncmp(text, "bgr", 3) == 0 ? RESNET_ORDER_BGR : RESNET_ORDER_RGB;
  return (strncmp(text, "bgr", 3) == 0 || strncmp(text, "rgb", 3) == 0) && ends_word(text[3]);
}

static bool all_positive(const float *numbers, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!(numbers[i] > 0)) return false;
  return true;
}

static const char *const keys[] = {"resize", "crop", "order", "scale", "mean", "std"};
enum { KEY_RESIZE, KEY_CROP, KEY_ORDER, KEY_SCALE, KEY_MEAN, KEY_STD, KEY_COUNT };

static bool read_value(resnet_preprocess *p, int key, const char *text) {
  switch (key) {
  case KEY_RESIZE:
    return read_size(text, &p->resize_height, &p->resize_width);
  case KEY_CROP:
    return read_size(text, &p->crop_height, &p->crop_width);
  case KEY_ORDER:
    return read_order(text, &p->order);
  case KEY_SCALE:
    return read_floats(text, 1, &p->scale) && all_positive(&p->scale, 1);
  case KEY_MEAN:
    return read_floats(text, 3, p->mean);
  default:
    return read_floats(text, 3, p->std) && all_positive(p->std, 3);
  }
}

/* Return the index of the key in the first `length` bytes of `word`, or KEY_COUNT. */
static int find_key(const char *word, size_t length) {
  int key = 0;
  while (key < KEY_COUNT && (strlen(keys[key]) != length || strncmp(keys[key], word, length) != 0))
    key++;
  return key;
}

static resnet_status read_preprocess(graph *g, const char *text, resnet_error *error) {
  unsigned seen = 0;
  for (const char *word = text + strspn(text, " "); *word; word += strspn(word, " ")) {
    size_t length = strcspn(word, "= "), end = strcspn(word, " ");
    int shown = end < 60 ? (int)end : 60,
        key = word[length] == '=' ? find_key(word, length) : KEY_COUNT;
    if (key == KEY_COUNT)
      return err_fail(error, RESNET_ERROR_FORMAT,
                      "metadata resnet.preprocess has '%.*s': resize=, crop=, order=, scale=, "
                      "mean= and std= are accepted",
                      shown, word);
    if (seen >> key & 1 || !read_value(&g->preprocess, key, word + length + 1))
      return err_fail(
          error, RESNET_ERROR_FORMAT,
          "metadata resnet.preprocess has '%.*s': give each key once: resize and crop 1 to 65535 "
          "or none; order rgb or bgr; scale one number, mean and std three; scale and std above 0",
          shown, word);
    seen |= 1U << key;
    word += end;
  }
  if (seen != (1U << KEY_COUNT) - 1)
    return err_fail(
        error, RESNET_ERROR_FORMAT,
        "metadata resnet.preprocess is not complete: resize, crop, order, scale, mean and "
        "std are needed");
  g->has_preprocess = true;
  return RESNET_OK;
}

/* ---- names ------------------------------------------------------------------------- */

static resnet_status read_names(graph *g, const Onnx__ModelProto *model, resnet_error *error) {
  const char *name = onnx_text(model->graph->name), *producer = onnx_text(model->producer_name);
  const char *version = onnx_text(model->producer_version);
  size_t length = strlen(producer), version_length = strlen(version);
  g->opset = (uint32_t)onnx_opset(model);
  g->name = mem_copy_string(g->memory, name, strlen(name));
  g->producer = mem_allocate(g->memory, length + version_length + 2, 1);
  if (!g->name || !g->producer) return err_no_memory(error, "the model's name");
  memcpy(g->producer, producer, length);
  if (length && version_length) g->producer[length++] = ' ';
  memcpy(g->producer + length, version, version_length);
  return RESNET_OK;
}

static const char *find_property(const Onnx__ModelProto *model, const char *key) {
  for (size_t i = 0; i < model->n_metadata_props; i++)
    if (strcmp(onnx_text(model->metadata_props[i]->key), key) == 0)
      return onnx_text(model->metadata_props[i]->value);
  return NULL;
}

resnet_status metadata_read(graph *g, const Onnx__ModelProto *model, resnet_error *error) {
  const char *labels = find_property(model, "resnet.labels");
  const char *preprocess = find_property(model, "resnet.preprocess");
  resnet_status status = read_names(g, model, error);
  if (status == RESNET_OK && labels) status = read_labels(g, labels, error);
  if (status == RESNET_OK && preprocess) status = read_preprocess(g, preprocess, error);
  return status;
}
