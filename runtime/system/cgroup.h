/* CPU limits of control groups: containers and services may use only a part of the CPUs
 * that they see. */
#ifndef LIBRESNET_RUNTIME_SYSTEM_CGROUP_H
#define LIBRESNET_RUNTIME_SYSTEM_CGROUP_H

#include <stdint.h>

#define CGROUP_UNLIMITED UINT32_MAX

/* Return the CPUs that this process's groups and their ancestors grant, rounded up, or
 * CGROUP_UNLIMITED if there is no limit or none can be read. Reads cpu.max in version 2,
 * cpu.cfs_quota_us and cpu.cfs_period_us in version 1. `root` is the prefix of every
 * path: "", or a test's folder. */
uint32_t cgroup_cpus(const char *root);

/* Return the same from the text of cpu.max: "QUOTA PERIOD". */
uint32_t cgroup_parse_v2(const char *text);

/* Return the same from the texts of cpu.cfs_quota_us and cpu.cfs_period_us. */
uint32_t cgroup_parse_v1(const char *quota, const char *period);

#endif
