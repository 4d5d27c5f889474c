/* resnet compare */
#ifndef RESNET_CLI_COMMANDS_COMPARE_H
#define RESNET_CLI_COMMANDS_COMPARE_H

#include "cli/options.h"

/* Run the command and return the exit status. */
int command_compare(const settings *s);

#endif
