#include "cli/classes.h"

#include <ctype.h>
#include <string.h>

#include "cli/dataset.h"
#include "support/error.h"

enum { WORDNET_ID_LENGTH = 9 }; /* 'n' and eight digits */

static int fold(char byte) {
  return byte == '_' || byte == '-' ? ' ' : tolower((unsigned char)byte);
}

static bool same_name(const char *folder, const char *name, size_t length) {
  if (strlen(folder) != length) return false;
  for (size_t i = 0; i < length; i++)
    if (fold(folder[i]) != fold(name[i])) return false;
  return true;
}

static bool begins_with_wordnet_id(const char *label) {
  return label[0] == 'n' && strspn(label + 1, "0123456789") == WORDNET_ID_LENGTH - 1 &&
         (label[WORDNET_ID_LENGTH] == ' ' || label[WORDNET_ID_LENGTH] == '\0');
}

/* Return true if `folder` is a name in a label such as "n01440764 tench, Tinca tinca". */
static bool is_alias(const char *folder, const char *label) {
  if (begins_with_wordnet_id(label)) {
    if (same_name(folder, label, WORDNET_ID_LENGTH)) return true;
    label += WORDNET_ID_LENGTH;
  }
  while (*label) {
    label += strspn(label, " ,");
    size_t length = strcspn(label, ",");
    if (length && same_name(folder, label, length)) return true;
    label += length;
  }
  return false;
}

/* Count the labels that match the folder's name and set *class to the last one. */
static uint32_t find_classes(const char *folder, const resnet_model_info *info, uint32_t *class) {
  uint32_t whole = 0, aliases = 0, alias = 0;
  for (uint32_t i = 0; i < info->classes; i++) {
    const char *label = info->labels[i];
    if (same_name(folder, label, strlen(label))) {
      whole++;
      *class = i;
    } else if (is_alias(folder, label)) {
      aliases++;
      alias = i;
    }
  }
  if (whole) return whole;
  *class = alias;
  return aliases;
}

static bool match_labels(const dataset *d, const resnet_model_info *info, uint32_t *class_of_folder,
                         uint32_t *matched, resnet_error *error) {
  const char *stranger = NULL;
  *matched = 0;
  for (uint32_t i = 0; i < d->folder_count; i++) {
    uint32_t found = find_classes(d->folders[i], info, &class_of_folder[i]);
    if (found > 1)
      return error_set(
          error, RESNET_ERROR_UNSUPPORTED,
          "folder '%.60s' names %u classes: rename it to a complete label, e.g. '%.60s'",
          d->folders[i], found, info->labels[class_of_folder[i]]);
    if (found == 1)
      (*matched)++;
    else
      stranger = d->folders[i];
  }
  if (*matched == 0 || !stranger) return true;
  return error_set(
      error, RESNET_ERROR_UNSUPPORTED,
      "folder '%.60s' is not a label of the model, but %u other%s: rename it to a label, e.g. "
      "'%.60s'",
      stranger, *matched, *matched == 1 ? " is" : "s are", info->labels[0]);
}

bool cli_classes_match(const dataset *d, const loaded_model *m, uint32_t *class_of_folder,
                       const char **how, resnet_error *error) {
  const resnet_model_info *info = &m->info;
  const bool in_order = m->labels_source == LABELS_ASSUMED && d->folder_count == info->classes;
  uint32_t matched = 0;
  *how = "labels";
  const bool ok = !info->labels || match_labels(d, info, class_of_folder, &matched, error);
  if (!ok && !in_order) return false;
  if (ok && matched) return true;
  if (d->folder_count != info->classes)
    return error_set(error, RESNET_ERROR_UNSUPPORTED,
                     "the model has %u classes%s, but the data set has %u folders: use as many "
                     "folders as classes, or name the folders like labels",
                     info->classes,
                     info->labels ? " and no label named like a folder" : " without labels",
                     d->folder_count);
  *how = "folder order";
  for (uint32_t i = 0; i < d->folder_count; i++) class_of_folder[i] = i;
  return true;
}
