#include "cli/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit_status.h"
#include "cli/message.h"

void cli_out_of_memory(void) {
  const resnet_error error = {RESNET_ERROR_MEMORY, "out of memory"};
  cli_print_error("", &error);
  exit(EXIT_INPUT);
}

void *cli_allocate(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) cli_out_of_memory();
  return memory;
}

void *cli_grow(void *array, size_t used, size_t *capacity, size_t size) {
  if (used < *capacity) return array;
  size_t wanted = *capacity ? *capacity * 2 : 64;
  if (wanted < *capacity || wanted > SIZE_MAX / size) cli_out_of_memory();
  void *larger = realloc(array, wanted * size);
  if (!larger) cli_out_of_memory();
  *capacity = wanted;
  return larger;
}

char *cli_copy_text(const char *text) {
  size_t size = strlen(text) + 1;
  return memcpy(cli_allocate(size, 1), text, size);
}
