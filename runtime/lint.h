/* Findings that need the plan and the preprocessing; what concerns the file alone is
 * loader/lint.c's. */
#ifndef LIBRESNET_RUNTIME_LINT_H
#define LIBRESNET_RUNTIME_LINT_H

#include "runtime/model.h"

/* Add to g's findings how the model's preprocessing cannot be what its first layer was
 * trained with. Called before the plan's weights are packed. */
resnet_status find_preprocess_faults(const resnet_model *model, graph *g, resnet_error *error);

#endif
