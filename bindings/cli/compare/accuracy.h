/* Accuracy, calibration and pairs, computed from the results of each image. */
#ifndef RESNET_CLI_COMPARE_ACCURACY_H
#define RESNET_CLI_COMPARE_ACCURACY_H

#include "cli/compare/comparison.h"

/* Fill the accuracy of every model from its results. */
void compare_accuracy(comparison *c);

/* Fill the pairs of models. */
void compare_pairs(comparison *c);

/* Return the folder of c->data that holds class `best`, or folder_count if none does. */
uint32_t compare_predicted_folder(const comparison *c, const model_summary *model, uint32_t best);

#endif
