/* resnet embed: write what a model gives for images, as a NumPy file. */
#ifndef RESNET_CLI_COMMANDS_EMBED_H
#define RESNET_CLI_COMMANDS_EMBED_H

#include "cli/options.h"

int command_embed(const settings *s);

#endif
