/* Replays files through the fuzzer's entry point, so that the corpus runs in every build: fuzz_replay FILE... */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_model.h"

static int replay(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    fprintf(stderr, "fuzz_replay: %s can't be opened\n", path);
    return 1;
  }
  static uint8_t bytes[1 << 20];
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  const int whole = feof(file);
  fclose(file);
  /* A block of the file's own size lets a sanitiser see the first byte read beyond it. */
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy || !whole) {
    fprintf(stderr, "fuzz_replay: %s is larger than %zu bytes, or there is not enough memory\n", path, sizeof bytes);
    free(copy);
    return 1;
  }
  for (size_t i = 0; i < size; i++) {
    copy[i] = bytes[i];
  }
  printf("%s\n", path);
  fflush(stdout);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
  return 0;
}

int main(int argc, char **argv) {
  int failed = argc < 2;
  for (int i = 1; i < argc; i++) {
    failed |= replay(argv[i]);
  }
  return failed;
}
