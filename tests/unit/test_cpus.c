/* The automatic number of threads: what the affinity mask and the control groups
 * allow. */
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/system/cgroup.h"
#include "runtime/system/cpus.h"

static char root[] = "/tmp/libresnet-cgroup-XXXXXX";

static int make_root(void **state) {
  (void)state;
  memcpy(root + sizeof root - 7, "XXXXXX", 6);
  return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
  (void)state;
  char command[sizeof root + 32];
  (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
  return system(command);
}

/* Write a file below `root`, with its folders. */
static void put(const char *path, const char *content) {
  char whole[4096];
  assert_in_range(snprintf(whole, sizeof whole, "%s%s", root, path), 1, sizeof whole - 1);
  for (char *slash = whole + sizeof root; (slash = strchr(slash, '/')); slash++) {
    *slash = '\0';
    (void)mkdir(whole, 0700);
    *slash = '/';
  }
  FILE *file = fopen(whole, "w");
  assert_non_null(file);
  assert_true(fputs(content, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static void limits_of_version_2(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint32_t cpus;
  } cases[] = {
      {"200000 100000\n", 2},
      {"150000 100000\n", 2},
      {"100000 100000", 1},
      {"1000 1000000\n", 1},
      {"max 100000\n", CGROUP_UNLIMITED},
      {"", CGROUP_UNLIMITED},
      {"\n", CGROUP_UNLIMITED},
      {"200000", CGROUP_UNLIMITED},
      {"200000 ", CGROUP_UNLIMITED},
      {"200000 0\n", CGROUP_UNLIMITED},
      {"0 100000\n", CGROUP_UNLIMITED},
      {"-1 100000\n", CGROUP_UNLIMITED},
      {"200000x 100000\n", CGROUP_UNLIMITED},
      {"200000 100000x\n", CGROUP_UNLIMITED},
      {"0x30000 100000\n", CGROUP_UNLIMITED},
      {"99999999999999999999 100000\n", CGROUP_UNLIMITED},
      {"18446744073709551615 18446744073709551615\n", 1},
      {"18446744073709551615 18446744073709551614\n", 2},
      {"18446744073709551615 1\n", CGROUP_UNLIMITED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (cgroup_parse_v2(cases[i].text) != cases[i].cpus)
      fail_msg("\"%s\": %u CPUs, not %u", cases[i].text, cgroup_parse_v2(cases[i].text),
               cases[i].cpus);
}

static void limits_of_version_1(void **state) {
  (void)state;
  assert_int_equal(cgroup_parse_v1("300000\n", "100000\n"), 3);
  assert_int_equal(cgroup_parse_v1("300001\n", "100000\n"), 4);
  assert_int_equal(cgroup_parse_v1("-1\n", "100000\n"), CGROUP_UNLIMITED);
  assert_int_equal(cgroup_parse_v1("300000\n", "garbage"), CGROUP_UNLIMITED);
}

static void the_lowest_limit_on_the_way_up_counts(void **state) {
  (void)state;
  put("/proc/self/cgroup", "0::/app.slice/camera.service\n");
  assert_int_equal(cgroup_cpus(root), CGROUP_UNLIMITED);
  put("/sys/fs/cgroup/app.slice/camera.service/cpu.max", "800000 100000\n");
  assert_int_equal(cgroup_cpus(root), 8);
  put("/sys/fs/cgroup/app.slice/cpu.max", "250000 100000\n");
  assert_int_equal(cgroup_cpus(root), 3);
  put("/sys/fs/cgroup/app.slice/camera.service/cpu.max", "100000 100000\n");
  assert_int_equal(cgroup_cpus(root), 1);
  put("/sys/fs/cgroup/app.slice/camera.service/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/app.slice/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/app.slice-of-others/cpu.max", "100000 100000\n");
  assert_int_equal(cgroup_cpus(root), CGROUP_UNLIMITED);
}

/* Docker and Kubernetes with version 2: the container's group is the mount, and its path
 * is "/" or the host's. */
static void a_container_is_its_mount(void **state) {
  (void)state;
  put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  static const char *const paths[] = {"0::/\n", "0::/../../kubepods/burstable\n",
                                      "0::/docker/0123456789abcdef\n",
                                      "0::/with a blank:and a colon\n"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    put("/proc/self/cgroup", paths[i]);
    assert_int_equal(cgroup_cpus(root), 2);
  }
}

static void version_1_is_found_among_its_controllers(void **state) {
  (void)state;
  put("/proc/self/cgroup",
      "12:cpuset:/a\n4:memory:/a\n3:cpu,cpuacct:/docker/a\n1:name=systemd:/a\n0::/a\n");
  put("/sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us", "400000\n");
  assert_int_equal(cgroup_cpus(root), CGROUP_UNLIMITED);
  put("/sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us", "100000\n");
  assert_int_equal(cgroup_cpus(root), 4);
  put("/proc/self/cgroup", "3:cpuacct,cpu:/docker/a\n");
  assert_int_equal(cgroup_cpus(root), 4);
  put("/proc/self/cgroup", "3:cpuacct,cpuset:/docker/a\n");
  assert_int_equal(cgroup_cpus(root), CGROUP_UNLIMITED);
}

static void garbage_is_no_limit(void **state) {
  (void)state;
  put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  static const char *const texts[] = {"",    "\n\n\n", ":",      "::",  "0::", "0::relative\n",
                                      "0:/", "3:cpu",  "x::/\n", "0::/"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    put("/proc/self/cgroup", texts[i]);
    assert_int_equal(cgroup_cpus(root), CGROUP_UNLIMITED);
  }
}

/* Files longer than any buffer: the groups above still count, and so do whole lines at
 * the beginning. */
static void long_paths_and_long_files_are_cut(void **state) {
  (void)state;
  static char text[32768];
  put("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  strcpy(text, "0::/a");
  for (int i = 0; i < 1000; i++) strcat(text, "/bcd");
  strcat(text, "\n");
  put("/proc/self/cgroup", text);
  assert_int_equal(cgroup_cpus(root), 2);
  memset(text, 'a', 4000);
  memcpy(text, "0::/", 4);
  strcpy(text + 4000, "\n0::/a\n");
  put("/proc/self/cgroup", text);
  assert_int_equal(cgroup_cpus(root), 2);
  memset(text, 'a', sizeof text - 1);
  memcpy(text, "0::/a\n0::/", 10);
  put("/proc/self/cgroup", text);
  assert_int_equal(cgroup_cpus(root), 2);
}

static void unreadable_files_are_no_limit(void **state) {
  (void)state;
  assert_int_equal(cgroup_cpus(root), CGROUP_UNLIMITED);
  assert_int_equal(cgroup_cpus("/nowhere/at/all"), CGROUP_UNLIMITED);
  put("/proc/self/cgroup", "0::/a\n");
  put("/sys/fs/cgroup/a/cpu.max/a-folder", "");
  assert_int_equal(cgroup_cpus(root), CGROUP_UNLIMITED);
  put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  assert_int_equal(cgroup_cpus(root), 3);
}

static void the_affinity_mask_counts(void **state) {
  (void)state;
#if defined(__linux__)
  cpu_set_t before, one;
  assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
  assert_in_range(cpu_usable(), 1, (uint32_t)CPU_COUNT(&before));
  size_t first = 0;
  while (!CPU_ISSET(first, &before)) first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  const uint32_t cpus = cpu_usable();
  assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
  assert_int_equal(cpus, 1);
#else
  print_message("skipped: only Linux has affinity masks\n");
  skip();
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(limits_of_version_2),
      cmocka_unit_test(limits_of_version_1),
      cmocka_unit_test_setup_teardown(the_lowest_limit_on_the_way_up_counts, make_root,
                                      remove_root),
      cmocka_unit_test_setup_teardown(a_container_is_its_mount, make_root, remove_root),
      cmocka_unit_test_setup_teardown(version_1_is_found_among_its_controllers, make_root,
                                      remove_root),
      cmocka_unit_test_setup_teardown(garbage_is_no_limit, make_root, remove_root),
      cmocka_unit_test_setup_teardown(long_paths_and_long_files_are_cut, make_root, remove_root),
      cmocka_unit_test_setup_teardown(unreadable_files_are_no_limit, make_root, remove_root),
      cmocka_unit_test(the_affinity_mask_counts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
