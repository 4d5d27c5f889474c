/* The text output of `resnet compare`. */
#ifndef RESNET_CLI_COMPARE_PRINT_TEXT_H
#define RESNET_CLI_COMPARE_PRINT_TEXT_H

#include "cli/compare/comparison.h"

/* Print the comparison on standard output. */
void compare_print_text(const comparison *c);

#endif
