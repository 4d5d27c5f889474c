/* Latency and memory of the models. */
#ifndef RESNET_CLI_COMPARE_SPEED_H
#define RESNET_CLI_COMPARE_SPEED_H

#include "cli/compare/comparison.h"
#include "cli/options.h"

/* Measure the latencies of all models in turns. On failure print the reason. */
bool compare_latency(comparison *c);

/* Return the peak memory of a process that opens the model of `s` and runs it once, or 0
 * if it is unknown. The process is a copy of this one: call this while little memory is
 * allocated. */
uint64_t compare_peak_memory(const settings *s);

#endif
