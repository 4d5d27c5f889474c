/* The names of classes, from a file that the user names. */
#ifndef RESNET_CLI_LABEL_FILE_H
#define RESNET_CLI_LABEL_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "resnet.h"

typedef struct label_list {
  char **names; /* `count` UTF-8 strings */
  uint32_t count;
} label_list;

/* Read a file of labels; "-" is standard input. Its content decides:
 *   - lines: one label each, or "INDEX LABEL" if all lines begin with an index;
 *   - JSON: ["tench", ...], [["n01440764", "tench"], ...], [[0, "tench"], ...],
 *     [{"id": 0, "name": "tench"}, ...], {"0": "tench", ...},
 *     {"0": ["n01440764", "tench"], ...}, {"tench": 0, ...}, and such a value as member
 *     "id2label" (config.json of Hugging Face), "labels", "classes", "class_names",
 *     "names", "categories" or "label2id".
 * Indices and ids decide the order: 0 to count - 1, each once.
 * A byte order mark, CR and CRLF line ends and empty lines at the end are accepted. On
 * failure the list is empty; the message does not name the file. */
bool cli_label_file_read(const char *path, label_list *labels, resnet_error *error);

/* Fill *labels from text of one label a line, e.g. the names built into the program. */
bool cli_label_file_lines(const char *text, size_t size, label_list *labels, resnet_error *error);

/* Release the names; an empty list is allowed. */
void cli_label_file_release(label_list *labels);

#endif
