/* resnet bench */
#ifndef RESNET_CLI_COMMANDS_BENCH_H
#define RESNET_CLI_COMMANDS_BENCH_H

#include "cli/options.h"

/* Run the command and return the exit status. */
int command_bench(const settings *s);

#endif
