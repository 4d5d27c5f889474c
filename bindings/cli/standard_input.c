#include "cli/standard_input.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"
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

/* What cli_standard_input_start has read. */
static uint8_t *started;
static size_t started_size;

bool cli_standard_input_start(uint8_t *bytes, size_t capacity, size_t *size) {
  started = cli_allocate(capacity, 1);
  if (!image_read_some(STDIN_FILENO, capacity, started, &started_size)) started_size = 0;
  memcpy(bytes, started, started_size);
  *size = started_size;
  return started_size > 0;
}

/* Put the bytes that were read before in front of the others. */
static void prepend_start(uint8_t **bytes, size_t *size) {
  if (started_size > 0) {
    uint8_t *whole = cli_allocate(started_size + *size, 1);
    memcpy(whole, started, started_size);
    if (*size > 0) memcpy(whole + started_size, *bytes, *size);
    free(*bytes);
    *bytes = whole;
    *size += started_size;
  }
  free(started);
  started = NULL;
  started_size = 0;
}

bool cli_standard_input_read(size_t limit, uint8_t **bytes, size_t *size, resnet_error *error) {
  const size_t rest = limit > started_size ? limit - started_size : 0;
  if (!image_read_stream(STDIN_FILENO, rest, bytes, size, error)) return false;
  prepend_start(bytes, size);
  if (*size > 0) return true;
  free(*bytes);
  *bytes = NULL;
  return error_set(error, RESNET_ERROR_FORMAT, "is empty: pipe a file into it, or redirect it");
}
