#ifndef LIBRESNET_RUNTIME_SYSTEM_CLOCK_H
#define LIBRESNET_RUNTIME_SYSTEM_CLOCK_H

#include <stdint.h>

/* Return the nanoseconds of a clock that never goes back. */
uint64_t system_now_ns(void);

#endif
