/* resnet classify */
#ifndef RESNET_CLI_COMMANDS_CLASSIFY_H
#define RESNET_CLI_COMMANDS_CLASSIFY_H

#include "cli/options.h"

/* Run the command and return the exit status. */
int command_classify(const settings *s);

#endif
