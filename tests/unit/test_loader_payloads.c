/* Large weights are read from the stream straight into their final blocks, also if the
 * file describes them wrongly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader_network.h"

static const load_options usual = {.max_file_bytes = 1 << 26};
/* 5400 bytes: above 4096, a block is allocated on its own */
static const char large[] = "50,3,3,3";
enum { LARGE = 50, FLOAT_DATA = 4, RAW_DATA = 9, INITIALIZER = 5, NODE = 1, GRAPH = 7 };

/* Add a layer over "x" with large weights of this seed (0: none), and the network's
 * head. */
static void add_large_layer(network *n, uint32_t seed) {
  if (seed) add_random(n, "w", large, seed);
  add(n, "Conv", "x,w", "c", "");
  add(n, "GlobalAveragePool", "c", "p", "");
  add(n, "Flatten", "p", "y", "");
}

/* Return the weights of seed 1 as a TensorProto with the data in `field`, before their
 * dimensions, type and name. */
static buffer large_tensor(uint32_t field) {
  static const uint64_t dims[4] = {LARGE, 3, 3, 3};
  float numbers[LARGE * 27];
  for (size_t i = 0; i < LARGE * 27; i++) numbers[i] = random_float(1, i);
  buffer tensor = {0};
  put_field(&tensor, field, numbers, sizeof numbers);
  for (size_t i = 0; i < 4; i++) put_number(&tensor, 1, dims[i]);
  put_number(&tensor, 2, 1);
  put_text(&tensor, 8, "w");
  return tensor;
}

static void add_constant_node(network *n, buffer *tensor) {
  buffer node = {0}, value = {0};
  put_text(&value, 1, "value");
  put_message(&value, 5, tensor);
  put_number(&value, 20, 4);
  put_text(&node, 2, "w");
  put_text(&node, 4, "Constant");
  put_message(&node, 5, &value);
  put_message(&n->graph, NODE, &node);
}

static buffer large_file(void) {
  network n = {0};
  add_large_layer(&n, 1);
  return finish(&n);
}

/* Check that the weights (o,h,w,i) are the file's (o,i,h,w) times `factor`. */
static void check_weights(const graph_node *conv, uint32_t seed, float factor) {
  assert_int_equal(conv->weight_count, LARGE * 27);
  for (size_t o = 0; o < LARGE; o++)
    for (size_t i = 0; i < 3; i++)
      for (size_t k = 0; k < 9; k++)
        assert_float_equal(conv->weights[(o * 9 + k) * 3 + i],
                           factor * random_float(seed, (o * 3 + i) * 9 + k), 0);
}

static void refuse_bytes(const buffer *file, resnet_status status, const char *what) {
  graph g;
  resnet_error error;
  assert_int_not_equal(load_bytes(file, &usual, &g, &error), RESNET_OK);
  if (!strstr(error.message, what)) fail_msg("'%s' lacks '%s'", error.message, what);
  if (error.status != status)
    fail_msg("status %d, should be %d: %s", error.status, status, error.message);
}

/* ---- accepted files ---------------------------------------------------------------- */

static void large_weights_are_read_from_everywhere(void **state) {
  (void)state;
  buffer plain = large_file(), packed = gzip(plain.data, plain.size);
  const buffer *files[2] = {&plain, &packed};
  for (size_t k = 0; k < 2; k++) {
    graph g;
    resnet_error error;
    if (load_bytes(files[k], &usual, &g, &error) != RESNET_OK) fail_msg("%s", error.message);
    check_weights(find_node(&g, "Conv_c"), 1, 1);
    unload(&g);
  }
  buffer_release(&plain);
  buffer_release(&packed);
}

static void every_place_of_weights_is_read(void **state) {
  (void)state;
  static const uint32_t fields[2] = {RAW_DATA, FLOAT_DATA};
  for (size_t k = 0; k < 4; k++) {
    network n = {0};
    graph g;
    buffer tensor = large_tensor(fields[k / 2]);
    if (k % 2)
      add_constant_node(&n, &tensor);
    else
      put_message(&n.graph, INITIALIZER, &tensor);
    add_large_layer(&n, 0);
    load_good(&n, &g);
    check_weights(find_node(&g, "Conv_c"), 1, 1);
    unload(&g);
  }
}

/* The graph takes weights over; those that two nodes read must not be scaled for one of
 * them only. */
static void shared_weights_stay_whole(void **state) {
  (void)state;
  static const float zeros[LARGE] = {0};
  float twos[LARGE], ones[LARGE];
  for (size_t i = 0; i < LARGE; i++) twos[i] = 2, ones[i] = 1;
  for (int by_identity = 0; by_identity < 2; by_identity++) {
    network n = {0};
    graph g;
    add_random(&n, "w", large, 1);
    add_floats(&n, "two", "50", twos);
    add_floats(&n, "one", "50", ones);
    add_floats(&n, "zero", "50", zeros);
    if (by_identity) add(&n, "Identity", "w", "v", "");
    add(&n, "Conv", by_identity ? "x,v" : "x,w", "a", "");
    add(&n, "BatchNormalization", "a,two,zero,zero,one", "d", "epsilon=0.0");
    add(&n, "Conv", "x,w", "b", "");
    add(&n, "Add", "d,b", "t", "");
    add(&n, "GlobalAveragePool", "t", "p", "");
    add(&n, "Flatten", "p", "y", "");
    load_good(&n, &g);
    check_weights(find_node(&g, "Conv_a"), 1, 2);
    check_weights(find_node(&g, "Conv_b"), 1, 1);
    unload(&g);
  }
}

/* An initialiser, then large ones: each gets its own data. */
static void weights_find_their_tensor(void **state) {
  (void)state;
  network n = {0};
  graph g;
  add_random(&n, "small", "50", 7);
  add_random(&n, "w", large, 1);
  add_random(&n, "unread", large, 2);
  add_random(&n, "v", "33,50,1,1", 3);
  add(&n, "Conv", "x,w,small", "c", "");
  add(&n, "Conv", "c,v", "e", "");
  add(&n, "GlobalAveragePool", "e", "p", "");
  add(&n, "Flatten", "p", "y", "");
  load_good(&n, &g);
  check_weights(find_node(&g, "Conv_c"), 1, 1);
  const graph_node *conv = find_node(&g, "Conv_e");
  for (size_t i = 0; i < 33 * 50; i++) assert_float_equal(conv->weights[i], random_float(3, i), 0);
  assert_float_equal(find_node(&g, "Conv_c")->bias[49], random_float(7, 49), 0);
  unload(&g);
}

/* ---- memory ------------------------------------------------------------------------ */

/* Loading megabytes of weights keeps one copy in memory, and never the file beside it. */
static void weights_are_in_memory_once(void **state) {
  (void)state;
  enum {
    SIDE = 1024,
    WEIGHTS = SIDE * SIDE * 4,
    BESIDES = 400000 /* zlib's window, two buffers and everything small */
  };
  network n = {0};
  add_random(&n, "u", "1024,3,1,1", 1);
  add_random(&n, "w", "1024,1024,1,1", 2);
  add(&n, "Conv", "x,u", "t", "");
  add(&n, "Conv", "t,w", "c", "");
  add(&n, "GlobalAveragePool", "c", "p", "");
  add(&n, "Flatten", "p", "y", "");
  buffer plain = finish(&n), packed = gzip(plain.data, plain.size);
  const buffer *files[2] = {&plain, &packed};
  for (size_t k = 0; k < 2; k++) {
    memory m;
    graph g;
    resnet_error error;
    mem_init(&m, NULL, 0);
    assert_int_equal(load_memory(&g, &m, files[k]->data, files[k]->size, &usual, &error),
                     RESNET_OK);
    assert_in_range(m.peak, WEIGHTS, WEIGHTS + BESIDES);
    graph_release(&g);
    assert_int_equal(m.used, 0);
  }
  buffer_release(&plain);
  buffer_release(&packed);
}

typedef struct watch {
  size_t left, live, largest;
  /* truncate this file at the first large allocation; NULL: none */
  const char *shortened;
} watch;

static void *watch_allocate(void *context, size_t size) {
  watch *w = context;
  if (w->left == 0) return NULL;
  w->left--;
  w->live++;
  if (size > w->largest) w->largest = size;
  if (w->shortened && size > 1 << 20) assert_int_equal(truncate(w->shortened, 100000), 0);
  return malloc(size);
}

static void watch_release(void *context, void *pointer) {
  ((watch *)context)->live--;
  free(pointer);
}

static resnet_status load_watched(watch *w, const buffer *file, resnet_error *error) {
  const resnet_allocator hooks = {w, watch_allocate, watch_release};
  memory m;
  graph g;
  mem_init(&m, &hooks, 0);
  resnet_status status = load_memory(&g, &m, file->data, file->size, &usual, error);
  if (status == RESNET_OK) graph_release(&g);
  assert_int_equal(w->live, 0);
  assert_int_equal(m.used, 0);
  return status;
}

static void failing_allocations_are_survived(void **state) {
  (void)state;
  buffer plain = large_file(), packed = gzip(plain.data, plain.size);
  const buffer *files[2] = {&plain, &packed};
  for (size_t k = 0; k < 2; k++) {
    resnet_status status = RESNET_ERROR_MEMORY;
    size_t allowed = 0;
    for (; status != RESNET_OK; allowed++) {
      resnet_error error;
      status = load_watched(&(watch){.left = allowed}, files[k], &error);
      if (status != RESNET_OK) assert_int_equal(status, RESNET_ERROR_MEMORY);
    }
    assert_true(allowed > 30);
  }
  buffer_release(&plain);
  buffer_release(&packed);
}

/* ---- lengths that are not true ----------------------------------------------------- */

/* Return the start of a file whose lengths all promise `promised` bytes of raw data, with
 * a few bytes after it. */
static buffer forged(uint32_t promised) {
  buffer raw = {0}, tensor = {0}, file = {0};
  put_varint(&raw, RAW_DATA << 3 | 2);
  put_varint(&raw, promised);
  put_varint(&tensor, INITIALIZER << 3 | 2);
  put_varint(&tensor, promised + raw.size);
  put_varint(&file, GRAPH << 3 | 2);
  put_varint(&file, promised + raw.size + tensor.size);
  put_bytes(&file, tensor.data, tensor.size);
  put_bytes(&file, raw.data, raw.size);
  put_bytes(&file, large, sizeof large);
  buffer_release(&raw);
  buffer_release(&tensor);
  return file;
}

static void lengths_are_not_trusted(void **state) {
  (void)state;
  buffer plain = forged(1 << 30), packed = gzip(plain.data, plain.size);
  const buffer *files[2] = {&plain, &packed};
  for (size_t k = 0; k < 2; k++) {
    watch w = {.left = SIZE_MAX};
    resnet_error error;
    assert_int_equal(load_watched(&w, files[k], &error), RESNET_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "a length that goes beyond the end"));
    assert_in_range(w.largest, 1, 1 << 17);
  }
  buffer_release(&plain);
  buffer_release(&packed);
}

/* Zeros are packed a thousandfold, so the promised length is possible; yet the bytes end
 * early. */
static void packed_weights_may_end_early(void **state) {
  (void)state;
  buffer plain = forged(1 << 20);
  for (size_t i = 0; i < 75000; i++) put_float(&plain, 1, random_float(1, i));
  buffer packed = gzip(plain.data, plain.size);
  refuse_bytes(&packed, RESNET_ERROR_FORMAT, "weights that are cut off at byte");
  buffer_release(&plain);
  buffer_release(&packed);
}

static void lengths_stay_within_the_budget(void **state) {
  (void)state;
  buffer file = large_file();
  memory m;
  graph g;
  resnet_error error;
  mem_init(&m, NULL, 100000);
  buffer entry = {0}, key = {0};
  for (size_t i = 0; i < 30000; i++) put_float(&key, 1, 0);
  put_message(&entry, 1, &key);
  put_message(&file, 14, &entry); /* metadata_props */
  if (load_memory(&g, &m, file.data, file.size, &usual, &error) != RESNET_ERROR_LIMIT)
    fail_msg("%s", error.message);
  assert_non_null(strstr(error.message, "decoding this file takes more than"));
  assert_int_equal(m.used, 0);
  buffer_release(&file);
}

static void data_given_twice_are_refused(void **state) {
  (void)state;
  static uint8_t bytes[LARGE * 27 * 4];
  static const size_t sizes[4][2] = {
      {sizeof bytes, sizeof bytes}, {sizeof bytes, 4}, {4, sizeof bytes}, {0, 5000}};
  for (size_t k = 0; k < 4; k++) {
    network n = {0};
    buffer tensor = {0};
    put_text(&tensor, 8, "w");
    put_field(&tensor, RAW_DATA, bytes, sizes[k][0]);
    put_field(&tensor, RAW_DATA, bytes, sizes[k][1]);
    put_message(&n.graph, INITIALIZER, &tensor);
    add_large_layer(&n, 0);
    refuse_network(&n, RESNET_ERROR_FORMAT, "field 'raw_data' given twice|in TensorProto");
  }
}

/* Protobuf joins a list's pieces. No exporter splits a large list. */
static void lists_in_pieces_are_refused(void **state) {
  (void)state;
  for (size_t size = 4; size <= 5000; size += 4996) {
    network n = {0};
    uint8_t bytes[5000] = {0};
    buffer tensor = large_tensor(FLOAT_DATA);
    put_field(&tensor, FLOAT_DATA, bytes, size);
    put_message(&n.graph, INITIALIZER, &tensor);
    add_large_layer(&n, 0);
    refuse_network(&n, RESNET_ERROR_FORMAT, "field 'float_data' given twice");
  }
  network n = {0};
  buffer tensor = {0}, rest = large_tensor(FLOAT_DATA);
  put_float(&tensor, FLOAT_DATA, 1);
  put_bytes(&tensor, rest.data, rest.size);
  put_message(&n.graph, INITIALIZER, &tensor);
  add_large_layer(&n, 0);
  refuse_network(&n, RESNET_ERROR_FORMAT, "'w' has 1351 numbers, but its dimensions ask for 1350");
  buffer_release(&rest);
}

static void data_in_two_places_are_refused(void **state) {
  (void)state;
  for (size_t order = 0; order < 2; order++) {
    static const uint8_t bytes[5400];
    network n = {0};
    buffer tensor = large_tensor(order ? RAW_DATA : FLOAT_DATA);
    put_field(&tensor, order ? FLOAT_DATA : RAW_DATA, bytes, sizeof bytes);
    put_message(&n.graph, INITIALIZER, &tensor);
    add_large_layer(&n, 0);
    refuse_network(&n, RESNET_ERROR_FORMAT,
                   "data in two places (5400 raw bytes, 1350 listed numbers)");
  }
}

static void contradicting_sizes_are_refused(void **state) {
  (void)state;
  network n = {0};
  buffer tensor = {0}, raw = {0};
  for (size_t i = 0; i < 1500; i++) put_bytes(&raw, large, 4);
  put_number(&tensor, 1, 7);
  put_number(&tensor, 2, 1);
  put_text(&tensor, 8, "spoilt");
  put_message(&tensor, RAW_DATA, &raw);
  put_message(&n.graph, INITIALIZER, &tensor);
  add_large_layer(&n, 1);
  refuse_network(&n, RESNET_ERROR_FORMAT,
                 "'spoilt' has 6000 bytes of data, but its dimensions ask for 28");
}

static void every_truncation_is_refused(void **state) {
  (void)state;
  buffer file = large_file();
  for (size_t size = 0; size < file.size; size++) {
    buffer cut = {0};
    put_bytes(&cut, file.data, size);
    /* of exactly this size: a sanitizer sees a read beyond it */
    cut.data = realloc(cut.data, cut.size + !cut.size);
    refuse_bytes(&cut, RESNET_ERROR_FORMAT, "");
    buffer_release(&cut);
  }
  buffer_release(&file);
}

/* A file is truncated while it is read: a mapped file would end the process (SIGBUS). */
static void files_that_shrink_are_refused(void **state) {
  (void)state;
  char path[] = "/tmp/libresnet-payload-XXXXXX";
  int descriptor = mkstemp(path);
  assert_true(descriptor >= 0);
  network n = {0};
  add_random(&n, "u", "1024,3,1,1", 1);
  add_random(&n, "w", "512,1024,1,1", 2);
  add(&n, "Conv", "x,u", "t", "");
  add(&n, "Conv", "t,w", "c", "");
  add(&n, "GlobalAveragePool", "c", "p", "");
  add(&n, "Flatten", "p", "y", "");
  buffer file = finish(&n);
  assert_int_equal(write(descriptor, file.data, file.size), file.size);
  assert_int_equal(close(descriptor), 0);
  watch w = {.left = SIZE_MAX, .shortened = path};
  const resnet_allocator hooks = {&w, watch_allocate, watch_release};
  memory m;
  graph g;
  resnet_error error;
  mem_init(&m, &hooks, 0);
  assert_int_equal(load_file(&g, &m, path, &usual, &error), RESNET_ERROR_IO);
  assert_non_null(strstr(error.message, "became shorter while it was read"));
  assert_int_equal(w.live, 0);
  (void)unlink(path);
  buffer_release(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(large_weights_are_read_from_everywhere),
      cmocka_unit_test(shared_weights_stay_whole),
      cmocka_unit_test(weights_find_their_tensor),
      cmocka_unit_test(weights_are_in_memory_once),
      cmocka_unit_test(failing_allocations_are_survived),
      cmocka_unit_test(lengths_are_not_trusted),
      cmocka_unit_test(packed_weights_may_end_early),
      cmocka_unit_test(lengths_stay_within_the_budget),
      cmocka_unit_test(data_given_twice_are_refused),
      cmocka_unit_test(every_place_of_weights_is_read),
      cmocka_unit_test(lists_in_pieces_are_refused),
      cmocka_unit_test(data_in_two_places_are_refused),
      cmocka_unit_test(contradicting_sizes_are_refused),
      cmocka_unit_test(every_truncation_is_refused),
      cmocka_unit_test(files_that_shrink_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
