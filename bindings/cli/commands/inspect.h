/* resnet inspect */
#ifndef RESNET_CLI_COMMANDS_INSPECT_H
#define RESNET_CLI_COMMANDS_INSPECT_H

#include "cli/options.h"

/* Run the command and return the exit status. */
int command_inspect(const settings *s);

#endif
