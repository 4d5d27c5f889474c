/* Numbers that conclusions, plots and tables derive from a comparison. */
#ifndef RESNET_CLI_COMPARE_DERIVED_H
#define RESNET_CLI_COMPARE_DERIVED_H

#include "cli/compare/comparison.h"

/* Return the median of the values that are not NAN, or NAN if there are none. Reorders
 * the values. */
double compare_median(double *values, size_t count);
double compare_layer_std(const model_summary *n, uint32_t layer);

/* Return the number of layers in the paper's figure 7: all except a final fully connected
 * layer. */
uint32_t compare_figure_layers(const model_summary *n);

/* Return the standard deviations of the layers of figure 7, for the caller to free. */
double *compare_list_layer_stds(const model_summary *n, size_t *count);

/* Return the median standard deviation over the layers of figure 7. */
double compare_median_layer_std(const model_summary *n);

/* Return the ratios of residual branch to shortcut of all blocks that have a shortcut,
 * for the caller to free. */
double *compare_list_ratios(const model_summary *n, size_t *count);

/* Return the median ratio of residual branch to shortcut. */
double compare_median_ratio(const model_summary *n);

/* Return the number of dead channels, and set *channels to the number of all channels. */
uint64_t compare_dead_channels(const model_summary *n, uint64_t *channels);

/* Return the error of the whole model over the ablation images, or NAN if there are
 * none. */
double compare_whole_error(const model_summary *n);
double compare_top1(const model_summary *n);

/* Fill `order` with the indices of the residual models, or of the plain ones, by
 * increasing depth. Return their number. */
uint32_t compare_models_by_depth(const comparison *c, bool residual, uint32_t *order);

enum { CLASS_NAME_SIZE = 128, COMPARE_DATE_SIZE = 32 };

/* Write the start of the command as "2026-11-29T19:31:23Z" to `out`. Return `out`. */
const char *compare_date(const comparison *c, char out[COMPARE_DATE_SIZE]);

/* Return the label of a class, or its folder's name, or "class 7". */
const char *compare_class_name(const comparison *c, const model_summary *n, uint32_t index,
                               char out[CLASS_NAME_SIZE]);

typedef struct confusion_cell {
  uint32_t truth, answer;
  uint64_t images;
} confusion_cell;

/* Find the largest numbers off the diagonal of the confusion matrix, largest first.
 * Return how many there are, at most `max`. */
size_t compare_largest_confusions(const model_summary *n, confusion_cell *cells, size_t max);

#endif
