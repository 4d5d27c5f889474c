/* Match the folders of a data set to the classes of a model. */
#ifndef RESNET_CLI_CLASSES_H
#define RESNET_CLI_CLASSES_H

#include "cli/dataset.h"
#include "cli/model.h"
#include "resnet.h"

/* Find the class of the model that each folder holds, and set *how to the rule used:
 *
 * "labels":       a folder name equals a label, one of its comma-separated names, or the
 *                 WordNet id before them; case is ignored, '_' and '-' count as spaces
 * "folder order": the model has no labels, or no folder is named like one, and there are
 *                 as many folders as classes
 *
 * Fail if some folders match a label and others do not, if a folder matches several
 * labels, or if the numbers differ. Labels that are only assumed may fail to match. */
bool cli_classes_match(const dataset *d, const loaded_model *m, uint32_t *class_of_folder,
                       const char **how, resnet_error *error);

#endif
