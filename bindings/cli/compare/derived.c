#include "cli/compare/derived.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/compare/comparison.h"
#include "cli/memory.h"
#include "cli/plan.h"
#include "support/statistics.h"

double compare_median(double *values, size_t count) {
  size_t known = 0;
  for (size_t i = 0; i < count; i++)
    if (isfinite(values[i])) values[known++] = values[i];
  stats_sort(values, known);
  return stats_sorted_median(values, known);
}

double compare_layer_std(const model_summary *n, uint32_t layer) {
  return n->responses[n->layers[layer]].std;
}

uint32_t compare_figure_layers(const model_summary *n) {
  if (n->layer_count == 0) return 0;
  uint32_t op = n->responses[n->layers[n->layer_count - 1]].op;
  bool connects_all =
      op < n->plan.op_count && n->plan.ops[op].height == 1 && n->plan.ops[op].width == 1;
  return n->layer_count - connects_all;
}

double *compare_list_layer_stds(const model_summary *n, size_t *count) {
  *count = compare_figure_layers(n);
  double *values = cli_allocate(*count, sizeof *values);
  for (uint32_t i = 0; i < *count; i++) values[i] = compare_layer_std(n, i);
  return values;
}

double compare_median_layer_std(const model_summary *n) {
  size_t count;
  double *values = compare_list_layer_stds(n, &count);
  const double median = compare_median(values, count);
  free(values);
  return median;
}

double *compare_list_ratios(const model_summary *n, size_t *count) {
  double *values = cli_allocate(n->plan.block_count, sizeof *values);
  *count = 0;
  for (uint32_t i = 0; n->blocks && i < n->plan.block_count; i++)
    if (cli_plan_has_shortcut(&n->plan, i)) values[(*count)++] = n->blocks[i].ratio;
  return values;
}

double compare_median_ratio(const model_summary *n) {
  size_t count;
  double *values = compare_list_ratios(n, &count);
  const double median = compare_median(values, count);
  free(values);
  return median;
}

uint64_t compare_dead_channels(const model_summary *n, uint64_t *channels) {
  uint64_t dead = 0;
  *channels = 0;
  for (uint32_t i = 0; i < n->layer_count; i++) {
    dead += n->responses[n->layers[i]].dead;
    *channels += n->responses[n->layers[i]].channels;
  }
  return dead;
}

double compare_whole_error(const model_summary *n) {
  return 1 - stats_share(n->ablation_top1, n->ablation_images);
}

double compare_top1(const model_summary *n) { return stats_share(n->top1, n->images); }

uint32_t compare_models_by_depth(const comparison *c, bool residual, uint32_t *order) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < c->model_count; i++) {
    if (c->models[i].residual != residual) continue;
    uint32_t at = count++;
    for (; at > 0 &&
           c->models[order[at - 1]].loaded.info.conv_layers > c->models[i].loaded.info.conv_layers;
         at--)
      order[at] = order[at - 1];
    order[at] = i;
  }
  return count;
}

const char *compare_date(const comparison *c, char out[COMPARE_DATE_SIZE]) {
  struct tm utc;
  if (!gmtime_r(&c->started, &utc) ||
      strftime(out, COMPARE_DATE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
    (void)snprintf(out, COMPARE_DATE_SIZE, "unknown");
  return out;
}

const char *compare_class_name(const comparison *c, const model_summary *n, uint32_t index,
                               char out[CLASS_NAME_SIZE]) {
  const resnet_model_info *info = &n->loaded.info;
  const char *name = info->labels && index < info->classes ? info->labels[index] : NULL;
  for (uint32_t i = 0; !name && n->class_of_folder && i < c->data.folder_count; i++)
    if (n->class_of_folder[i] == index) name = c->data.folders[i];
  if (name)
    (void)snprintf(out, CLASS_NAME_SIZE, "%.*s", CLASS_NAME_SIZE - 1, name);
  else
    (void)snprintf(out, CLASS_NAME_SIZE, "class %u", index);
  return out;
}

size_t compare_largest_confusions(const model_summary *n, confusion_cell *cells, size_t max) {
  size_t classes = n->loaded.info.classes, count = 0;
  for (size_t i = 0; n->confusion && i < classes * classes; i++) {
    uint64_t images = n->confusion[i];
    if (images == 0 || i / classes == i % classes) continue;
    if (count == max && images <= cells[count - 1].images) continue;
    size_t at = count < max ? count++ : count - 1;
    for (; at > 0 && cells[at - 1].images < images; at--) cells[at] = cells[at - 1];
    cells[at] = (confusion_cell){(uint32_t)(i / classes), (uint32_t)(i % classes), images};
  }
  return count;
}
