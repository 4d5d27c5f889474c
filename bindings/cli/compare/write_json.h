/* The JSON output of `resnet compare`. */
#ifndef RESNET_CLI_COMPARE_WRITE_JSON_H
#define RESNET_CLI_COMPARE_WRITE_JSON_H

#include "cli/compare/comparison.h"
#include "support/json.h"

/* Write the comparison as one object. */
void compare_write_json(const comparison *c, json *j);

#endif
