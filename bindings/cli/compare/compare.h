/* The steps of `resnet compare`. Each says on standard error why it failed. */
#ifndef RESNET_CLI_COMPARE_COMPARE_H
#define RESNET_CLI_COMPARE_COMPARE_H

#include "cli/compare/comparison.h"
#include "cli/compare/layer_responses.h"

/* compare_judge.c: label all pictures with all nets; fills failures, seconds, and of the
 * nets verdicts and responses. A picture that cannot be read, or that a net refuses, is a
 * failure, and counts for no net. `maps`: by net. */
bool compare_judge(comparison *c, const response_map *maps);

/* compare_accuracy.c: what follows from the verdicts. */
void compare_accuracy(comparison *c);
void compare_pairs(comparison *c);

/* Of the folder that the class of `best` is, of `c->data`; folder_count: of none. */
uint32_t folder_of_answer(const comparison *c, const net_summary *net, uint32_t best);

/* compare_speed.c: latencies of all nets, which take turns. */
bool compare_latency(comparison *c);

/* The most memory of a process that opens the settings' model and runs it once; 0: not
 * known. The process is a copy of this one: call it while this holds little. */
uint64_t measure_peak(const settings *s);

#endif
