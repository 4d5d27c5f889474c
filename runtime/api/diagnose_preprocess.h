/* Diagnostics of the preprocessing. Those of the file alone are in
 * loader/passes/diagnose.c. */
#ifndef LIBRESNET_RUNTIME_API_DIAGNOSE_PREPROCESS_H
#define LIBRESNET_RUNTIME_API_DIAGNOSE_PREPROCESS_H

#include "runtime/api/model.h"

/* Add a diagnostic to `g` if the first layer cannot have been trained with the model's
 * preprocessing. */
resnet_status model_diagnose_preprocess(const resnet_model *model, graph *g, resnet_error *error);

#endif
