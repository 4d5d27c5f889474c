/* Clock, processors and memory of the machine. */
#ifndef RESNET_CLI_SYSTEM_H
#define RESNET_CLI_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

/* Return the seconds of a monotonic clock. */
double cli_clock_seconds(void);

/* Return the number of processors that this process may run on, at least 1. */
uint32_t cli_processor_count(void);

/* Write the CPU's model name to `out`, or its architecture if the name is unknown. Return
 * `out`. */
const char *cli_cpu_name(char *out, size_t size);

/* Return the peak resident memory of this process, or 0 if it is unknown. */
uint64_t cli_peak_memory_bytes(void);

#endif
