/* Sentences about a comparison, for the report and the text output. */
#ifndef RESNET_CLI_COMPARE_CONCLUSIONS_H
#define RESNET_CLI_COMPARE_CONCLUSIONS_H

#include <stdio.h>

#include "cli/compare/comparison.h"

/* Write one conclusion to a line. If there is none, write the reason. */
typedef void (*conclude_function)(const comparison *c, FILE *out);

void compare_conclude_accuracy(const comparison *c, FILE *out);
void compare_conclude_layers(const comparison *c, FILE *out);
void compare_conclude_blocks(const comparison *c, FILE *out);
void compare_conclude_block_ablation(const comparison *c, FILE *out);
void compare_conclude_ablation(const comparison *c, FILE *out);
void compare_conclude_shortcut_times(const comparison *c, FILE *out);
void compare_conclude_shortcut_bytes(const comparison *c, FILE *out);
void compare_conclude_confusions(const comparison *c, FILE *out);
void compare_conclude_calibration(const comparison *c, FILE *out);
void compare_conclude_pair(const comparison *c, const pair_summary *p, FILE *out);
void compare_conclude_dead(const comparison *c, FILE *out);

#endif
