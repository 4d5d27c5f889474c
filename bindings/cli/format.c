#include "cli/format.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *format_scaled(char out[FORMAT_SIZE], uint64_t value, double step,
                                 const char *const units[5]) {
  double scaled = (double)value;
  size_t unit = 0;
  for (; scaled >= step && unit < 4; unit++) scaled /= step;
  int decimals = unit == 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  (void)snprintf(out, FORMAT_SIZE, "%.*f%s", decimals, scaled, units[unit]);
  return out;
}

const char *cli_format_count(char out[FORMAT_SIZE], uint64_t count) {
  static const char *const units[5] = {"", " k", " M", " G", " T"};
  if (count) return format_scaled(out, count, 1000, units);
  (void)snprintf(out, FORMAT_SIZE, "-");
  return out;
}

const char *cli_format_bytes(char out[FORMAT_SIZE], uint64_t bytes) {
  static const char *const units[5] = {" B", " KiB", " MiB", " GiB", " TiB"};
  return format_scaled(out, bytes, 1024, units);
}

const char *cli_format_grouped(char out[FORMAT_SIZE], uint64_t count) {
  char digits[FORMAT_SIZE];
  int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
  char *to = out;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) *to++ = ',';
    *to++ = digits[i];
  }
  *to = '\0';
  return out;
}

const char *cli_base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}
