/* Findings that need the plan and the preprocessing; what concerns the file alone is
 * loader/passes/diagnose.c's. */
#ifndef LIBRESNET_RUNTIME_API_DIAGNOSE_PREPROCESS_H
#define LIBRESNET_RUNTIME_API_DIAGNOSE_PREPROCESS_H

#include "runtime/api/model.h"

/* Add to g's findings how the model's preprocessing cannot be what its first layer was
 * trained with. Called before the plan's weights are packed. */
resnet_status find_preprocess_faults(const resnet_model *model, graph *g, resnet_error *error);

#endif
