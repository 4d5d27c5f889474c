/* The commands of the program. */
#ifndef RESNET_CLI_COMMANDS_COMMANDS_H
#define RESNET_CLI_COMMANDS_COMMANDS_H

#include "cli/options.h"

/* Return the command of that name, or NULL. */
const command *command_find(const char *name);

/* Print the help of the program on standard output. */
void command_print_help(void);

/* Run a command and return the exit status. Each is defined in the file of its name. */
int command_classify(const settings *s);
int command_eval(const settings *s);
int command_inspect(const settings *s);
int command_bench(const settings *s);
int command_compile(const settings *s);
int command_compare(const settings *s);

#endif
