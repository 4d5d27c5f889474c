#include "cli/standard_input.h"

#include <string.h>
#include <unistd.h>

#include "support/error.h"
#include "support/image.h"

bool cli_is_standard_input(const char *path) {
  static const char *const names[] = {"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"};
  for (size_t i = 0; path && i < sizeof names / sizeof names[0]; i++)
    if (strcmp(path, names[i]) == 0) return true;
  return false;
}

const char *cli_input_name(const char *path) {
  return cli_is_standard_input(path) ? "standard input" : path;
}

bool cli_standard_input_read(size_t limit, uint8_t **bytes, size_t *size, resnet_error *error) {
  if (!image_read_stream(STDIN_FILENO, limit, bytes, size, error)) return false;
  if (*size > 0) return true;
  return error_set(error, RESNET_ERROR_FORMAT, "is empty: pipe a file into it, or redirect it");
}
