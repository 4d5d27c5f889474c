/* Sizes of the CPU's caches, by which kernels choose how much they compute at once. */
#ifndef LIBRESNET_RUNTIME_SYSTEM_CACHES_H
#define LIBRESNET_RUNTIME_SYSTEM_CACHES_H

#include <stddef.h>

typedef struct system_caches {
  size_t l2; /* bytes a core: 128 KiB to 4 MiB */
  size_t l3; /* bytes that some cores share, at most 1 GiB; 0: none, or not known */
} system_caches;

/* Return the smallest of the CPU's caches of each level. All threads may call this at
 * the same time. */
system_caches system_find_caches(void);

/* Return the sizes within the limits of system_caches. An l2 of 0 is not known. */
system_caches system_limit_caches(size_t l2, size_t l3);

#endif
