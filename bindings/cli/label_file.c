#include "cli/label_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "cli/standard_input.h"
#include "support/error.h"
#include "support/image.h"
#include "support/json_read.h"
#include "support/utf8.h"

enum { MAX_LABELS = 1000000 };
#define MAX_BYTES ((size_t)64 << 20)

void cli_label_file_release(label_list *labels) {
  for (uint32_t i = 0; i < labels->count; i++) free(labels->names[i]);
  free(labels->names);
  *labels = (label_list){0};
}

static char *copy_part(const char *text, size_t length) {
  char *out = cli_allocate(length + 1, 1);
  memcpy(out, text, length);
  return out;
}

/* ---- lines ---- */

/* Return the length of the line's index and the space behind it, or 0. */
static size_t index_length(const char *line, uint32_t index) {
  char wanted[16];
  const int length = snprintf(wanted, sizeof wanted, "%u", index);
  if (strncmp(line, wanted, (size_t)length) != 0) return 0;
  const size_t space = strspn(line + length, " \t:,;");
  return space && line[(size_t)length + space] ? (size_t)length + space : 0;
}

/* Remove the indices if every line begins with its own. */
static void remove_indices(label_list *labels) {
  for (uint32_t i = 0; i < labels->count; i++)
    if (index_length(labels->names[i], i) == 0) return;
  for (uint32_t i = 0; i < labels->count; i++) {
    char *name = labels->names[i];
    const size_t length = index_length(name, i);
    memmove(name, name + length, strlen(name + length) + 1);
  }
}

bool cli_label_file_lines(const char *text, size_t size, label_list *labels, resnet_error *error) {
  size_t capacity = 0;
  *labels = (label_list){0};
  while (size > 0 && strchr(" \t\r\n", text[size - 1])) size--;
  for (size_t at = 0; at < size;) {
    const char *end = memchr(text + at, '\n', size - at);
    size_t length = end ? (size_t)(end - text) - at : size - at;
    const size_t next = at + length + 1;
    if (length > 0 && text[at + length - 1] == '\r') length--;
    labels->names = cli_grow(labels->names, labels->count, &capacity, sizeof *labels->names);
    labels->names[labels->count++] = copy_part(text + at, length);
    at = next;
    if (labels->count < MAX_LABELS) continue;
    cli_label_file_release(labels);
    return error_set(error, RESNET_ERROR_LIMIT, "has more than %d lines", MAX_LABELS);
  }
  if (labels->count == 0) return error_set(error, RESNET_ERROR_FORMAT, "holds no label");
  remove_indices(labels);
  return true;
}

/* ---- JSON ---- */

/* Return the name that a value holds: a string, or the last string of a list such as
 * ["n01440764", "tench"], or a member "name" or "label". */
static const char *name_of(const json_value *value) {
  if (value->kind == JSON_STRING) return value->text;
  const json_value *last = NULL;
  if (value->kind == JSON_LIST)
    for (const json_value *child = value->first; child; child = child->next) last = child;
  if (!last) last = json_member(value, "name");
  if (!last) last = json_member(value, "label");
  return last && last->kind == JSON_STRING ? last->text : NULL;
}

static bool parse_index(const char *text, size_t count, uint32_t *index) {
  char *end;
  const unsigned long parsed = strtoul(text, &end, 10);
  if (*text < '0' || *text > '9' || *end || parsed >= count) return false;
  *index = (uint32_t)parsed;
  return true;
}

/* Return the index and the name of a member of a list or an object. */
static bool read_member(const json_value *parent, const json_value *child, uint32_t position,
                        uint32_t *index, const char **name) {
  *index = position;
  *name = name_of(child);
  if (parent->kind == JSON_LIST) return *name != NULL;
  if (child->kind == JSON_NUMBER) {
    *name = child->key;
    return parse_index(child->text, parent->count, index);
  }
  return *name && parse_index(child->key, parent->count, index);
}

static bool read_members(const json_value *parent, label_list *labels, resnet_error *error) {
  labels->count = (uint32_t)parent->count;
  labels->names = cli_allocate(parent->count, sizeof *labels->names);
  uint32_t position = 0;
  for (const json_value *child = parent->first; child; child = child->next, position++) {
    uint32_t index;
    const char *name;
    if (!read_member(parent, child, position, &index, &name))
      return error_set(error, RESNET_ERROR_FORMAT,
                       "entry %u%s%.60s is no label: a name, {\"0\": name} with indices from 0 to "
                       "%zu, or {name: 0} is accepted",
                       position, child->key ? ", key " : "", child->key ? child->key : "",
                       parent->count - 1);
    if (labels->names[index])
      return error_set(error, RESNET_ERROR_FORMAT, "names class %u twice", index);
    labels->names[index] = cli_copy_text(name);
  }
  return true;
}

/* Return the list or object of labels within a document. */
static const json_value *find_labels(const json_value *document) {
  static const char *const keys[] = {"id2label", "label2id", "labels", "classes", "names"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const json_value *found = json_member(document, keys[i]);
    if (found && (found->kind == JSON_LIST || found->kind == JSON_OBJECT) && found->count)
      return found;
  }
  return document;
}

static bool read_json(const char *text, size_t size, label_list *labels, resnet_error *error) {
  json_value *document = json_read(text, size, error);
  if (!document) return false;
  const json_value *found = find_labels(document);
  bool ok = found->count > 0 && found->count <= MAX_LABELS;
  if (!ok)
    (void)error_set(error, RESNET_ERROR_FORMAT, "holds no labels, or more than %d", MAX_LABELS);
  ok = ok && read_members(found, labels, error);
  json_release(document);
  if (!ok) cli_label_file_release(labels);
  return ok;
}

/* ---- both ---- */

static bool check_text(const char *text, size_t size, resnet_error *error) {
  for (size_t at = 0; at < size;) {
    const unsigned length = text[at] ? utf8_length(text + at) : 0;
    if (length == 0)
      return error_set(error, RESNET_ERROR_FORMAT,
                       "is not UTF-8 text, at byte %zu: save it as UTF-8", at);
    at += length;
  }
  return true;
}

static bool read_bytes(const char *path, uint8_t **bytes, size_t *size, resnet_error *error) {
  return cli_is_standard_input(path) ? cli_standard_input_read(MAX_BYTES, bytes, size, error)
                                     : image_read_bytes(path, MAX_BYTES, bytes, size, error);
}

bool cli_label_file_read(const char *path, label_list *labels, resnet_error *error) {
  uint8_t *bytes;
  size_t size;
  *labels = (label_list){0};
  if (!read_bytes(path, &bytes, &size, error)) return false;
  char *text = copy_part((const char *)bytes, size); /* ends with NUL */
  free(bytes);
  const size_t mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  const size_t space = strspn(text + mark, " \t\r\n");
  const char first = text[mark + space];
  bool ok = check_text(text + mark, size - mark, error);
  ok = ok && (first == '[' || first == '{'
                  ? read_json(text + mark, size - mark, labels, error)
                  : cli_label_file_lines(text + mark, size - mark, labels, error));
  free(text);
  return ok;
}
