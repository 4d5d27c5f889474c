/* resnet compile */
#ifndef RESNET_CLI_COMMANDS_COMPILE_H
#define RESNET_CLI_COMMANDS_COMPILE_H

#include "cli/options.h"

/* Run the command and return the exit status. */
int command_compile(const settings *s);

#endif
