/* Labels that the caller gives in place of the file's. */
#ifndef LIBRESNET_RUNTIME_API_LABELS_H
#define LIBRESNET_RUNTIME_API_LABELS_H

#include "runtime/api/model.h"

/* Replace the model's labels by copies of `labels`, for `classes` classes. One label less
 * than classes is completed in front:
 * - 1,000 of 1,001: class 0 is "background".
 * - 1 of 2: class 0 is "not " and that label.
 * Fail if `count` is another number, or if a label is NULL. */
resnet_status model_set_labels(resnet_model *model, const char *const *labels, uint32_t count,
                               uint32_t classes, resnet_error *error);

/* Release the model's labels. */
void model_release_labels(resnet_model *model);

#endif
