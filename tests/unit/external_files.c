#include "external_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const load_options external_on = {.max_file_bytes = 1 << 26, .external_data = true};

const float external_numbers[8] = {1, -2.5F, 1e-30F, 3e38F, 0.1F, -0.0F, 7, 8};

char external_folder[] = "/tmp/libresnet-external-XXXXXX";

int make_folder(void **state) {
  (void)state;
  return mkdtemp(external_folder) && chdir(external_folder) == 0 && mkdir("sub", 0700) == 0 ? 0
                                                                                            : -1;
}

int remove_folder(void **state) {
  (void)state;
  static const char *const names[] = {"model", "w",    "v",       "sub/w", "link", "sublink",
                                      "hard",  "fifo", "a/model", "a/w",   "f0",   "f1",
                                      "f2",    "f3",   "f4",      "f5"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) (void)unlink(names[i]);
  (void)rmdir("sub");
  (void)rmdir("a");
  return chdir("/") == 0 ? rmdir(external_folder) : -1;
}

void write_bytes(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  if (size) assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

void write_network(const char *path, network *n) {
  buffer file = finish(n);
  write_bytes(path, file.data, file.size);
  buffer_release(&file);
}

size_t descriptors(void) {
  size_t open_ones = 0;
  for (int i = 0; i < 256; i++) open_ones += fcntl(i, F_GETFD) >= 0;
  return open_ones;
}

buffer begin_tensor(const char *name, uint64_t type, uint64_t rows, uint64_t columns) {
  buffer tensor = {0};
  put_number(&tensor, 1, rows);
  put_number(&tensor, 1, columns);
  put_number(&tensor, 2, type);
  put_text(&tensor, 8, name);
  put_number(&tensor, DATA_LOCATION, 1);
  return tensor;
}

void add_external(network *n, const char *name, uint64_t type, const char *entries) {
  buffer tensor = begin_tensor(name, type, 3, 2);
  put_external(&tensor, entries);
  put_message(&n->graph, INITIALIZER, &tensor);
}

void add_layer(network *n) {
  add(n, "GlobalAveragePool", "x", "p", "");
  add(n, "Flatten", "p", "f", "");
  add(n, "MatMul", "f,k", "y", "");
}

void write_model(const char *path, uint64_t type, const char *entries) {
  network n = {0};
  add_external(&n, "k", type, entries);
  add_layer(&n);
  write_network(path, &n);
}

void load_from(const char *path, const load_options *options, memory *m, graph *g) {
  resnet_error error;
  mem_init(m, NULL, 1 << 24);
  if (load_file(g, m, path, options, &error) != RESNET_OK) fail_msg("%s", error.message);
}
