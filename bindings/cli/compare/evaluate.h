/* Evaluation of all images by all models. */
#ifndef RESNET_CLI_COMPARE_EVALUATE_H
#define RESNET_CLI_COMPARE_EVALUATE_H

#include "cli/compare/comparison.h"
#include "cli/compare/layer_responses.h"

/* Label all images with all models. Fill failures, seconds, and the results and responses
 * of each model. An image that cannot be read, or that a model refuses, is a failure and
 * counts for no model. `maps`: by model. On failure print the reason. */
bool compare_evaluate(comparison *c, const response_map *maps);

#endif
