/* External data: weights in files beside the model, and everything that may be wrong with
 * these files and their names. Each file is opened in three ways: by the kernel's
 * openat2, and folder by folder, as in a sandbox that has no openat2 (ENOSYS) or refuses
 * it (EPERM). For that, this program's own syscall() replaces the C library's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "external_files.h"

static const load_options off = {.max_file_bytes = 1 << 26};

/* ---- the kernel -------------------------------------------------------------------- */

/* the errno that openat2 fails with; 0: let the kernel decide */
static int openat2_fails;
static size_t openat2_calls; /* seen */

long syscall(long number, ...) {
  static long (*real)(long, ...);
  long a[6];
  va_list arguments;
  va_start(arguments, number);
  for (size_t i = 0; i < 6; i++) a[i] = va_arg(arguments, long);
  va_end(arguments);
#ifdef SYS_openat2
  if (number == SYS_openat2) {
    openat2_calls++;
    if (openat2_fails) {
      errno = openat2_fails;
      return -1;
    }
  }
#endif
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "syscall");
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static const int ways[3] = {0, ENOSYS, EPERM};

/* ---- expectations ------------------------------------------------------------------ */

static void refuse_here(const char *path, const load_options *options, resnet_status status,
                        const char *fragments) {
  memory m;
  graph g;
  resnet_error error;
  size_t before = descriptors();
  mem_init(&m, NULL, 1 << 24);
  if (load_file(&g, &m, path, options, &error) == RESNET_OK)
    fail_msg("loaded, should be refused: %s", fragments);
  char rest[512];
  (void)snprintf(rest, sizeof rest, "%s", fragments);
  for (char *next, *fragment = strtok_r(rest, "|", &next); fragment;
       fragment = strtok_r(NULL, "|", &next))
    if (!strstr(error.message, fragment)) fail_msg("'%s' lacks '%s'", error.message, fragment);
  if (error.status != status)
    fail_msg("status %d, should be %d: %s", error.status, status, error.message);
  assert_int_equal(m.used, 0);
  assert_int_equal(descriptors(), before);
}

/* Check that the model "model" is refused, however its files are opened. */
static void refuse_model(resnet_status status, const char *fragments) {
  for (size_t i = 0; i < 3; i++) {
    openat2_fails = ways[i];
    refuse_here("model", &external_on, status, fragments);
  }
  openat2_fails = 0;
}

static void refuse_entries(const char *entries, resnet_status status, const char *fragments) {
  write_model("model", FLOAT, entries);
  refuse_model(status, fragments);
}

static void load_here(const char *path, const float expected[6]) {
  memory m;
  graph g;
  size_t before = descriptors();
  load_from(path, &external_on, &m, &g);
  const graph_node *layer = &g.nodes[g.output];
  for (size_t o = 0; o < 2; o++)
    for (size_t i = 0; i < 3; i++)
      assert_float_equal(layer->weights[o * 3 + i], expected[i * 2 + o], 0);
  graph_release(&g);
  assert_int_equal(m.used, 0);
  assert_int_equal(descriptors(), before);
}

static void load_model(const char *path, const float expected[6]) {
  for (size_t i = 0; i < 3; i++) {
    openat2_fails = ways[i];
    load_here(path, expected);
  }
  openat2_fails = 0;
}

/* ---- accepted files ---------------------------------------------------------------- */

static void weights_are_read_from_files(void **state) {
  (void)state;
  write_bytes("w", external_numbers, sizeof external_numbers);
  write_bytes("sub/w", external_numbers, sizeof external_numbers);
  static const char *const whole[] = {
      "location=w offset=0 length=24",
      "location=w length=24",
      "location=w", /* the rest of the file belongs to others */
      "location=./w offset=0 length=24",
      "location=sub/w length=24",
      "location=sub/./w length=24",
      "checksum=da39a3ee5e6b4b0d3255bfef95601890afd80709 length=24 offset=0 location=w"};
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
    write_model("model", FLOAT, whole[i]);
    load_model("model", external_numbers);
  }
  write_model("model", FLOAT, "location=w offset=8 length=24");
  load_model("model", external_numbers + 2);
  write_model("model", FLOAT, "location=w offset=00000000000000000000008");
  load_model("model", external_numbers + 2);
}

static void each_way_opens_the_file(void **state) {
  (void)state;
  write_bytes("w", external_numbers, sizeof external_numbers);
  write_model("model", FLOAT, "location=w");
  for (size_t i = 0; i < 3; i++) {
    openat2_fails = ways[i];
    openat2_calls = 0;
    load_here("model", external_numbers);
#ifdef SYS_openat2
    assert_int_equal(openat2_calls, 1);
#endif
  }
  openat2_fails = 0;
}

static void names_are_relative_to_the_given_path(void **state) {
  (void)state;
  char path[64];
  assert_int_equal(mkdir("a", 0700), 0);
  write_bytes("w", external_numbers, sizeof external_numbers);
  write_model("model", FLOAT, "location=w");
  (void)snprintf(path, sizeof path, "%s/model", external_folder);
  load_model(path, external_numbers);
  load_model("sub/../model", external_numbers);
  assert_int_equal(symlink("../model", "a/model"), 0);
  refuse_here("a/model", &external_on, RESNET_ERROR_IO,
              "a/model: tensor 'k', file 'w': is not there");
  write_bytes("a/w", external_numbers + 2, 24);
  load_model("a/model", external_numbers + 2);
  /* the caller's own path may contain links */
  assert_int_equal(symlink("a", "sublink"), 0);
  load_model("sublink/model", external_numbers + 2);
  (void)unlink("sublink");
  (void)unlink("a/model");
  (void)unlink("a/w");
  (void)rmdir("a");
}

static void every_type_of_floats_is_read(void **state) {
  (void)state;
  static const float small[6] = {1, -2.5F, 0.5F, 65504, 0, 5.9604644775390625e-08F};
  static const double doubles[6] = {1, -2.5, 0.5, 65504, 0, 5.9604644775390625e-08};
  static const uint16_t halves[6] = {0x3c00, 0xc100, 0x3800, 0x7bff, 0x8000, 0x0001};
  write_bytes("w", doubles, sizeof doubles);
  write_model("model", DOUBLE, "location=w length=48");
  load_model("model", small);
  write_bytes("w", halves, sizeof halves);
  write_model("model", FLOAT16, "location=w length=12");
  load_model("model", small);
}

/* The shape of a Reshape is in another file. A shape of bools does not fit three
 * channels, and the message says so. */
static void every_type_of_integers_is_read(void **state) {
  (void)state;
  static const int64_t wide[2] = {-1, 3};
  static const int32_t narrow[2] = {-1, 3};
  static const uint8_t bools[2] = {7, 1};
  const struct {
    uint64_t type;
    const void *data;
    size_t size;
  } cases[3] = {
      {INT64, wide, sizeof wide}, {INT32, narrow, sizeof narrow}, {BOOL, bools, sizeof bools}};
  for (size_t i = 0; i < 3; i++) {
    network n = {0};
    buffer tensor = begin_tensor("k", cases[i].type, 1, 2);
    put_external(&tensor, "location=w");
    put_message(&n.graph, INITIALIZER, &tensor);
    add(&n, "GlobalAveragePool", "x", "p", "");
    add(&n, "Squeeze", "k", "shape", "");
    add(&n, "Reshape", "p,shape", "y", "");
    write_network("model", &n);
    write_bytes("w", cases[i].data, cases[i].size);
    if (cases[i].type == BOOL) {
      refuse_model(RESNET_ERROR_FORMAT, "reshapes 3 elements to a shape of 1");
      continue;
    }
    memory m;
    graph g;
    load_from("model", &external_on, &m, &g);
    assert_int_equal(g.nodes[g.output].shape.c, 3);
    graph_release(&g);
  }
}

static void a_constant_nodes_tensor_is_read(void **state) {
  (void)state;
  network n = {0};
  buffer node = {0}, attribute = {0}, tensor = begin_tensor("inner", FLOAT, 3, 2);
  write_bytes("w", external_numbers, sizeof external_numbers);
  put_external(&tensor, "location=w offset=4 length=24");
  put_text(&attribute, 1, "value");
  put_number(&attribute, 20, 4);
  put_message(&attribute, 5, &tensor);
  put_text(&node, 2, "k");
  put_text(&node, 4, "Constant");
  put_message(&node, 5, &attribute);
  put_message(&n.graph, 1, &node);
  add_layer(&n);
  write_network("model", &n);
  load_model("model", external_numbers + 1);
  (void)unlink("w");
  refuse_model(RESNET_ERROR_IO, "tensor 'inner', file 'w': is not there");
}

static void empty_tensors_need_an_empty_range(void **state) {
  (void)state;
  network n = {0};
  buffer tensor = begin_tensor("k", FLOAT, 0, 2);
  put_external(&tensor, "location=w length=0");
  put_message(&n.graph, INITIALIZER, &tensor);
  add_layer(&n);
  write_network("model", &n);
  write_bytes("w", "", 0);
  refuse_model(RESNET_ERROR_FORMAT, "weights take 0 numbers, its input has 3");
}

/* Six files with two tensors each, of which four stay open; then one file with all. */
static void files_are_opened_once(void **state) {
  (void)state;
  for (int shared = 0; shared < 2; shared++) {
    network n = {0};
    for (int i = 0; i < 6; i++) {
      char name[16], entries[64], file[4];
      (void)snprintf(file, sizeof file, "f%d", shared ? 0 : i);
      write_bytes(file, external_numbers, sizeof external_numbers);
      for (int twin = 0; twin < 2; twin++) {
        (void)snprintf(name, sizeof name, "k%d%d", i, twin);
        (void)snprintf(entries, sizeof entries, "location=%s length=24", file);
        add_external(&n, name, FLOAT, entries);
      }
    }
    add(&n, "Concat", "k00,k01,k10,k11,k20,k21,k30,k31,k40,k41,k50,k51", "k", "axis=1");
    add_layer(&n);
    write_network("model", &n);
    memory m;
    graph g;
    size_t before = descriptors();
    openat2_calls = 0;
    load_from("model", &external_on, &m, &g);
    graph_release(&g);
    assert_int_equal(descriptors(), before);
#ifdef SYS_openat2
    assert_int_equal(openat2_calls, shared ? 1 : 6);
#endif
  }
}

static void unused_tensors_are_not_read(void **state) {
  (void)state;
  network n = {0};
  write_bytes("w", external_numbers, sizeof external_numbers);
  add_external(&n, "k", FLOAT, "location=w");
  add_external(&n, "unused", FLOAT, "location=nowhere");
  add_layer(&n);
  write_network("model", &n);
  load_model("model", external_numbers);
}

static void packed_models_may_have_files(void **state) {
  (void)state;
  network n = {0};
  write_bytes("w", external_numbers, sizeof external_numbers);
  add_external(&n, "k", FLOAT, "location=w");
  add_layer(&n);
  buffer plain = finish(&n), packed = gzip(plain.data, plain.size);
  write_bytes("model", packed.data, packed.size);
  load_model("model", external_numbers);
  buffer_release(&plain);
  buffer_release(&packed);
}

/* ---- names ------------------------------------------------------------------------- */

static void paths_outside_the_folder_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT;
  write_bytes("w", external_numbers, sizeof external_numbers);
  refuse_entries("location=../w", form,
                 "model: tensor 'k', file '../w': has '..' in its path|in or below the model's");
  refuse_entries("location=sub/../w", form, "has '..' in its path");
  refuse_entries("location=sub/..", form, "has '..' in its path");
  refuse_entries("location=..", form, "has '..' in its path");
  refuse_entries("location=/etc/passwd", form, "file '/etc/passwd': is an absolute path");
  refuse_entries("location=", form, "file '': has no name");
  refuse_entries("location=sub//w", form, "has a folder or file without a name in its path");
  refuse_entries("location=w/", form, "has a folder or file without a name in its path");
  /* ".." followed by anything but a slash is an ordinary name */
  refuse_entries("location=..w", RESNET_ERROR_IO, "file '..w': is not there");
  char entries[1100] = "location=";
  memset(entries + 9, 'n', 1023);
  refuse_entries(entries, RESNET_ERROR_IO, "cannot be opened: File name too long");
  entries[9 + 1023] = 'n';
  refuse_entries(entries, form, "has a name of more than 1023 bytes");
}

static void a_nul_byte_ends_no_name(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size;
  } names[] = {{"w\0", 2}, {"w\0/../../etc/passwd", 19}, {"\0", 1}, {"\0w", 2}};
  write_bytes("w", external_numbers, sizeof external_numbers);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    network n = {0};
    buffer tensor = begin_tensor("k", FLOAT, 3, 2);
    put_external_entry(&tensor, "location", names[i].bytes, names[i].size);
    put_message(&n.graph, INITIALIZER, &tensor);
    add_layer(&n);
    write_network("model", &n);
    refuse_model(RESNET_ERROR_FORMAT, "tensor 'k', file '|has a NUL byte in its name");
  }
  network n = {0};
  buffer tensor = begin_tensor("k", FLOAT, 3, 2), entry = {0};
  put_field(&entry, 1, "location\0", 9);
  put_text(&entry, 2, "w");
  put_message(&tensor, EXTERNAL_DATA, &entry);
  put_message(&n.graph, INITIALIZER, &tensor);
  add_layer(&n);
  write_network("model", &n);
  refuse_model(RESNET_ERROR_FORMAT, "external_data has the key 'location'");
}

static void entries_are_checked(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT;
  write_bytes("w", external_numbers, sizeof external_numbers);
  refuse_entries("length=24", form, "tensor 'k', file '': has no name");
  refuse_entries("", form, "has no name");
  refuse_entries("location=w basepath=/etc", form,
                 "has the key 'basepath': location, offset, length and checksum are");
  refuse_entries("location=w location=v", form, "has the key 'location' twice");
  refuse_entries("location=w offset=0 offset=0", form, "has the key 'offset' twice");
  refuse_entries("location=w length=24 length=24", form, "has the key 'length' twice");
  static const char *const wrong[] = {"",
                                      "-1",
                                      "+1",
                                      "1e1",
                                      "0x8",
                                      "8.0",
                                      "8\t",
                                      "\t8",
                                      "9223372036854775808",
                                      "99999999999999999999999"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char entries[64];
    (void)snprintf(entries, sizeof entries, "location=w offset=%s", wrong[i]);
    refuse_entries(entries, form,
                   "file 'w': its offset is '|': a whole number of bytes below 2^63");
    (void)snprintf(entries, sizeof entries, "location=w length=%s", wrong[i]);
    refuse_entries(entries, form,
                   "file 'w': its length is '|': a whole number of bytes below 2^63");
  }
}

/* data_location, the entries and the data inside must not contradict each other. */
static void data_in_both_places_are_refused(void **state) {
  (void)state;
  static const char what[] =
      "tensor 'k' has data inside the file and also names an external file for them";
  write_bytes("w", external_numbers, sizeof external_numbers);
  for (int external = 0; external < 2; external++) {
    network n = {0};
    buffer tensor = {0};
    put_number(&tensor, 1, 3);
    put_number(&tensor, 1, 2);
    put_number(&tensor, 2, FLOAT);
    put_text(&tensor, 8, "k");
    put_external(&tensor, "location=w");
    put_field(&tensor, RAW_DATA, external_numbers, 24);
    if (external) put_number(&tensor, DATA_LOCATION, 1);
    put_message(&n.graph, INITIALIZER, &tensor);
    add_layer(&n);
    write_network("model", &n);
    refuse_model(RESNET_ERROR_FORMAT, what);
  }
}

/* ---- files ------------------------------------------------------------------------- */

static void links_are_refused(void **state) {
  (void)state;
  write_bytes("w", external_numbers, sizeof external_numbers);
  write_bytes("sub/w", external_numbers, sizeof external_numbers);
  assert_int_equal(symlink("w", "link"), 0);
  assert_int_equal(symlink("sub", "sublink"), 0);
  refuse_entries("location=link", RESNET_ERROR_IO,
                 "file 'link': is a symbolic link, or is behind one: put the file");
  refuse_entries("location=sublink/w", RESNET_ERROR_IO,
                 "file 'sublink/w': is a symbolic link, or is behind one");
  (void)unlink("link");
  (void)unlink("sublink");
  static const char *const targets[] = {"/etc/passwd", "..", "nowhere"};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(symlink(targets[i], "link"), 0);
    refuse_entries("location=link", RESNET_ERROR_IO, "is a symbolic link, or is behind one");
    refuse_entries("location=link/w", RESNET_ERROR_IO, "is a symbolic link, or is behind one");
    (void)unlink("link");
  }
}

static void hard_links_are_refused(void **state) {
  (void)state;
  write_bytes("w", external_numbers, sizeof external_numbers);
  assert_int_equal(link("w", "hard"), 0);
  refuse_entries("location=hard length=24", RESNET_ERROR_IO,
                 "file 'hard': has 2 hard links|put a copy in its");
  (void)unlink("w");
  load_model("model", external_numbers);
  (void)unlink("hard");
}

static void only_regular_files_are_read(void **state) {
  (void)state;
  const resnet_status io = RESNET_ERROR_IO;
  write_bytes("w", external_numbers, sizeof external_numbers);
  refuse_entries("location=nowhere", io, "file 'nowhere': is not there: it belongs to the model");
  refuse_entries("location=nowhere/w", io, "is not there");
  refuse_entries("location=w/w", io, "cannot be opened: Not a directory");
  refuse_entries("location=sub", io,
                 "file 'sub': is a directory: weights must be in a regular file");
  refuse_entries("location=.", io, "is a directory");
  assert_int_equal(mkfifo("fifo", 0600), 0);
  /* and does not wait for a writer */
  refuse_entries("location=fifo", io, "is a FIFO: weights must be in a regular file");
}

/* A model at /dev/stdin has the devices of /dev beside it; one at /proc/self/fd/0 has
 * links that are no ordinary ones. */
static void devices_are_refused(void **state) {
  (void)state;
  int saved = dup(STDIN_FILENO);
  for (size_t i = 0; i < 2; i++) {
    write_model("model", FLOAT, i ? "location=zero" : "location=null");
    int model = open("model", O_RDONLY);
    if (access("/dev/stdin", F_OK) != 0) skip();
    assert_int_equal(dup2(model, STDIN_FILENO), STDIN_FILENO);
    for (size_t way = 0; way < 3; way++) {
      openat2_fails = ways[way];
      refuse_here("/dev/stdin", &external_on, RESNET_ERROR_IO,
                  "is a device: weights must be in a regular file");
    }
    (void)close(model);
  }
  write_bytes("w", external_numbers, sizeof external_numbers);
  write_model("model", FLOAT, "location=0");
  int model = open("model", O_RDONLY);
  assert_int_equal(dup2(model, STDIN_FILENO), STDIN_FILENO);
  for (size_t way = 0; way < 3; way++) {
    openat2_fails = ways[way];
    refuse_here("/proc/self/fd/0", &external_on, RESNET_ERROR_IO,
                "file '0': is a symbolic link, or is behind one");
  }
  openat2_fails = 0;
  (void)close(model);
  if (saved >= 0) {
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    (void)close(saved);
  } else {
    (void)close(STDIN_FILENO);
  }
}

static void ranges_stay_within_the_file(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT;
  write_bytes("w", external_numbers, sizeof external_numbers); /* 32 bytes */
  refuse_entries("location=w length=23", form,
                 "file 'w': its length is 23 bytes, its dimensions ask for 24");
  refuse_entries("location=w length=32", form, "its length is 32 bytes, its dimensions ask for 24");
  refuse_entries("location=w length=0", form, "its length is 0 bytes, its dimensions ask for 24");
  refuse_entries("location=w length=9223372036854775807", form,
                 "its length is 9223372036854775807 bytes");
  refuse_entries("location=w offset=9", form,
                 "has 32 bytes, but 24 from offset 9 on are needed: it is cut off or another");
  refuse_entries("location=w offset=33 length=24", form, "24 from offset 33 on");
  refuse_entries("location=w offset=9223372036854775807 length=24", form,
                 "24 from offset 9223372036854775807 on");
  write_bytes("w", external_numbers, 23);
  refuse_entries("location=w", form, "has 23 bytes, but 24 from offset 0 on are needed");
  write_bytes("w", "", 0);
  refuse_entries("location=w", form, "has 0 bytes, but 24 from offset 0 on are needed");
}

/* Dimensions that ask for gigabytes cost nothing if the file does not contain them. */
static void missing_bytes_are_not_allocated(void **state) {
  (void)state;
  network n = {0};
  buffer tensor = begin_tensor("k", FLOAT, 3, 1 << 28);
  put_external(&tensor, "location=w");
  put_message(&n.graph, INITIALIZER, &tensor);
  add_layer(&n);
  write_network("model", &n);
  write_bytes("w", external_numbers, sizeof external_numbers);
  memory m;
  graph g;
  resnet_error error;
  mem_init(&m, NULL, 0);
  assert_int_equal(load_file(&g, &m, "model", &external_on, &error), RESNET_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "3221225472 from offset 0 on are needed"));
  assert_true(m.peak < 1 << 20);
}

/* A sparse file has the length that it claims, and costs no space on the disk. */
static void large_files_are_refused(void **state) {
  (void)state;
  const load_options exact = {.max_file_bytes = 1 << 20, .external_data = true};
  write_model("model", FLOAT, "location=w");
  write_bytes("w", external_numbers, sizeof external_numbers);
  assert_int_equal(truncate("w", (1 << 20) + 1), 0);
  refuse_here("model", &exact, RESNET_ERROR_LIMIT,
              "file 'w': has more than 1048576 bytes: raise max_file_bytes");
  assert_int_equal(truncate("w", 1 << 20), 0);
  memory m;
  graph g;
  load_from("model", &exact, &m, &g);
  graph_release(&g);
}

/* ---- the option -------------------------------------------------------------------- */

static void the_option_is_off_by_default(void **state) {
  (void)state;
  write_bytes("w", external_numbers, sizeof external_numbers);
  write_model("model", FLOAT, "location=w");
  openat2_calls = 0;
  refuse_here("model", &off, RESNET_ERROR_UNSUPPORTED,
              "model: tensor 'k', file 'w': its weights are in another file|set "
              "options.external_data|merge both into one");
  assert_int_equal(openat2_calls, 0);
  /* no message advises to switch it on for this */
  write_model("model", FLOAT, "location=../../etc/passwd");
  refuse_here("model", &off, RESNET_ERROR_FORMAT, "file '../../etc/passwd': has '..' in its path");
}

static void models_in_memory_have_no_files(void **state) {
  (void)state;
  network n = {0};
  graph g;
  resnet_error error;
  write_bytes("w", external_numbers, sizeof external_numbers);
  add_external(&n, "k", FLOAT, "location=w");
  add_layer(&n);
  buffer file = finish(&n);
  const load_options *options[2] = {&external_on, &off};
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(load_bytes(&file, options[i], &g, &error), RESNET_ERROR_UNSUPPORTED);
    assert_string_equal(
        error.message,
        "tensor 'k', file 'w': a model in memory has no files beside it: open it by its "
        "path, with external_data on");
  }
  buffer_release(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weights_are_read_from_files),
      cmocka_unit_test(each_way_opens_the_file),
      cmocka_unit_test(names_are_relative_to_the_given_path),
      cmocka_unit_test(every_type_of_floats_is_read),
      cmocka_unit_test(every_type_of_integers_is_read),
      cmocka_unit_test(a_constant_nodes_tensor_is_read),
      cmocka_unit_test(empty_tensors_need_an_empty_range),
      cmocka_unit_test(files_are_opened_once),
      cmocka_unit_test(unused_tensors_are_not_read),
      cmocka_unit_test(packed_models_may_have_files),
      cmocka_unit_test(paths_outside_the_folder_are_refused),
      cmocka_unit_test(a_nul_byte_ends_no_name),
      cmocka_unit_test(entries_are_checked),
      cmocka_unit_test(data_in_both_places_are_refused),
      cmocka_unit_test(links_are_refused),
      cmocka_unit_test(hard_links_are_refused),
      cmocka_unit_test(only_regular_files_are_read),
      cmocka_unit_test(devices_are_refused),
      cmocka_unit_test(ranges_stay_within_the_file),
      cmocka_unit_test(missing_bytes_are_not_allocated),
      cmocka_unit_test(large_files_are_refused),
      cmocka_unit_test(the_option_is_off_by_default),
      cmocka_unit_test(models_in_memory_have_no_files),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
