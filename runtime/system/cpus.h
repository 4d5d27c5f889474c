/* CPUs that this process may use. */
#ifndef LIBRESNET_RUNTIME_SYSTEM_CPUS_H
#define LIBRESNET_RUNTIME_SYSTEM_CPUS_H

#include <stdint.h>

/* Return how many CPUs the calling thread may use, by its affinity mask and by its
 * control groups' limits; at least 1. */
uint32_t cpu_usable(void);

/* Return how many CPUs the calling thread may use, by its affinity mask alone; at least
 * 1. Open no file. */
uint32_t cpu_allowed(void);

#endif
