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

enum { MAX_LABELS = 1000000, MAX_DIGITS = 9 };
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

/* Return the length of the line's index and the space behind it; 0: the line has none. */
static size_t find_index(const char *line, uint32_t *index) {
  const size_t digits = strspn(line, "0123456789");
  const size_t space = strspn(line + digits, " \t:,;");
  if (digits == 0 || digits > MAX_DIGITS || space == 0 || !line[digits + space]) return 0;
  *index = (uint32_t)strtoul(line, NULL, 10);
  return digits + space;
}

/* Return the first line without an index, or labels->count. */
static uint32_t find_unnumbered(const label_list *labels, uint32_t start, bool *ascending) {
  uint32_t index, before = 0, i = start;
  *ascending = true;
  for (; i < labels->count && find_index(labels->names[i], &index); i++) {
    *ascending &= index >= before;
    before = index;
  }
  return i;
}

/* Remove the indices and sort the names by them. Return false, and set *line to the first
 * wrong line, if they are not 0 to count - 1, each once. */
static bool sort_by_index(label_list *labels, uint32_t *line) {
  char **sorted = cli_allocate(labels->count, sizeof *sorted);
  uint32_t index = 0;
  for (*line = 0; *line < labels->count; ++*line) {
    (void)find_index(labels->names[*line], &index);
    if (index >= labels->count || sorted[index]) break;
    sorted[index] = labels->names[*line];
  }
  if (*line < labels->count) {
    free(sorted);
    return false;
  }
  for (uint32_t i = 0; i < labels->count; i++) {
    const size_t length = find_index(sorted[i], &index);
    memmove(sorted[i], sorted[i] + length, strlen(sorted[i] + length) + 1);
  }
  free(labels->names);
  labels->names = sorted;
  return true;
}

/* Use the indices if every line begins with one. Numbers that only ascend, such as those
 * of banknotes, can belong to the names: the order is the same either way. */
static bool use_indices(label_list *labels, resnet_error *error) {
  bool ascending;
  uint32_t line, index = 0;
  if (find_unnumbered(labels, 0, &ascending) < labels->count) {
    const bool header = labels->count > 2 && !find_index(labels->names[0], &index) &&
                        find_unnumbered(labels, 1, &ascending) == labels->count &&
                        find_index(labels->names[1], &index) && index == 0;
    return !header || error_set(error, RESNET_ERROR_FORMAT,
                                "line 1 has no index, but each other line has: remove the heading");
  }
  if (sort_by_index(labels, &line) || ascending) return true;
  (void)find_index(labels->names[line], &index);
  return error_set(
      error, RESNET_ERROR_FORMAT,
      "line %u has the index %u: indices from 0 to %u, each once, are accepted; if the "
      "numbers belong to the names, write a JSON list",
      line + 1, index, labels->count - 1);
}

static bool check_lines(const label_list *labels, resnet_error *error) {
  uint32_t comments = 0;
  if (labels->count == 0) return error_set(error, RESNET_ERROR_FORMAT, "holds no label");
  for (uint32_t i = 0; i < labels->count; i++) {
    if (!labels->names[i][0])
      return error_set(error, RESNET_ERROR_FORMAT,
                       "line %u is blank: one name a line is accepted; remove the blank line",
                       i + 1);
    comments += labels->names[i][0] == '#';
  }
  if (labels->names[0][0] != '#' || comments == labels->count) return true;
  return error_set(error, RESNET_ERROR_FORMAT,
                   "line 1 is a comment: one name a line is accepted; remove the comment");
}

/* Append the line without the spaces around it. */
static void append_line(label_list *labels, size_t *capacity, const char *line, size_t length) {
  while (length > 0 && strchr(" \t", line[length - 1])) length--;
  while (length > 0 && strchr(" \t", *line)) line++, length--;
  labels->names = cli_grow(labels->names, labels->count, capacity, sizeof *labels->names);
  labels->names[labels->count++] = copy_part(line, length);
}

bool cli_label_file_lines(const char *text, size_t size, label_list *labels, resnet_error *error) {
  size_t capacity = 0;
  bool ok = true;
  *labels = (label_list){0};
  while (size > 0 && strchr(" \t\r\n", text[size - 1])) size--;
  for (size_t at = 0; at < size && ok;) {
    size_t length = 0;
    while (at + length < size && text[at + length] != '\n' && text[at + length] != '\r') length++;
    append_line(labels, &capacity, text + at, length);
    at += length;
    at += at + 1 < size && text[at] == '\r' && text[at + 1] == '\n' ? 2 : 1;
    if (labels->count > MAX_LABELS)
      ok = error_set(error, RESNET_ERROR_LIMIT, "has more than %d lines", MAX_LABELS);
  }
  ok = ok && check_lines(labels, error) && use_indices(labels, error);
  if (!ok) cli_label_file_release(labels);
  return ok;
}

/* ---- JSON ---- */

/* Return the name that a value holds: a string, or the last string of a list such as
 * ["n01440764", "tench"], or a member "name", "label" or "title". */
static const char *name_of(const json_value *value) {
  if (value->kind == JSON_STRING) return value->text;
  const json_value *last = NULL;
  if (value->kind == JSON_LIST)
    for (const json_value *child = value->first; child; child = child->next) last = child;
  if (!last) last = json_member(value, "name");
  if (!last) last = json_member(value, "label");
  if (!last) last = json_member(value, "title");
  return last && last->kind == JSON_STRING ? last->text : NULL;
}

static bool parse_index(const char *text, size_t count, uint32_t *index) {
  char *end;
  const unsigned long parsed = strtoul(text, &end, 10);
  if (*text < '0' || *text > '9' || *end || parsed >= count) return false;
  *index = (uint32_t)parsed;
  return true;
}

/* Return the text of a value that is a number, or digits in quotes; otherwise NULL. */
static const char *number_of(const json_value *value) {
  if (!value) return NULL;
  if (value->kind == JSON_NUMBER) return value->text;
  const bool digits = value->kind == JSON_STRING && *value->text &&
                      value->text[strspn(value->text, "0123456789")] == '\0';
  return digits ? value->text : NULL;
}

/* Return the index that an element of a list states: 9 of {"id": 9, "name": "ostrich"} or
 * [9, "ostrich"]. NULL: none, its position is its index. */
static const char *stated_index(const json_value *element) {
  if (element->kind == JSON_LIST) return element->count > 1 ? number_of(element->first) : NULL;
  const char *id = number_of(json_member(element, "id"));
  return id ? id : number_of(json_member(element, "index"));
}

/* A label as its entry in the document gives it. */
typedef struct label_entry {
  const char *name;  /* NULL: the entry is no label */
  const char *index; /* NULL: its position */
} label_entry;

static label_entry read_entry(const json_value *parent, const json_value *child) {
  if (parent->kind == JSON_LIST) return (label_entry){name_of(child), stated_index(child)};
  if (child->kind == JSON_NUMBER) return (label_entry){child->key, child->text};
  return (label_entry){name_of(child), child->key};
}

static bool refuse_entry(const json_value *parent, const json_value *child, uint32_t position,
                         resnet_error *error) {
  return error_set(error, RESNET_ERROR_FORMAT,
                   "entry %u%s%.60s is no label: a name, {\"0\": name} with indices from 0 to "
                   "%zu, or {name: 0} is accepted",
                   position, child->key ? ", key " : "", child->key ? child->key : "",
                   parent->count - 1);
}

/* Return the index of an entry. In a list either each element states one or none does. */
static bool find_entry_index(const json_value *parent, const json_value *child,
                             const label_entry *entry, uint32_t position, uint32_t *index,
                             resnet_error *error) {
  *index = position;
  if (parent->kind != JSON_LIST)
    return parse_index(entry->index, parent->count, index) ||
           refuse_entry(parent, child, position, error);
  if (!entry->index != !stated_index(parent->first))
    return error_set(error, RESNET_ERROR_FORMAT,
                     "entry %u has %s id, unlike entry 0: give each name its id, or none", position,
                     entry->index ? "an" : "no");
  return !entry->index || parse_index(entry->index, parent->count, index) ||
         error_set(error, RESNET_ERROR_FORMAT,
                   "entry %u has the id %.20s: ids from 0 to %zu, each once, are accepted",
                   position, entry->index, parent->count - 1);
}

static bool read_members(const json_value *parent, label_list *labels, resnet_error *error) {
  labels->count = (uint32_t)parent->count;
  labels->names = cli_allocate(parent->count, sizeof *labels->names);
  uint32_t position = 0;
  for (const json_value *child = parent->first; child; child = child->next, position++) {
    uint32_t index;
    const label_entry entry = read_entry(parent, child);
    if (!entry.name) return refuse_entry(parent, child, position, error);
    if (!find_entry_index(parent, child, &entry, position, &index, error)) return false;
    if (labels->names[index])
      return error_set(error, RESNET_ERROR_FORMAT, "names class %u twice", index);
    labels->names[index] = cli_copy_text(entry.name);
  }
  return true;
}

/* Return the list or object of labels within a document. */
static const json_value *find_labels(const json_value *document) {
  static const char *const keys[] = {"id2label", "labels",     "classes", "class_names",
                                     "names",    "categories", "label2id"};
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
