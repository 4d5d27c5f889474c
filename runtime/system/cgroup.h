/* CPU limits of control groups: containers and services are held to a part of the CPUs
 * that they see. */
#ifndef LIBRESNET_RUNTIME_SYSTEM_CGROUP_H
#define LIBRESNET_RUNTIME_SYSTEM_CGROUP_H

#include <stdint.h>

#define CGROUP_UNLIMITED UINT32_MAX

/* CPUs that the groups of this process and those above grant, part of one rounded up;
 * CGROUP_UNLIMITED without a limit, and where there is none to be read. Of version 2
 * cpu.max is read, of version 1 cpu.cfs_quota_us and cpu.cfs_period_us. `root` is put
 * before every path: "", or a test's folder. */
uint32_t cgroup_cpus(const char *root);

/* The same from a file's content: "QUOTA PERIOD", or each in its own. */
uint32_t cgroup_parse_v2(const char *text);
uint32_t cgroup_parse_v1(const char *quota, const char *period);

#endif
