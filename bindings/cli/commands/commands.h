/* The commands of the program. */
#ifndef RESNET_CLI_COMMANDS_COMMANDS_H
#define RESNET_CLI_COMMANDS_COMMANDS_H

#include "cli/options.h"

/* Return the command of that name, or NULL. */
const command *command_find(const char *name);

/* Print the help of the program on standard output. */
void command_print_help(void);

#endif
