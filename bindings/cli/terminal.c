#if defined(__linux__)
#define _GNU_SOURCE /* sched_getaffinity */
#include <sched.h>
#endif

#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/options.h"
#include "support/message.h"

void terminal_prepare(void) {
  for (int descriptor = 0; descriptor <= 2; descriptor++) {
    if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    /* Read-only: writing to a closed standard output stays an error. */
    if (open("/dev/null", O_RDONLY) != descriptor) exit(EXIT_INPUT);
  }
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGXFSZ, SIG_IGN);
}

bool output_failed(void) { return ferror(stdout) != 0; }

bool terminal_finish(void) {
  errno = 0;
  bool failed = output_failed();
  int reason = 0;
  if (fflush(stdout) != 0) reason = errno;
  failed |= fclose(stdout) != 0 || reason != 0;
  if (!failed) return true;
  if (reason != EPIPE)
    note("standard output cannot be written: %s",
         reason ? strerror(reason) : "an earlier write failed");
  return false;
}

static bool is_colourful(void) {
  const char *refused = getenv("NO_COLOR"), *kind = getenv("TERM");
  return isatty(STDOUT_FILENO) && !(refused && *refused) && kind && strcmp(kind, "dumb") != 0;
}

const char *bold(void) { return is_colourful() ? "\033[1m" : ""; }
const char *plain(void) { return is_colourful() ? "\033[0m" : ""; }

double clock_seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

uint32_t processor_count(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
    return (uint32_t)CPU_COUNT(&set);
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (uint32_t)online : 1;
}

uint64_t peak_memory_bytes(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
  return (uint64_t)usage.ru_maxrss;
#else
  return (uint64_t)usage.ru_maxrss * 1024;
#endif
}

static const char *format_scaled(char out[FORMAT_SIZE], uint64_t value, double step,
                                 const char *const units[5]) {
  double scaled = (double)value;
  size_t unit = 0;
  for (; scaled >= step && unit < 4; unit++) scaled /= step;
  int decimals = unit == 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  (void)snprintf(out, FORMAT_SIZE, "%.*f%s", decimals, scaled, units[unit]);
  return out;
}

const char *format_count(char out[FORMAT_SIZE], uint64_t count) {
  static const char *const units[5] = {"", " k", " M", " G", " T"};
  if (count) return format_scaled(out, count, 1000, units);
  (void)snprintf(out, FORMAT_SIZE, "-");
  return out;
}

const char *format_bytes(char out[FORMAT_SIZE], uint64_t bytes) {
  static const char *const units[5] = {" B", " KiB", " MiB", " GiB", " TiB"};
  return format_scaled(out, bytes, 1024, units);
}

void out_of_memory(void) {
  note("out of memory");
  exit(EXIT_INPUT);
}

void *allocate(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) out_of_memory();
  return memory;
}

void *grow(void *array, size_t used, size_t *capacity, size_t size) {
  if (used < *capacity) return array;
  size_t wanted = *capacity ? *capacity * 2 : 64;
  if (wanted < *capacity || wanted > SIZE_MAX / size) out_of_memory();
  void *larger = realloc(array, wanted * size);
  if (!larger) out_of_memory();
  *capacity = wanted;
  return larger;
}

char *copy_text(const char *text) {
  size_t size = strlen(text) + 1;
  return memcpy(allocate(size, 1), text, size);
}

const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}
