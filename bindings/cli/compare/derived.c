/* Numbers of a comparison that sentences, plots and tables ask for: see report.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report/report.h"
#include "cli/terminal.h"

double median_of(double *values, size_t count) {
  size_t known = 0;
  for (size_t i = 0; i < count; i++)
    if (isfinite(values[i])) values[known++] = values[i];
  sort_values(values, known);
  return sorted_median(values, known);
}

double layer_std(const net_summary *n, uint32_t layer) {
  return n->responses[n->layers[layer]].std;
}

uint32_t figure_layers(const net_summary *n) {
  if (n->layer_count == 0) return 0;
  uint32_t op = n->responses[n->layers[n->layer_count - 1]].op;
  bool connects_all =
      op < n->plan.op_count && n->plan.ops[op].height == 1 && n->plan.ops[op].width == 1;
  return n->layer_count - connects_all;
}

double median_layer_std(const net_summary *n) {
  uint32_t count = figure_layers(n);
  double *values = allocate(count, sizeof *values);
  for (uint32_t i = 0; i < count; i++) values[i] = layer_std(n, i);
  double median = median_of(values, count);
  free(values);
  return median;
}

double median_ratio(const net_summary *n) {
  double *values = allocate(n->plan.block_count, sizeof *values);
  size_t count = 0;
  for (uint32_t i = 0; n->blocks && i < n->plan.block_count; i++)
    if (has_shortcut(&n->plan, i)) values[count++] = n->blocks[i].ratio;
  double median = median_of(values, count);
  free(values);
  return median;
}

uint64_t dead_channels(const net_summary *n, uint64_t *channels) {
  uint64_t dead = 0;
  *channels = 0;
  for (uint32_t i = 0; i < n->layer_count; i++) {
    dead += n->responses[n->layers[i]].dead;
    *channels += n->responses[n->layers[i]].channels;
  }
  return dead;
}

double whole_error(const net_summary *n) { return 1 - share(n->lesion_top1, n->lesion_images); }

double top1_of(const net_summary *n) { return share(n->top1, n->images); }

uint32_t nets_by_depth(const comparison *c, bool residual, uint32_t *order) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < c->net_count; i++) {
    if (c->nets[i].residual != residual) continue;
    uint32_t at = count++;
    for (; at > 0 &&
           c->nets[order[at - 1]].model.info.conv_layers > c->nets[i].model.info.conv_layers;
         at--)
      order[at] = order[at - 1];
    order[at] = i;
  }
  return count;
}

const char *class_name(const comparison *c, const net_summary *n, uint32_t index,
                       char out[CLASS_NAME_SIZE]) {
  const resnet_model_info *info = &n->model.info;
  const char *name = info->labels && index < info->classes ? info->labels[index] : NULL;
  for (uint32_t i = 0; !name && n->class_of_folder && i < c->data.folder_count; i++)
    if (n->class_of_folder[i] == index) name = c->data.folders[i];
  if (name)
    (void)snprintf(out, CLASS_NAME_SIZE, "%.*s", CLASS_NAME_SIZE - 1, name);
  else
    (void)snprintf(out, CLASS_NAME_SIZE, "class %u", index);
  return out;
}

size_t largest_confusions(const net_summary *n, confusion_cell *cells, size_t most) {
  size_t classes = n->model.info.classes, count = 0;
  for (size_t i = 0; n->confusion && i < classes * classes; i++) {
    uint64_t pictures = n->confusion[i];
    if (pictures == 0 || i / classes == i % classes) continue;
    if (count == most && pictures <= cells[count - 1].pictures) continue;
    size_t at = count < most ? count++ : count - 1;
    for (; at > 0 && cells[at - 1].pictures < pictures; at--) cells[at] = cells[at - 1];
    cells[at] = (confusion_cell){(uint32_t)(i / classes), (uint32_t)(i % classes), pictures};
  }
  return count;
}
