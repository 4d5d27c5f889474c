/* Sentences about layer responses and residual branches. */
#ifndef RESNET_CLI_COMPARE_CONCLUDE_RESPONSES_H
#define RESNET_CLI_COMPARE_CONCLUDE_RESPONSES_H

#include <stdio.h>

#include "cli/compare/comparison.h"

void compare_conclude_layers(const comparison *c, FILE *out);
void compare_conclude_blocks(const comparison *c, FILE *out);
void compare_conclude_dead(const comparison *c, FILE *out);

#endif
