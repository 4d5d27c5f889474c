/* Numbers that conclusions, plots and tables derive from a comparison. */
#ifndef RESNET_CLI_COMPARE_DERIVED_H
#define RESNET_CLI_COMPARE_DERIVED_H

#include "cli/compare/comparison.h"

/* Return the median of the values that are not NAN, or NAN if there are none. Reorders
 * the values. */
double compare_median(double *values, size_t count);
double compare_layer_std(const model_summary *n, uint32_t layer);
/* Return the number of layers in Fig. 7: all but a fully connected layer at the end. */
uint32_t compare_figure_layers(const model_summary *n);
double compare_median_layer_std(const model_summary *n); /* over those layers */

/* Return the median ratio of residual branch to shortcut. */
double compare_median_ratio(const model_summary *n);

/* Return the number of dead channels and set *channels to the number of all. */
uint64_t compare_dead_channels(const model_summary *n, uint64_t *channels);

/* Return the error over the ablation images, or NAN if there are none. */
double compare_whole_error(const model_summary *n);
double compare_top1(const model_summary *n);

/* Plain models (`residual` false) or residual ones, least depth first. How many. */
uint32_t compare_models_by_depth(const comparison *c, bool residual, uint32_t *order);

/* Its label, else the folders' name, else "class 7". */
enum { CLASS_NAME_SIZE = 128 };
const char *compare_class_name(const comparison *c, const model_summary *n, uint32_t index,
                               char out[CLASS_NAME_SIZE]);

/* The largest numbers off the diagonal of a confusion matrix, largest first. */
typedef struct confusion_cell {
  uint32_t truth, answer;
  uint64_t images;
} confusion_cell;
size_t compare_largest_confusions(const model_summary *n, confusion_cell *cells, size_t max);

#endif
