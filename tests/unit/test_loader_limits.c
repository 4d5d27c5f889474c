/* Bytes that are no model: special files, damaged gzip and protobuf, limits, failing
 * allocations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader_network.h"

static const load_options usual = {.max_file_bytes = 1 << 22};

/* Return a file with a convolution, normalisation, residual addition, option A,
 * classifier and labels. */
static buffer good_file(void) {
  static const int64_t slices[8] = {0, 0, INT64_MAX, INT64_MAX, 2, 3, 2, 2},
                       pads[8] = {0, 1, 0, 0, 0, 1, 0, 0};
  static const float ones[2] = {1, 1}, zeros[2] = {0};
  network n = {0};
  add_random(&n, "w", "2,3,1,1", 1);
  add_random(&n, "v", "4,2,1,1", 2);
  add_random(&n, "u", "4,2", 3);
  add_floats(&n, "one", "2", ones);
  add_floats(&n, "zero", "2", zeros);
  add_integers(&n, "s", "2", slices);
  add_integers(&n, "e", "2", slices + 2);
  add_integers(&n, "a", "2", slices + 4);
  add_integers(&n, "d", "2", slices + 6);
  add_integers(&n, "p", "8", pads);
  add(&n, "Conv", "x,w", "c", "");
  add(&n, "BatchNormalization", "c,one,zero,zero,one", "b", "");
  add(&n, "Relu", "b", "r", "");
  add(&n, "Conv", "r,v", "q", "strides=2,2");
  add(&n, "Slice", "r,s,e,a,d", "i", "");
  add(&n, "Pad", "i,p", "j", "");
  add(&n, "Add", "q,j", "t", "");
  add(&n, "BatchNormalization", "r,one,zero,zero,one", "unused", "");
  add(&n, "GlobalAveragePool", "t", "g", "");
  add(&n, "Flatten", "g", "f", "");
  add(&n, "Gemm", "f,u", "y", "");
  add_metadata(&n, "resnet.labels", "ship\nplane");
  return finish(&n);
}

/* Return a file with the other operators: an input with channels last, borders of all
 * kinds, gates, ECA, folded nodes, a diagnostic. */
static buffer rich_file(void) {
  static const float number = 2;
  network n = {.opset = 18, .input = "N,8,8,3"};
  add_random(&n, "w", "4,3,3,3", 1);
  add_random(&n, "v", "4,4,1,1", 2);
  add_random(&n, "u", "1,1,3", 3);
  add_random(&n, "b", "4", 4);
  add_floats(&n, "two", "1", &number);
  add_integers(&n, "three", "1", (const int64_t[]){3});
  add_integers(&n, "twice", "1", (const int64_t[]){2});
  add_integers(&n, "around", "4", (const int64_t[]){1, 1, 1, 1});
  add_integers(&n, "rows", "2", (const int64_t[]){1, 2});
  add_integers(&n, "sides", "2", (const int64_t[]){2, 3});
  add_integers(&n, "line", "3", (const int64_t[]){-1, 1, 4});
  add_integers(&n, "pixel", "4", (const int64_t[]){-1, 4, 1, 1});
  add(&n, "Sqrt", "two", "k1", "");
  add(&n, "Pow", "k1,two", "k2", "");
  add(&n, "CastLike", "three,x", "k3", "");
  add(&n, "Mul", "k2,k3", "k4", "");
  add(&n, "Tile", "k4,twice", "k5", ""); /* the first of both is taken */
  add(&n, "Gather", "k5,twice0", "k", "axis=0");
  add_integers(&n, "twice0", "", (const int64_t[]){0});
  add(&n, "Mul", "x,k", "bright", "");
  add(&n, "Pad", "bright,around,,rows", "wide", "");
  add(&n, "Transpose", "wide", "first", "perm=0,3,1,2");
  add(&n, "Conv", "first,w", "c", "pads=3,3,3,3 strides=2,2");
  add(&n, "Pad", "c,around,,sides", "mirrored", "mode=reflect");
  add(&n, "MaxPool", "mirrored", "m", "kernel_shape=3,3");
  add(&n, "Conv", "m,v,b", "a", "");
  add(&n, "Conv", "m,v,b", "q", "");
  add(&n, "GlobalAveragePool", "a", "g", "");
  add(&n, "Reshape", "g,line", "row", "");
  add(&n, "Conv", "row,u", "eca", "pads=1,1");
  add(&n, "Sigmoid", "eca", "s", "");
  add(&n, "Reshape", "s,pixel", "gate", "");
  add(&n, "Shape", "a", "sizes", "");
  add(&n, "Expand", "gate,sizes", "large", "");
  add(&n, "Mul", "large,a", "gated", "");
  add(&n, "Add", "gated,q", "sum", "");
  add(&n, "HardSigmoid", "sum", "t", "");
  end_network(&n);
  return finish(&n);
}

static void refuse_bytes(const buffer *file, resnet_status status, const char *what) {
  graph g;
  resnet_error error;
  assert_int_not_equal(load_bytes(file, &usual, &g, &error), RESNET_OK);
  if (!strstr(error.message, what)) fail_msg("'%s' lacks '%s'", error.message, what);
  if (error.status != status)
    fail_msg("status %d, should be %d: %s", error.status, status, error.message);
}

/* ---- files ------------------------------------------------------------------------- */

static void refuse_file(const char *path, const load_options *options, resnet_status status,
                        const char *what) {
  memory m;
  graph g;
  resnet_error error;
  mem_init(&m, NULL, 0);
  assert_int_equal(load_file(&g, &m, path, options, &error), status);
  if (!strstr(error.message, what)) fail_msg("'%s' lacks '%s'", error.message, what);
  assert_memory_equal(error.message, path, strlen(path));
  assert_null(strstr(error.message + 1, path)); /* once */
  assert_int_equal(m.used, 0);
}

static char folder[] = "/tmp/libresnet-loader-XXXXXX";
static char path[64];

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  (void)snprintf(path, sizeof path, "%s/model", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  (void)unlink(path);
  return rmdir(folder);
}

static void write_file(const buffer *content) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  if (content->size) assert_int_equal(fwrite(content->data, 1, content->size, file), content->size);
  assert_int_equal(fclose(file), 0);
}

static void only_regular_files_are_read(void **state) {
  (void)state;
  (void)unlink(path);
  refuse_file(path, &usual, RESNET_ERROR_IO, "cannot be opened");
  refuse_file(folder, &usual, RESNET_ERROR_IO, "is a directory");
  refuse_file("/dev/null", &usual, RESNET_ERROR_IO, "is a device");
  assert_int_equal(mkfifo(path, 0600), 0);
  /* and does not wait for a writer */
  refuse_file(path, &usual, RESNET_ERROR_IO, "is a FIFO");
  (void)unlink(path);
}

static void file_sizes_are_checked(void **state) {
  (void)state;
  buffer file = good_file(), empty = {0};
  const load_options small = {.max_file_bytes = file.size - 1},
                     exact = {.max_file_bytes = file.size};
  memory m;
  graph g;
  resnet_error error;
  write_file(&empty);
  refuse_file(path, &usual, RESNET_ERROR_FORMAT, "is empty");
  write_file(&file);
  refuse_file(path, &small, RESNET_ERROR_LIMIT, "raise max_file_bytes");
  mem_init(&m, NULL, 0);
  assert_int_equal(load_file(&g, &m, path, &exact, &error), RESNET_OK);
  assert_string_equal(error.message, "");
  assert_int_equal(g.block_count, 1);
  graph_release(&g);
  assert_int_equal(m.used, 0);
  buffer_release(&file);
}

static void memory_sizes_are_checked(void **state) {
  (void)state;
  buffer file = good_file();
  const load_options small = {.max_file_bytes = file.size - 1};
  graph g;
  resnet_error error;
  assert_int_equal(load_bytes(&file, &small, &g, &error), RESNET_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "max_file_bytes"));
  file.size = 0;
  refuse_bytes(&file, RESNET_ERROR_FORMAT, "is empty");
  buffer_release(&file);
}

/* ---- gzip -------------------------------------------------------------------------- */

static void gzip_is_recognised_by_content(void **state) {
  (void)state;
  buffer file = good_file(), packed = gzip(file.data, file.size), first = gzip(file.data, 100);
  buffer second = gzip(file.data + 100, file.size - 100);
  graph g;
  resnet_error error;
  assert_int_equal(load_bytes(&packed, &usual, &g, &error), RESNET_OK);
  assert_int_equal(g.block_count, 1);
  unload(&g);
  /* two members form one file (RFC 1952) */
  put_bytes(&first, second.data, second.size);
  assert_int_equal(load_bytes(&first, &usual, &g, &error), RESNET_OK);
  unload(&g);
  buffer_release(&file);
  buffer_release(&packed);
  buffer_release(&first);
  buffer_release(&second);
}

static void damaged_gzip_is_refused(void **state) {
  (void)state;
  buffer file = good_file(), packed = gzip(file.data, file.size);
  size_t whole = packed.size;
  for (packed.size = 2; packed.size < whole; packed.size++)
    refuse_bytes(&packed, RESNET_ERROR_FORMAT, "damaged or cut-off gzip");
  packed.data[whole / 2] ^= 0x55;
  refuse_bytes(&packed, RESNET_ERROR_FORMAT, "");
  buffer_release(&file);
  buffer_release(&packed);
}

static void gzip_bombs_are_refused(void **state) {
  (void)state;
  size_t size = (1 << 22) + 1;
  uint8_t *zeros = calloc(size, 1);
  buffer bomb = gzip(zeros, size);
  refuse_bytes(&bomb, RESNET_ERROR_LIMIT,
               "unpacks to more than 4194304 bytes: raise max_file_bytes");
  free(zeros);
  buffer_release(&bomb);
}

/* ---- the wire format --------------------------------------------------------------- */

static void refuse_truncations(buffer file) {
  graph g;
  resnet_error error;
  size_t whole = file.size;
  if (load_bytes(&file, &usual, &g, &error) != RESNET_OK) fail_msg("%s", error.message);
  unload(&g);
  for (file.size = 0; file.size < whole; file.size++) {
    /* a copy of exactly this size: a sanitizer sees a read beyond it */
    buffer cut = {0};
    put_bytes(&cut, file.data, file.size);
    cut.data = realloc(cut.data, cut.size + !cut.size);
    if (load_bytes(&cut, &usual, &g, &error) == RESNET_OK)
      fail_msg("loaded when cut off at byte %zu", file.size);
    assert_int_equal(error.status, RESNET_ERROR_FORMAT);
    buffer_release(&cut);
  }
  buffer_release(&file);
}

static void every_truncation_is_refused(void **state) {
  (void)state;
  refuse_truncations(good_file());
  refuse_truncations(rich_file());
}

static void refuse_wire(const char *bytes, size_t size, const char *what) {
  buffer file = {0};
  put_bytes(&file, bytes, size);
  refuse_bytes(&file, RESNET_ERROR_FORMAT, what);
  buffer_release(&file);
}

static void broken_protobuf_is_refused(void **state) {
  (void)state;
  refuse_wire("\x00\x01", 2, "field number 0 at byte 1 (in ModelProto)");
  refuse_wire("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, "overlong number");
  refuse_wire("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "overlong number");
  refuse_wire("\x0a\x01x", 3, "wrong wire type"); /* ir_version as text */
  refuse_wire("\x38\x01", 2, "wrong wire type");  /* graph as a number */
  /* graph longer than the file */
  refuse_wire("\x3a\x05\x12", 3, "beyond the end");
  /* name longer than the graph */
  refuse_wire("\x3a\x04\x12\x05zz", 6, "beyond the end");
  refuse_wire("\x3a\x00\x3a\x00", 4, "field 'graph' given twice");
  refuse_wire("\x0b\x0c", 2, "unknown wire type"); /* a group */
  refuse_wire("\x0e\x00", 2, "unknown wire type");
  refuse_wire("\xff\xff\xff\xff\x7f\x00", 6, "broken field tag");
  refuse_wire("\x3a\x80\x80\x80\x80\x80\x01", 7, "broken length");
  /* an unknown 64-bit field */
  refuse_wire("\xa1\x06\x00\x00", 4, "number that is cut off");
  /* float_data of one byte */
  refuse_wire("\x3a\x05\x2a\x03\x22\x01x", 7, "no multiple");
  refuse_wire("\x3a\x0e\x2a\x0c\x3a\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16,
              "overlong number");
  refuse_wire("GIF89a", 6, "is a GIF image, not an ONNX model");
}

static void deep_nesting_is_refused(void **state) {
  (void)state;
  buffer file = {0};
  /* GraphProto, its node, the node's attribute, the attribute's graph, ... */
  static const uint32_t path_of_fields[3] = {6, 5, 1};
  for (size_t i = 0; i < 3000; i++) {
    buffer outer = {0};
    put_message(&outer, path_of_fields[i % 3], &file);
    file = outer;
  }
  buffer model = {0};
  put_message(&model, 7, &file);
  refuse_bytes(&model, RESNET_ERROR_LIMIT, "nested more than 24 deep");
  buffer_release(&model);
}

static void floods_of_fields_are_refused(void **state) {
  (void)state;
  buffer file = {0};
  /* unknown field 12 */
  for (size_t i = 0; i < 1000001; i++) put_bytes(&file, "\x60\x00", 2);
  refuse_bytes(&file, RESNET_ERROR_LIMIT, "more than 1000000 fields");
  buffer_release(&file);
}

/* One byte of the file becomes eight bytes of memory. */
static void decoded_size_is_bounded(void **state) {
  (void)state;
  enum { COUNT = 1 << 20 };
  buffer file = {0}, list = {0}, tensor = {0}, model = {0};
  graph g;
  resnet_error error;
  memory m;
  for (size_t i = 0; i < COUNT; i++) put_varint(&list, 1);
  put_message(&tensor, 7, &list);
  put_message(&file, 5, &tensor);
  put_message(&model, 7, &file);
  mem_init(&m, NULL, 4 << 20);
  assert_int_equal(load_memory(&g, &m, model.data, model.size, &usual, &error), RESNET_ERROR_LIMIT);
  assert_non_null(strstr(error.message, " GiB)"));
  assert_non_null(strstr(error.message, "raise max_memory_bytes"));
  assert_int_equal(m.used, 0);
  assert_true(m.peak < COUNT);
  buffer_release(&model);
}

/* ---- versions ---------------------------------------------------------------------- */

static void refuse_version(int64_t opset, int64_t ir, const char *what) {
  network n = {.opset = opset, .ir = ir};
  add(&n, "Relu", "x", "y", "");
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, what);
}

static void accept_version(int64_t opset, int64_t ir) {
  network n = {.opset = opset, .ir = ir};
  graph g;
  begin_network(&n);
  add(&n, "Relu", "c", "t", "");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(g.opset, opset);
  unload(&g);
}

static void versions_are_checked(void **state) {
  (void)state;
  refuse_version(29, 7, "opset 29: 1 to 28 is accepted; export with opset_version=28");
  refuse_version(13, 2, "IR version 2: 3 to 14 is accepted");
  refuse_version(13, 15, "IR version 15: 3 to 14 is accepted");
  refuse_version(-2, 7, "opset -2: 1 to 28 is accepted; convert");
  accept_version(1, 3);
  accept_version(28, 14);
  refuse_version(-1, 7, "opset -1");
}

static void add_function(network *n, const char *name, const char *domain) {
  buffer function = {0};
  put_text(&function, 1, name);
  put_text(&function, 10, domain);
  put_message(&n->extra, 25, &function);
}

/* Calls of functions are refused by their domain (test_loader_operators.c). */
static void uncalled_functions_are_ignored(void **state) {
  (void)state;
  network n = {0}, own = {0};
  graph g;
  begin_network(&n);
  add_function(&n, "Rank", "pkg.onnxscript.torch_lib.common");
  add(&n, "Relu", "c", "t", "");
  end_network(&n);
  load_good(&n, &g);
  unload(&g);
  begin_network(&own);
  add_function(&own, "Relu", "");
  add(&own, "Relu", "c", "t", "");
  end_network(&own);
  refuse_network(&own, RESNET_ERROR_UNSUPPORTED,
                 "'Relu' in place of ONNX's own|inline_local_functions");
}

static void subgraphs_are_refused(void **state) {
  (void)state;
  network n = {0};
  buffer node = {0}, attribute = {0};
  put_text(&attribute, 1, "body");
  put_field(&attribute, 6, "", 0);
  put_text(&node, 1, "x");
  put_text(&node, 2, "y");
  put_text(&node, 4, "Relu");
  put_message(&node, 5, &attribute);
  put_message(&n.graph, 1, &node);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, "'body' holds a subgraph|control flow");
}

/* ---- memory ------------------------------------------------------------------------ */

typedef struct countdown {
  size_t left, live;
} countdown;

static void *count_allocate(void *context, size_t size) {
  countdown *c = context;
  if (c->left == 0) return NULL;
  c->left--;
  c->live++;
  return malloc(size);
}

static void count_release(void *context, void *pointer) {
  ((countdown *)context)->live--;
  free(pointer);
}

/* Fail every allocation once, for plain and packed bytes. */
static void failing_allocations_are_survived(void **state) {
  (void)state;
  buffer plain = good_file(), packed = gzip(plain.data, plain.size), rich = rich_file();
  const buffer *files[3] = {&plain, &packed, &rich};
  for (size_t k = 0; k < 3; k++) {
    resnet_status status = RESNET_ERROR_MEMORY;
    size_t allowed = 0;
    for (; status != RESNET_OK; allowed++) {
      countdown c = {allowed, 0};
      const resnet_allocator hooks = {&c, count_allocate, count_release};
      memory m;
      graph g;
      resnet_error error;
      mem_init(&m, &hooks, 0);
      status = load_memory(&g, &m, files[k]->data, files[k]->size, &usual, &error);
      if (status == RESNET_OK)
        graph_release(&g);
      else
        assert_int_equal(status, RESNET_ERROR_MEMORY);
      assert_int_equal(c.live, 0);
      assert_int_equal(m.used, 0);
    }
    assert_true(allowed > 100);
  }
  buffer_release(&plain);
  buffer_release(&packed);
  buffer_release(&rich);
}

/* Every budget gives the graph, or a refusal that states the budget. */
static void budgets_are_kept(void **state) {
  (void)state;
  buffer file = good_file();
  resnet_status status = RESNET_ERROR_LIMIT;
  for (uint64_t budget = 1; status != RESNET_OK; budget += 509) {
    memory m;
    graph g;
    resnet_error error;
    mem_init(&m, NULL, budget);
    status = load_memory(&g, &m, file.data, file.size, &usual, &error);
    assert_true(m.peak <= budget);
    if (status == RESNET_OK) {
      graph_release(&g);
    } else {
      assert_int_equal(status, RESNET_ERROR_LIMIT);
      assert_non_null(strstr(error.message, "max_memory_bytes"));
    }
    assert_int_equal(m.used, 0);
  }
  buffer_release(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_regular_files_are_read),
      cmocka_unit_test(file_sizes_are_checked),
      cmocka_unit_test(memory_sizes_are_checked),
      cmocka_unit_test(gzip_is_recognised_by_content),
      cmocka_unit_test(damaged_gzip_is_refused),
      cmocka_unit_test(gzip_bombs_are_refused),
      cmocka_unit_test(every_truncation_is_refused),
      cmocka_unit_test(broken_protobuf_is_refused),
      cmocka_unit_test(deep_nesting_is_refused),
      cmocka_unit_test(floods_of_fields_are_refused),
      cmocka_unit_test(decoded_size_is_bounded),
      cmocka_unit_test(versions_are_checked),
      cmocka_unit_test(uncalled_functions_are_ignored),
      cmocka_unit_test(subgraphs_are_refused),
      cmocka_unit_test(failing_allocations_are_survived),
      cmocka_unit_test(budgets_are_kept),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
