/* Replays files as the fuzzer does, so that its corpus runs in every build.
 *
 *     fuzz_replay [--models] FILE...    with --models, every file must be a model that opens
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_model.h"

static int complain(const char *path, const char *what) {
  fprintf(stderr, "fuzz_replay: %s: %s\n", path, what);
  return 1;
}

/* The name goes out first: after a crash it is the last line. */
static int replay_bytes(const char *path, const uint8_t *bytes, size_t size, bool must_open) {
  printf("%s\n", path);
  fflush(stdout);
  /* A block of the file's own size lets a sanitiser see the first byte read beyond it. */
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy) return complain(path, "not enough memory");
  memcpy(copy, bytes, size);
  const bool opened = fuzz_model(copy, size);
  free(copy);
  return must_open && !opened ? complain(path, "does not open") : 0;
}

static int replay(const char *path, bool must_open) {
  static uint8_t bytes[1 << 20];
  FILE *file = fopen(path, "rb");
  if (!file) return complain(path, "can't be opened");
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  const bool whole = size < sizeof bytes;
  fclose(file);
  return whole ? replay_bytes(path, bytes, size, must_open) : complain(path, "is too large");
}

int main(int argc, char **argv) {
  const bool must_open = argc > 1 && strcmp(argv[1], "--models") == 0;
  const int first = must_open ? 2 : 1;
  int failed = argc <= first ? complain("usage", "fuzz_replay [--models] FILE...") : 0;
  for (int i = first; i < argc; i++) failed |= replay(argv[i], must_open);
  return failed;
}
