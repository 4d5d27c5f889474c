/* The preprocessing that a command line asks for. */
#ifndef RESNET_CLI_PREPROCESS_OPTIONS_H
#define RESNET_CLI_PREPROCESS_OPTIONS_H

#include <stdbool.h>

#include "cli/options.h"
#include "resnet.h"

/* Return true if an option changes some part of the preprocessing. */
bool cli_preprocess_changes(const settings *s);

/* Apply these options to the preprocessing of the model, or to a preset. */
void cli_preprocess_apply(const settings *s, resnet_preprocess *p);

#endif
