/* The affinity mask is not in POSIX: only this file asks for Linux's own functions. */
#if defined(__linux__)
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#include <sched.h>
#endif
#include "runtime/system/cpus.h"

#include <unistd.h>

#include "runtime/system/cgroup.h"

uint32_t cpu_allowed(void) {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 0)
    return (uint32_t)CPU_COUNT(&allowed);
#endif
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (uint32_t)online : 1;
}

uint32_t cpu_usable(void) {
  const uint32_t allowed = cpu_allowed(), granted = cgroup_cpus("");
  return granted < allowed ? granted : allowed;
}
