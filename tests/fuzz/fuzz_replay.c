/* Replays files as the fuzz target that is linked with it, so that its corpus runs in
 * every build.
 *
 *     fuzz_replay [--models] FILE|FOLDER...
 *
 * With --models, every file must be a model that opens. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int complain(const char *path, const char *what) {
  fprintf(stderr, "fuzz_replay: %s: %s\n", path, what);
  return 1;
}

/* Replay one file. Print its name first: after a crash it is the last line. */
static int replay_bytes(const char *path, const uint8_t *bytes, size_t size, bool must_open) {
  printf("%s\n", path);
  fflush(stdout);
  /* In a block of the file's own size, a sanitizer sees the first byte read beyond it. */
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy) return complain(path, "not enough memory");
  if (size) memcpy(copy, bytes, size);
  (void)LLVMFuzzerTestOneInput(copy, size);
  const bool opened = !must_open || exercise_model_plainly(copy, size);
  free(copy);
  return opened ? 0 : complain(path, "does not open");
}

static int replay_file(const char *path, bool must_open) {
  static uint8_t bytes[1 << 20];
  FILE *file = fopen(path, "rb");
  if (!file) return complain(path, "cannot be opened");
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  const bool whole = size < sizeof bytes;
  fclose(file);
  return whole ? replay_bytes(path, bytes, size, must_open) : complain(path, "is too large");
}

static int replay(const char *path, bool must_open) {
  DIR *folder = opendir(path);
  if (!folder) return replay_file(path, must_open);
  int failed = 0;
  for (const struct dirent *entry; (entry = readdir(folder));) {
    char name[4096];
    if (entry->d_name[0] == '.') continue;
    (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    failed |= replay_file(name, must_open);
  }
  closedir(folder);
  return failed;
}

int main(int argc, char **argv) {
  const bool must_open = argc > 1 && strcmp(argv[1], "--models") == 0;
  const int first = must_open ? 2 : 1;
  int failed = argc <= first ? complain("usage", "fuzz_replay [--models] FILE|FOLDER...") : 0;
  for (int i = first; i < argc; i++) failed |= replay(argv[i], must_open);
  return failed;
}
