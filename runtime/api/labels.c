#include "runtime/api/labels.h"

#include <string.h>

static const char background[] = "background", negated[] = "not ";
enum { IMAGENET_CLASSES = 1000 };

void model_release_labels(resnet_model *model) {
  for (uint32_t i = 0; i < model->label_count; i++) mem_release(model->memory, model->labels[i]);
  mem_release(model->memory, model->labels);
  model->labels = NULL;
  model->label_count = 0;
}

static resnet_status check_labels(const char *const *labels, uint32_t count, uint32_t classes,
                                  resnet_error *error) {
  if (classes == 0)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "options.labels: the model has no classes, its output is an embedding: leave "
                    "labels at NULL");
  if (!labels)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "options.label_count is %u, but options.labels is NULL", count);
  const bool completed = count + 1 == classes && (count == 1 || count == IMAGENET_CLASSES);
  if (count != classes && !completed)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "options.label_count is %u, but the model has %u classes: give one label for "
                    "each class",
                    count, classes);
  for (uint32_t i = 0; i < count; i++)
    if (!labels[i])
      return err_fail(error, RESNET_ERROR_ARGUMENT,
                      "options.labels[%u] is NULL: use \"\" for a class without a name", i);
  return RESNET_OK;
}

/* Return a copy of `prefix` and `label` together, or NULL without memory. */
static char *joined(memory *m, const char *prefix, const char *label) {
  const size_t before = strlen(prefix), length = strlen(label);
  char *text = mem_allocate(m, before + length + 1, 1);
  if (!text) return NULL;
  memcpy(text, prefix, before);
  memcpy(text + before, label, length + 1);
  return text;
}

/* Return the label of class `index`; `missing` is the number of labels to complete. */
static char *class_label(memory *m, const char *const *labels, uint32_t index, uint32_t missing,
                         uint32_t classes) {
  if (index >= missing) return joined(m, "", labels[index - missing]);
  return classes == 2 ? joined(m, negated, labels[0]) : joined(m, background, "");
}

resnet_status model_set_labels(resnet_model *model, const char *const *labels, uint32_t count,
                               uint32_t classes, resnet_error *error) {
  resnet_status status = check_labels(labels, count, classes, error);
  if (status != RESNET_OK) return status;
  model_release_labels(model);
  model->labels_replaced = true;
  model->labels = mem_allocate(model->memory, classes, sizeof *model->labels);
  if (!model->labels) return err_no_memory(error, "the labels");
  for (; model->label_count < classes; model->label_count++) {
    char *label = class_label(model->memory, labels, model->label_count, classes - count, classes);
    if (!label) return err_no_memory(error, "the labels");
    model->labels[model->label_count] = label;
  }
  return RESNET_OK;
}
