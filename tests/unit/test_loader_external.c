/* External data: weights in files beside the model, and all that may be wrong with these
 * files and their names. Each file is opened in three ways: by the kernel's openat2, and
 * folder by folder where a sandbox has it or answers for it (ENOSYS, EPERM). For that,
 * this program's own syscall() stands before the C library's. */
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

#include "loader_net.h"

/* onnx/onnx.proto: TensorProto.DataType, and fields of TensorProto */
enum { FLOAT = 1, INT32 = 6, INT64 = 7, BOOL = 9, FLOAT16 = 10, DOUBLE = 11 };
enum { RAW_DATA = 9, EXTERNAL_DATA = 13, DATA_LOCATION = 14, INITIALIZER = 5 };

static const load_options on = {.max_file_bytes = 1 << 26, .external_data = true},
                          off = {.max_file_bytes = 1 << 26};

/* ---- the kernel -------------------------------------------------------------------- */

/* the errno that it fails with; 0: as the kernel will */
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

/* ---- files ------------------------------------------------------------------------- */

static char folder[] = "/tmp/libresnet-external-XXXXXX";

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) && chdir(folder) == 0 && mkdir("sub", 0700) == 0 ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  static const char *const names[] = {"model", "w",    "v",       "sub/w", "link", "sublink",
                                      "hard",  "fifo", "a/model", "a/w",   "f0",   "f1",
                                      "f2",    "f3",   "f4",      "f5"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) (void)unlink(names[i]);
  (void)rmdir("sub");
  (void)rmdir("a");
  return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void write_bytes(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  if (size) assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

static void write_net(const char *path, net *n) {
  buffer file = finish(n);
  write_bytes(path, file.data, file.size);
  buffer_release(&file);
}

static size_t descriptors(void) {
  size_t open_ones = 0;
  for (int i = 0; i < 256; i++) open_ones += fcntl(i, F_GETFD) >= 0;
  return open_ones;
}

/* ---- nets -------------------------------------------------------------------------- */

static buffer begin_tensor(const char *name, uint64_t type, uint64_t rows, uint64_t columns) {
  buffer tensor = {0};
  put_number(&tensor, 1, rows);
  put_number(&tensor, 1, columns);
  put_number(&tensor, 2, type);
  put_text(&tensor, 8, name);
  put_number(&tensor, DATA_LOCATION, 1);
  return tensor;
}

/* "k", (3,2) as the matrix of a fully connected layer over three channels. */
static void add_external(net *n, const char *name, uint64_t type, const char *entries) {
  buffer tensor = begin_tensor(name, type, 3, 2);
  put_external(&tensor, entries);
  put_message(&n->graph, INITIALIZER, &tensor);
}

static void add_layer(net *n) {
  add(n, "GlobalAveragePool", "x", "p", "");
  add(n, "Flatten", "p", "f", "");
  add(n, "MatMul", "f,k", "y", "");
}

static void write_model(const char *path, uint64_t type, const char *entries) {
  net n = {0};
  add_external(&n, "k", type, entries);
  add_layer(&n);
  write_net(path, &n);
}

/* ---- what happens ------------------------------------------------------------------ */

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

/* The model "model" is refused, however its files are opened. */
static void refuse_model(resnet_status status, const char *fragments) {
  for (size_t i = 0; i < 3; i++) {
    openat2_fails = ways[i];
    refuse_here("model", &on, status, fragments);
  }
  openat2_fails = 0;
}

static void refuse_entries(const char *entries, resnet_status status, const char *fragments) {
  write_model("model", FLOAT, entries);
  refuse_model(status, fragments);
}

static void load_from(const char *path, const load_options *options, memory *m, graph *g) {
  resnet_error error;
  mem_init(m, NULL, 1 << 24);
  if (load_file(g, m, path, options, &error) != RESNET_OK) fail_msg("%s", error.message);
}

static void load_here(const char *path, const float expected[6]) {
  memory m;
  graph g;
  size_t before = descriptors();
  load_from(path, &on, &m, &g);
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

static const float numbers[8] = {1, -2.5F, 1e-30F, 3e38F, 0.1F, -0.0F, 7, 8};

/* ---- what is read ------------------------------------------------------------------ */

static void weights_are_read_from_files(void **state) {
  (void)state;
  write_bytes("w", numbers, sizeof numbers);
  write_bytes("sub/w", numbers, sizeof numbers);
  static const char *const whole[] = {
      "location=w offset=0 length=24",
      "location=w length=24",
      "location=w", /* the rest of the file is others' */
      "location=./w offset=0 length=24",
      "location=sub/w length=24",
      "location=sub/./w length=24",
      "checksum=da39a3ee5e6b4b0d3255bfef95601890afd80709 length=24 offset=0 location=w"};
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
    write_model("model", FLOAT, whole[i]);
    load_model("model", numbers);
  }
  write_model("model", FLOAT, "location=w offset=8 length=24");
  load_model("model", numbers + 2);
  write_model("model", FLOAT, "location=w offset=00000000000000000000008");
  load_model("model", numbers + 2);
}

static void each_way_opens_the_file(void **state) {
  (void)state;
  write_bytes("w", numbers, sizeof numbers);
  write_model("model", FLOAT, "location=w");
  for (size_t i = 0; i < 3; i++) {
    openat2_fails = ways[i];
    openat2_calls = 0;
    load_here("model", numbers);
#ifdef SYS_openat2
    assert_int_equal(openat2_calls, 1);
#endif
  }
  openat2_fails = 0;
}

static void the_folder_is_that_of_the_path_as_given(void **state) {
  (void)state;
  char path[64];
  assert_int_equal(mkdir("a", 0700), 0);
  write_bytes("w", numbers, sizeof numbers);
  write_model("model", FLOAT, "location=w");
  (void)snprintf(path, sizeof path, "%s/model", folder);
  load_model(path, numbers);
  load_model("sub/../model", numbers);
  assert_int_equal(symlink("../model", "a/model"), 0);
  refuse_here("a/model", &on, RESNET_ERROR_IO, "a/model: tensor 'k', file 'w': is not there");
  write_bytes("a/w", numbers + 2, 24);
  load_model("a/model", numbers + 2);
  /* the caller's own path may lead through links */
  assert_int_equal(symlink("a", "sublink"), 0);
  load_model("sublink/model", numbers + 2);
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

/* The shape of a Reshape, in another file; of bools, which may be no shape of three
 * channels, the message tells. */
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
    net n = {0};
    buffer tensor = begin_tensor("k", cases[i].type, 1, 2);
    put_external(&tensor, "location=w");
    put_message(&n.graph, INITIALIZER, &tensor);
    add(&n, "GlobalAveragePool", "x", "p", "");
    add(&n, "Squeeze", "k", "shape", "");
    add(&n, "Reshape", "p,shape", "y", "");
    write_net("model", &n);
    write_bytes("w", cases[i].data, cases[i].size);
    if (cases[i].type == BOOL) {
      refuse_model(RESNET_ERROR_FORMAT, "reshapes 3 elements to a shape of 1");
      continue;
    }
    memory m;
    graph g;
    load_from("model", &on, &m, &g);
    assert_int_equal(g.nodes[g.output].shape.c, 3);
    graph_release(&g);
  }
}

static void a_constant_nodes_tensor_is_read(void **state) {
  (void)state;
  net n = {0};
  buffer node = {0}, attribute = {0}, tensor = begin_tensor("inner", FLOAT, 3, 2);
  write_bytes("w", numbers, sizeof numbers);
  put_external(&tensor, "location=w offset=4 length=24");
  put_text(&attribute, 1, "value");
  put_number(&attribute, 20, 4);
  put_message(&attribute, 5, &tensor);
  put_text(&node, 2, "k");
  put_text(&node, 4, "Constant");
  put_message(&node, 5, &attribute);
  put_message(&n.graph, 1, &node);
  add_layer(&n);
  write_net("model", &n);
  load_model("model", numbers + 1);
  (void)unlink("w");
  refuse_model(RESNET_ERROR_IO, "tensor 'inner', file 'w': is not there");
}

static void empty_tensors_need_an_empty_range(void **state) {
  (void)state;
  net n = {0};
  buffer tensor = begin_tensor("k", FLOAT, 0, 2);
  put_external(&tensor, "location=w length=0");
  put_message(&n.graph, INITIALIZER, &tensor);
  add_layer(&n);
  write_net("model", &n);
  write_bytes("w", "", 0);
  refuse_model(RESNET_ERROR_FORMAT, "weights take 0 numbers, its input has 3");
}

/* Six files, of two tensors each, of which four stay open; then one file of all. */
static void files_are_opened_once(void **state) {
  (void)state;
  for (int shared = 0; shared < 2; shared++) {
    net n = {0};
    for (int i = 0; i < 6; i++) {
      char name[16], entries[64], file[4];
      (void)snprintf(file, sizeof file, "f%d", shared ? 0 : i);
      write_bytes(file, numbers, sizeof numbers);
      for (int twin = 0; twin < 2; twin++) {
        (void)snprintf(name, sizeof name, "k%d%d", i, twin);
        (void)snprintf(entries, sizeof entries, "location=%s length=24", file);
        add_external(&n, name, FLOAT, entries);
      }
    }
    add(&n, "Concat", "k00,k01,k10,k11,k20,k21,k30,k31,k40,k41,k50,k51", "k", "axis=1");
    add_layer(&n);
    write_net("model", &n);
    memory m;
    graph g;
    size_t before = descriptors();
    openat2_calls = 0;
    load_from("model", &on, &m, &g);
    graph_release(&g);
    assert_int_equal(descriptors(), before);
#ifdef SYS_openat2
    assert_int_equal(openat2_calls, shared ? 1 : 6);
#endif
  }
}

static void what_nothing_reads_is_not_read(void **state) {
  (void)state;
  net n = {0};
  write_bytes("w", numbers, sizeof numbers);
  add_external(&n, "k", FLOAT, "location=w");
  add_external(&n, "unused", FLOAT, "location=nowhere");
  add_layer(&n);
  write_net("model", &n);
  load_model("model", numbers);
}

static void packed_models_have_files_too(void **state) {
  (void)state;
  net n = {0};
  write_bytes("w", numbers, sizeof numbers);
  add_external(&n, "k", FLOAT, "location=w");
  add_layer(&n);
  buffer plain = finish(&n), packed = gzip(plain.data, plain.size);
  write_bytes("model", packed.data, packed.size);
  load_model("model", numbers);
  buffer_release(&plain);
  buffer_release(&packed);
}

/* ---- names ------------------------------------------------------------------------- */

static void paths_that_lead_elsewhere_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT;
  write_bytes("w", numbers, sizeof numbers);
  refuse_entries("location=../w", form,
                 "model: tensor 'k', file '../w': has '..' in its path|in or below the model's");
  refuse_entries("location=sub/../w", form, "has '..' in its path");
  refuse_entries("location=sub/..", form, "has '..' in its path");
  refuse_entries("location=..", form, "has '..' in its path");
  refuse_entries("location=/etc/passwd", form, "file '/etc/passwd': is an absolute path");
  refuse_entries("location=", form, "file '': has no name");
  refuse_entries("location=sub//w", form, "has a folder or file without a name in its path");
  refuse_entries("location=w/", form, "has a folder or file without a name in its path");
  /* two dots alone lead nowhere */
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
  write_bytes("w", numbers, sizeof numbers);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    net n = {0};
    buffer tensor = begin_tensor("k", FLOAT, 3, 2);
    put_external_entry(&tensor, "location", names[i].bytes, names[i].size);
    put_message(&n.graph, INITIALIZER, &tensor);
    add_layer(&n);
    write_net("model", &n);
    refuse_model(RESNET_ERROR_FORMAT, "tensor 'k', file '|has a NUL byte in its name");
  }
  net n = {0};
  buffer tensor = begin_tensor("k", FLOAT, 3, 2), entry = {0};
  put_field(&entry, 1, "location\0", 9);
  put_text(&entry, 2, "w");
  put_message(&tensor, EXTERNAL_DATA, &entry);
  put_message(&n.graph, INITIALIZER, &tensor);
  add_layer(&n);
  write_net("model", &n);
  refuse_model(RESNET_ERROR_FORMAT, "external_data has the key 'location'");
}

static void entries_are_checked(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT;
  write_bytes("w", numbers, sizeof numbers);
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

/* data_location and the entries and the data inside must not contradict each other. */
static void data_in_both_places_are_refused(void **state) {
  (void)state;
  static const char what[] =
      "tensor 'k' has data inside the file and also names an external file for them";
  write_bytes("w", numbers, sizeof numbers);
  for (int external = 0; external < 2; external++) {
    net n = {0};
    buffer tensor = {0};
    put_number(&tensor, 1, 3);
    put_number(&tensor, 1, 2);
    put_number(&tensor, 2, FLOAT);
    put_text(&tensor, 8, "k");
    put_external(&tensor, "location=w");
    put_field(&tensor, RAW_DATA, numbers, 24);
    if (external) put_number(&tensor, DATA_LOCATION, 1);
    put_message(&n.graph, INITIALIZER, &tensor);
    add_layer(&n);
    write_net("model", &n);
    refuse_model(RESNET_ERROR_FORMAT, what);
  }
}

/* ---- files ------------------------------------------------------------------------- */

static void links_are_refused(void **state) {
  (void)state;
  write_bytes("w", numbers, sizeof numbers);
  write_bytes("sub/w", numbers, sizeof numbers);
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
  write_bytes("w", numbers, sizeof numbers);
  assert_int_equal(link("w", "hard"), 0);
  refuse_entries("location=hard length=24", RESNET_ERROR_IO,
                 "file 'hard': has 2 hard links|put a copy in its");
  (void)unlink("w");
  load_model("model", numbers);
  (void)unlink("hard");
}

static void only_regular_files_are_read(void **state) {
  (void)state;
  const resnet_status io = RESNET_ERROR_IO;
  write_bytes("w", numbers, sizeof numbers);
  refuse_entries("location=nowhere", io, "file 'nowhere': is not there: it belongs to the model");
  refuse_entries("location=nowhere/w", io, "is not there");
  refuse_entries("location=w/w", io, "cannot be opened: Not a directory");
  refuse_entries("location=sub", io,
                 "file 'sub': is a directory: weights must be in a regular file");
  refuse_entries("location=.", io, "is a directory");
  assert_int_equal(mkfifo("fifo", 0600), 0);
  /* and waits for no writer */
  refuse_entries("location=fifo", io, "is a FIFO: weights must be in a regular file");
}

/* A model whose path is /dev/stdin lies in /dev, among the devices, and in /proc/self/fd
 * among links that are none. */
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
      refuse_here("/dev/stdin", &on, RESNET_ERROR_IO,
                  "is a device: weights must be in a regular file");
    }
    (void)close(model);
  }
  write_bytes("w", numbers, sizeof numbers);
  write_model("model", FLOAT, "location=0");
  int model = open("model", O_RDONLY);
  assert_int_equal(dup2(model, STDIN_FILENO), STDIN_FILENO);
  for (size_t way = 0; way < 3; way++) {
    openat2_fails = ways[way];
    refuse_here("/proc/self/fd/0", &on, RESNET_ERROR_IO,
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
  write_bytes("w", numbers, sizeof numbers); /* 32 bytes */
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
  write_bytes("w", numbers, 23);
  refuse_entries("location=w", form, "has 23 bytes, but 24 from offset 0 on are needed");
  write_bytes("w", "", 0);
  refuse_entries("location=w", form, "has 0 bytes, but 24 from offset 0 on are needed");
}

/* Dimensions that ask for gigabytes cost nothing where the file does not have them. */
static void nothing_is_allocated_for_bytes_that_are_not_there(void **state) {
  (void)state;
  net n = {0};
  buffer tensor = begin_tensor("k", FLOAT, 3, 1 << 28);
  put_external(&tensor, "location=w");
  put_message(&n.graph, INITIALIZER, &tensor);
  add_layer(&n);
  write_net("model", &n);
  write_bytes("w", numbers, sizeof numbers);
  memory m;
  graph g;
  resnet_error error;
  mem_init(&m, NULL, 0);
  assert_int_equal(load_file(&g, &m, "model", &on, &error), RESNET_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "3221225472 from offset 0 on are needed"));
  assert_true(m.peak < 1 << 20);
}

/* A file with holes is as long as it says, and costs nothing on the disk. */
static void large_files_are_refused(void **state) {
  (void)state;
  const load_options exact = {.max_file_bytes = 1 << 20, .external_data = true};
  write_model("model", FLOAT, "location=w");
  write_bytes("w", numbers, sizeof numbers);
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
  write_bytes("w", numbers, sizeof numbers);
  write_model("model", FLOAT, "location=w");
  openat2_calls = 0;
  refuse_here("model", &off, RESNET_ERROR_UNSUPPORTED,
              "model: tensor 'k', file 'w': files beside|external_data (--external-data)|switch it "
              "on|weights inside");
  assert_int_equal(openat2_calls, 0);
  /* nobody is told to switch it on for this */
  write_model("model", FLOAT, "location=../../etc/passwd");
  refuse_here("model", &off, RESNET_ERROR_FORMAT, "file '../../etc/passwd': has '..' in its path");
}

static void models_in_memory_have_no_files(void **state) {
  (void)state;
  net n = {0};
  graph g;
  resnet_error error;
  write_bytes("w", numbers, sizeof numbers);
  add_external(&n, "k", FLOAT, "location=w");
  add_layer(&n);
  buffer file = finish(&n);
  const load_options *options[2] = {&on, &off};
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(load_bytes(&file, options[i], &g, &error), RESNET_ERROR_UNSUPPORTED);
    assert_string_equal(
        error.message,
        "tensor 'k', file 'w': a model in memory has no files beside it: open it by its "
        "path, with external_data on");
  }
  buffer_release(&file);
}

/* ---- memory ------------------------------------------------------------------------ */

enum { LARGE = 1 << 20 /* bytes of weights: 512 x 512 floats */ };

static void write_large(void) {
  net n = {0};
  buffer tensor = {0};
  static const uint64_t dims[4] = {512, 512, 1, 1};
  float *weights = calloc(LARGE, 1);
  assert_non_null(weights);
  weights[1] = 1;
  write_bytes("w", weights, LARGE);
  free(weights);
  for (size_t i = 0; i < 4; i++) put_number(&tensor, 1, dims[i]);
  put_number(&tensor, 2, FLOAT);
  put_text(&tensor, 8, "k");
  put_number(&tensor, DATA_LOCATION, 1);
  put_external(&tensor, "location=w");
  put_message(&n.graph, INITIALIZER, &tensor);
  n.input = "N,512,1,1";
  add(&n, "Conv", "x,k", "c", "");
  add(&n, "Flatten", "c", "y", "");
  write_net("model", &n);
}

static void weights_stand_in_memory_once(void **state) {
  (void)state;
  memory m;
  graph g;
  write_large();
  load_from("model", &on, &m, &g);
  assert_float_equal(find_node(&g, "Conv_c")->weights[1], 1, 0);
  if (m.peak > LARGE + LARGE / 4) fail_msg("%llu bytes at the peak", (unsigned long long)m.peak);
  graph_release(&g);
  assert_int_equal(m.used, 0);
}

typedef struct countdown {
  size_t left, live;
  /* a file that is cut off when so much is allocated that it must be for its bytes */
  const char *shortened;
} countdown;

static void *count_allocate(void *context, size_t size) {
  countdown *c = context;
  if (c->shortened && size > LARGE) assert_int_equal(truncate(c->shortened, LARGE - 1), 0);
  if (c->left == 0) return NULL;
  c->left--;
  c->live++;
  return malloc(size);
}

static void count_release(void *context, void *pointer) {
  ((countdown *)context)->live--;
  free(pointer);
}

static void files_that_shrink_are_refused(void **state) {
  (void)state;
  write_large();
  countdown c = {.left = SIZE_MAX, .shortened = "w"};
  const resnet_allocator hooks = {&c, count_allocate, count_release};
  memory m;
  graph g;
  resnet_error error;
  size_t before = descriptors();
  mem_init(&m, &hooks, 0);
  assert_int_equal(load_file(&g, &m, "model", &on, &error), RESNET_ERROR_IO);
  assert_non_null(strstr(error.message, "tensor 'k', file 'w': became shorter while it was read"));
  assert_int_equal(c.live, 0);
  assert_int_equal(descriptors(), before);
}

/* Floats that are moved, halves that are converted, integers. */
static void write_mixture(void) {
  static const int64_t shape[2] = {-1, 2};
  static const uint16_t halves[6] = {0x3c00, 0xc100, 0x3800, 0x7bff, 0x8000, 0x0001};
  net n = {0};
  write_bytes("w", numbers, sizeof numbers);
  write_bytes("v", halves, sizeof halves);
  write_bytes("sub/w", shape, sizeof shape);
  add_external(&n, "k", FLOAT, "location=w offset=4");
  add_external(&n, "h", FLOAT16, "location=v");
  buffer tensor = {0};
  put_number(&tensor, 1, 2);
  put_number(&tensor, 2, INT64);
  put_text(&tensor, 8, "shape");
  put_number(&tensor, DATA_LOCATION, 1);
  put_external(&tensor, "location=sub/w");
  put_message(&n.graph, INITIALIZER, &tensor);
  add(&n, "GlobalAveragePool", "x", "p", "");
  add(&n, "Flatten", "p", "f", "");
  add(&n, "Add", "k,h", "sum", "");
  add(&n, "MatMul", "f,sum", "m", "");
  add(&n, "Reshape", "m,shape", "y", "");
  write_net("model", &n);
}

static void failing_allocations_are_survived(void **state) {
  (void)state;
  resnet_status status = RESNET_ERROR_MEMORY;
  size_t allowed = 0, before = descriptors();
  write_mixture();
  for (; status != RESNET_OK; allowed++) {
    countdown c = {.left = allowed};
    const resnet_allocator hooks = {&c, count_allocate, count_release};
    memory m;
    graph g;
    resnet_error error;
    mem_init(&m, &hooks, 0);
    status = load_file(&g, &m, "model", &on, &error);
    if (status == RESNET_OK)
      graph_release(&g);
    else if (status != RESNET_ERROR_MEMORY)
      fail_msg("%s", error.message);
    assert_int_equal(c.live, 0);
    assert_int_equal(m.used, 0);
    assert_int_equal(descriptors(), before);
  }
  assert_true(allowed > 50);
}

static void budgets_are_kept(void **state) {
  (void)state;
  resnet_status status = RESNET_ERROR_LIMIT;
  write_large();
  for (uint64_t budget = 1; status != RESNET_OK; budget += 4999) {
    memory m;
    graph g;
    resnet_error error;
    mem_init(&m, NULL, budget);
    status = load_file(&g, &m, "model", &on, &error);
    assert_true(m.peak <= budget);
    if (status == RESNET_OK) {
      graph_release(&g);
    } else {
      assert_int_equal(status, RESNET_ERROR_LIMIT);
      assert_non_null(strstr(error.message, "max_memory_bytes"));
    }
    assert_int_equal(m.used, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weights_are_read_from_files),
      cmocka_unit_test(each_way_opens_the_file),
      cmocka_unit_test(the_folder_is_that_of_the_path_as_given),
      cmocka_unit_test(every_type_of_floats_is_read),
      cmocka_unit_test(every_type_of_integers_is_read),
      cmocka_unit_test(a_constant_nodes_tensor_is_read),
      cmocka_unit_test(empty_tensors_need_an_empty_range),
      cmocka_unit_test(files_are_opened_once),
      cmocka_unit_test(what_nothing_reads_is_not_read),
      cmocka_unit_test(packed_models_have_files_too),
      cmocka_unit_test(paths_that_lead_elsewhere_are_refused),
      cmocka_unit_test(a_nul_byte_ends_no_name),
      cmocka_unit_test(entries_are_checked),
      cmocka_unit_test(data_in_both_places_are_refused),
      cmocka_unit_test(links_are_refused),
      cmocka_unit_test(hard_links_are_refused),
      cmocka_unit_test(only_regular_files_are_read),
      cmocka_unit_test(devices_are_refused),
      cmocka_unit_test(ranges_stay_within_the_file),
      cmocka_unit_test(nothing_is_allocated_for_bytes_that_are_not_there),
      cmocka_unit_test(large_files_are_refused),
      cmocka_unit_test(the_option_is_off_by_default),
      cmocka_unit_test(models_in_memory_have_no_files),
      cmocka_unit_test(weights_stand_in_memory_once),
      cmocka_unit_test(files_that_shrink_are_refused),
      cmocka_unit_test(failing_allocations_are_survived),
      cmocka_unit_test(budgets_are_kept),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
