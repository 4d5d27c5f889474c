#include "runtime/system/caches.h"

#include <cpuinfo.h>

enum {
  KIB = 1024,
  MIN_L2 = 128 * KIB,
  USUAL_L2 = 512 * KIB, /* if the CPU's is not known */
  MAX_L2 = 4096 * KIB,
  MAX_L3 = 1024 * 1024 * KIB
};

system_caches system_limit_caches(size_t l2, size_t l3) {
  if (l2 == 0) l2 = USUAL_L2;
  if (l2 < MIN_L2) l2 = MIN_L2;
  if (l2 > MAX_L2) l2 = MAX_L2;
  return (system_caches){l2, l3 < MAX_L3 ? l3 : MAX_L3};
}

/* Return the bytes of a cache for each of the cores that share it. Logical processors of
 * one core share all of its caches. */
static size_t bytes_a_core(const struct cpuinfo_cache *cache) {
  const size_t cores = cpuinfo_get_cores_count(), processors = cpuinfo_get_processors_count();
  const size_t sharing = processors ? cache->processor_count * cores / processors : 0;
  return sharing > 1 ? cache->size / sharing : cache->size;
}

system_caches system_find_caches(void) {
  size_t l2 = 0, l3 = 0;
  if (!cpuinfo_initialize()) return system_limit_caches(l2, l3);
  for (uint32_t i = 0; i < cpuinfo_get_l2_caches_count(); i++) {
    const size_t size = bytes_a_core(cpuinfo_get_l2_cache(i));
    if (i == 0 || size < l2) l2 = size;
  }
  for (uint32_t i = 0; i < cpuinfo_get_l3_caches_count(); i++) {
    const size_t size = cpuinfo_get_l3_cache(i)->size;
    if (i == 0 || size < l3) l3 = size;
  }
  return system_limit_caches(l2, l3);
}
