#include "runtime/system/cgroup.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
  /* a longer path is cut to an ancestor, whose limit applies as well */
  PATH_SIZE = 1024,
  LIMIT_SIZE = 64, /* two numbers */
  /* at most fourteen hierarchies, a line of a few hundred bytes for each */
  MEMBERSHIP_SIZE = 8192
};

/* Read the beginning of a file as text. Return false if it cannot be read or is empty. */
static bool read_text(const char *path, char *text, size_t size) {
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return false;
  size_t length = 0;
  ssize_t got = 1;
  while (got > 0 && length + 1 < size) {
    got = read(file, text + length, size - 1 - length);
    if (got > 0) length += (size_t)got;
  }
  (void)close(file);
  text[length] = '\0';
  return length > 0;
}

/* Return the positive number before a blank or the end, and move *text behind it. Return
 * 0 for other text, such as "max" and "-1". */
static uint64_t read_number(const char **text) {
  uint64_t number = 0;
  const char *at = *text;
  for (; *at >= '0' && *at <= '9'; at++) {
    const uint64_t digit = (uint64_t)(*at - '0');
    if (number > (UINT64_MAX - digit) / 10) return 0;
    number = number * 10 + digit;
  }
  if (*at != ' ' && *at != '\n' && *at != '\0') return 0;
  *text = at;
  return number;
}

/* Round up: a fraction of a CPU is worth a thread, and would be unused otherwise. */
static uint32_t count_cpus(uint64_t quota, uint64_t period) {
  if (quota == 0 || period == 0) return CGROUP_UNLIMITED;
  const uint64_t cpus = quota / period + (quota % period != 0);
  return cpus < CGROUP_UNLIMITED ? (uint32_t)cpus : CGROUP_UNLIMITED;
}

uint32_t cgroup_parse_v2(const char *text) {
  const uint64_t quota = read_number(&text);
  if (*text != ' ') return CGROUP_UNLIMITED;
  text++;
  return count_cpus(quota, read_number(&text));
}

uint32_t cgroup_parse_v1(const char *quota, const char *period) {
  return count_cpus(read_number(&quota), read_number(&period));
}

static bool read_file(const char *group, const char *name, char *text) {
  char path[PATH_SIZE + 32];
  const int length = snprintf(path, sizeof path, "%s/%s", group, name);
  return length > 0 && (size_t)length < sizeof path && read_text(path, text, LIMIT_SIZE);
}

static uint32_t group_cpus(const char *group, bool v2) {
  char quota[LIMIT_SIZE], period[LIMIT_SIZE];
  if (v2) return read_file(group, "cpu.max", quota) ? cgroup_parse_v2(quota) : CGROUP_UNLIMITED;
  return read_file(group, "cpu.cfs_quota_us", quota) &&
                 read_file(group, "cpu.cfs_period_us", period)
             ? cgroup_parse_v1(quota, period)
             : CGROUP_UNLIMITED;
}

/* Return the minimum over a group and its ancestors. In a container that sees its own
 * groups only, the path is the host's: its lower folders are missing, and the mount is
 * the container's group. */
static uint32_t path_cpus(const char *root, const char *mount, const char *path, bool v2) {
  char group[PATH_SIZE];
  const int mount_length = snprintf(group, sizeof group, "%s%s", root, mount);
  if (mount_length <= 0 || (size_t)mount_length >= sizeof group) return CGROUP_UNLIMITED;
  const size_t top = (size_t)mount_length;
  /* "/" is the mount itself; "/.." is outside of what this process sees */
  const bool above = strcmp(path, "/") == 0 || strncmp(path, "/..", 3) == 0;
  const int length = snprintf(group + top, sizeof group - top, "%s", above ? "" : path);
  if (length >= (int)(sizeof group - top)) *strrchr(group, '/') = '\0';
  uint32_t min = CGROUP_UNLIMITED;
  for (;;) {
    const uint32_t cpus = group_cpus(group, v2);
    if (cpus < min) min = cpus;
    char *slash = strrchr(group + top, '/');
    if (!slash) return min;
    *slash = '\0';
  }
}

/* Return true if "cpu" is one of the comma-separated names. */
static bool has_cpu(const char *names) {
  for (; names; names = strchr(names, ',')) {
    if (*names == ',') names++;
    const size_t length = strcspn(names, ",");
    if (length == 3 && memcmp(names, "cpu", 3) == 0) return true;
  }
  return false;
}

/* Return the limit of one line of /proc/self/cgroup: ID:CONTROLLERS:PATH, with ID 0 and
 * no controllers in version 2 (cgroups(7)). */
static uint32_t line_cpus(const char *root, char *line) {
  char *controllers = strchr(line, ':');
  char *path = controllers ? strchr(controllers + 1, ':') : NULL;
  if (!path || path[1] != '/') return CGROUP_UNLIMITED;
  *controllers++ = '\0';
  *path++ = '\0';
  if (*controllers == '\0' && strcmp(line, "0") == 0)
    return path_cpus(root, "/sys/fs/cgroup", path, true);
  return has_cpu(controllers) ? path_cpus(root, "/sys/fs/cgroup/cpu", path, false)
                              : CGROUP_UNLIMITED;
}

uint32_t cgroup_cpus(const char *root) {
  char path[PATH_SIZE], text[MEMBERSHIP_SIZE];
  const int length = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  if (length <= 0 || (size_t)length >= sizeof path || !read_text(path, text, sizeof text))
    return CGROUP_UNLIMITED;
  uint32_t min = CGROUP_UNLIMITED;
  for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
    *end = '\0';
    const uint32_t cpus = line_cpus(root, line);
    if (cpus < min) min = cpus;
  }
  return min;
}
