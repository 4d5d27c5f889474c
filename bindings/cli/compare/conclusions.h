/* Sentences about accuracy, ablations, costs and pairs, for the report and the text
 * output. */
#ifndef RESNET_CLI_COMPARE_CONCLUSIONS_H
#define RESNET_CLI_COMPARE_CONCLUSIONS_H

#include <stdio.h>

#include "cli/compare/comparison.h"

void compare_conclude_accuracy(const comparison *c, FILE *out);
void compare_conclude_block_ablation(const comparison *c, FILE *out);
void compare_conclude_ablation(const comparison *c, FILE *out);
void compare_conclude_shortcut_times(const comparison *c, FILE *out);
void compare_conclude_shortcut_bytes(const comparison *c, FILE *out);
void compare_conclude_confusions(const comparison *c, FILE *out);
void compare_conclude_calibration(const comparison *c, FILE *out);
void compare_conclude_pair(const comparison *c, const pair_summary *p, FILE *out);

#endif
