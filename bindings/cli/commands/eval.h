/* resnet eval */
#ifndef RESNET_CLI_COMMANDS_EVAL_H
#define RESNET_CLI_COMMANDS_EVAL_H

#include "cli/options.h"

/* Run the command and return the exit status. */
int command_eval(const settings *s);

#endif
