#include "loader/onnx/metadata.h"

#include <string.h>

#include "loader/onnx/metadata_preprocess.h"
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
  if (status == RESNET_OK && preprocess) status = metadata_read_preprocess(g, preprocess, error);
  return status;
}
