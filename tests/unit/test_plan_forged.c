/* Plan files from an attacker or a bad disk: each ends in a named error. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/graph/graph_check.h"
#include "loader/graph/graph_io.h"
#include "plan_gated.h"
#include "plan_network.h"
#include "plan_seal.h"
#include "rounds.h"
#include "runtime/plan/cost_model.h"
#include "runtime/plan_file/checksum.h"
#include "runtime/plan_file/format.h"

static buffer good, gated; /* plan files of the mixed network and of the gated model */

static int make_good(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network();
  good = plan_compile(&onnx, NULL);
  buffer_release(&onnx);
  resnet_model *model = gated_model();
  assert_int_equal(resnet_model_save(model, plan_path("gated"), NULL), RESNET_OK);
  resnet_model_close(&model);
  gated = plan_read(plan_path("gated"));
  return 0;
}

static int release_good(void **state) {
  (void)state;
  buffer_release(&good);
  buffer_release(&gated);
  return 0;
}

/* Return the op of convolution or fully connected layer `index`. */
static const plan_op *nth_convolution(const resnet_model *model, uint32_t index) {
  const plan_op *op = model->plan.ops;
  for (;; op++)
    if (plan_algorithm_of(op) != PLAN_NO_ALGORITHM && index-- == 0) return op;
}

static buffer copy_of(const buffer *from, size_t size) {
  buffer copy = {0};
  put_bytes(&copy, from->data, size);
  return copy;
}

/* ---- damage ------------------------------------------------------------------------ */

static void every_prefix_is_refused(void **state) {
  (void)state;
  for (size_t size = 0; size < good.size; size++) {
    buffer cut = copy_of(&good, size);
    if (!cut.data) cut.data = malloc(1);
    plan_refuse(&cut, RESNET_ERROR_FORMAT,
                size >= PLAN_MAGIC_SIZE ? "truncated|fetch it again" : "");
    buffer_release(&cut);
  }
}

static void one_byte_more_is_refused(void **state) {
  (void)state;
  buffer more = copy_of(&good, good.size);
  put_bytes(&more, "", 1);
  plan_refuse(&more, RESNET_ERROR_FORMAT, "added");
  buffer_release(&more);
}

static void every_flipped_byte_of_the_front_is_refused(void **state) {
  (void)state;
  plan_file_header h;
  memcpy(&h, good.data, sizeof h);
  for (size_t i = 0; i < h.front_size; i++) {
    resnet_model *model = NULL;
    resnet_error error;
    const uint8_t bit = (uint8_t)(1U << i % 8);
    good.data[i] ^= bit;
    const resnet_status status =
        resnet_model_open_memory(good.data, good.size, NULL, &model, &error);
    good.data[i] ^= bit;
    if (status == RESNET_OK) fail_msg("byte %zu may be anything", i);
    if (status != RESNET_ERROR_FORMAT && status != RESNET_ERROR_UNSUPPORTED)
      fail_msg("%s", error.message);
    if (i >= sizeof h && !strstr(error.message, "checksum"))
      fail_msg("byte %zu: %s", i, error.message);
  }
}

/* Flip one bit of each float of [start,end), of one in rounds_step(). `expected` floats
 * are in blobs, and a flip there is refused by opening or by the first run; nothing reads
 * the gaps between blobs. */
static void check_flips(size_t start, size_t end, size_t expected) {
  const size_t gaps = (end - start + 3) / 4 - expected;
  size_t accepted = 0;
  for (size_t i = start; i < end; i += 4 * rounds_step()) {
    resnet_error error;
    const size_t at = i + i / 4 % 4;
    const uint8_t bit = (uint8_t)(1U << i / 16 % 8);
    good.data[at] ^= bit;
    const resnet_status status = plan_try(&good, &error);
    good.data[at] ^= bit;
    accepted += status == RESNET_OK;
    if (status != RESNET_OK && !strstr(error.message, "damaged: the checksum"))
      fail_msg("%s", error.message);
  }
  if (rounds_step() == 1) assert_int_equal(accepted, gaps);
  assert_true(accepted <= gaps);
}

static void flipped_weights_are_refused(void **state) {
  (void)state;
  const plan_places p = plan_find_places(good.data, good.size);
  size_t floats = 0, packed = 0;
  resnet_model *model = plan_open(&good, NULL);
  for (uint32_t i = 0; i < plan_info(model).op_count; i++) {
    resnet_op op = {.struct_size = sizeof op};
    assert_int_equal(resnet_plan_op(model, i, &op, NULL), RESNET_OK);
    if (strcmp(op.kernel, "affine") != 0 && !strstr(op.detail, "groups 4"))
      packed += op.weights_bytes / 4;
    floats += op.weights_bytes / 4;
  }
  resnet_model_close(&model);
  assert_true(packed > 0 && floats > packed);
  check_flips(p.packed, p.weights, packed);
  /* portable weights that run as they are; the others are refused when they are needed */
  check_flips(p.weights, good.size, floats - packed);
}

static void damage_in_a_large_network_is_found(void **state) {
  (void)state;
  buffer onnx = plan_large_network(), file = plan_compile(&onnx, NULL);
  const plan_places p = plan_find_places(file.data, file.size);
  assert_true(p.weights - p.packed > 8 << 20);
  resnet_model *source = plan_open(&onnx, NULL), *model = plan_open(&file, NULL);
  assert_string_equal(plan_info(model).notice, "");
  plan_assert_same(source, model);
  resnet_model_close(&source);
  resnet_model_close(&model);
  /* the first convolution's, both layers', the last byte before the gap */
  for (size_t i = 0; i < 4; i++) {
    const size_t at = p.packed + (p.weights - p.packed - 64) / 3 * i;
    file.data[at] ^= 0x80;
    plan_refuse(&file, RESNET_ERROR_FORMAT, "checksum|packed weights");
    file.data[at] ^= 0x80;
  }
  buffer_release(&onnx);
  buffer_release(&file);
}

static void damaged_weights_are_neither_saved_nor_packed(void **state) {
  (void)state;
  const plan_places p = plan_find_places(good.data, good.size);
  resnet_error error;
  buffer bad = copy_of(&good, good.size);
  bad.data[p.weights] ^= 1; /* weights of a convolution that was packed */
  resnet_model *model = plan_open(&bad, NULL);
  assert_int_equal(resnet_model_save(model, plan_path("bad"), &error), RESNET_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "checksum"));
  resnet_model_close(&model);
  buffer unrun = copy_of(&good, good.size);
  unrun.data[p.packed] ^= 1; /* packed weights that no run has verified */
  model = plan_open(&unrun, NULL);
  assert_int_equal(resnet_model_save(model, plan_path("bad"), &error), RESNET_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "the checksum of the packed weights of node"));
  resnet_model_close(&model);
  buffer_release(&unrun);
  assert_int_not_equal(access(plan_path("bad"), F_OK), 0);
  /* packed again: with a new crc only, the weights stay damaged */
  bad.data[p.key + 16] ^= 1; /* the CPU */
  plan_file_header h;
  memcpy(&h, bad.data, sizeof h);
  h.crc = plan_file_front_crc(bad.data, (size_t)h.front_size);
  memcpy(bad.data, &h, sizeof h);
  plan_refuse(&bad, RESNET_ERROR_FORMAT, "checksum|weights");
  buffer_release(&bad);
}

static void weights_that_are_not_finite_are_refused(void **state) {
  (void)state;
  const plan_places p = plan_find_places(good.data, good.size);
  static const float numbers[] = {NAN, INFINITY, -INFINITY};
  for (size_t i = 0; i < 3; i++) {
    buffer bad = copy_of(&good, good.size);
    memcpy(bad.data + p.weights, &numbers[i], sizeof numbers[i]);
    bad.data[p.key + 16] ^= 1; /* the CPU */
    plan_seal(bad.data, bad.size);
    plan_refuse(&bad, RESNET_ERROR_FORMAT, "NaN or infinity");
    buffer_release(&bad);
  }
}

/* ---- the checksum ------------------------------------------------------------------ */

/* Plan files must be readable with any version of xxHash: these values are fixed. */
static void checksums_are_xxh3(void **state) {
  (void)state;
  uint8_t bytes[1000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i % 251);
  assert_true(plan_file_checksum(bytes, 0) == UINT64_C(0x2d06800538d394c2));
  assert_true(plan_file_checksum(bytes, 100) == UINT64_C(0x004e4f921a64bd1c));
  assert_true(plan_file_checksum(bytes, 200) == UINT64_C(0xf42a8864feaf0703));
  assert_true(plan_file_checksum(bytes, 1000) == UINT64_C(0x33ef703fb2b20ed1));
}

static void checksums_see_flips_and_swaps(void **state) {
  (void)state;
  enum { WORDS = 4096, BYTES = WORDS * 8 };
  static uint64_t words[WORDS];
  for (size_t i = 0; i < WORDS; i++) words[i] = i * UINT64_C(0x2545F4914F6CDD1D) >> 7;
  const uint64_t sum = plan_file_checksum(words, BYTES);
  for (size_t i = 0; i < WORDS; i += 7)
    for (size_t bit = 0; bit < 64; bit += 9) {
      words[i] ^= UINT64_C(1) << bit;
      assert_true(plan_file_checksum(words, BYTES) != sum);
      words[i] ^= UINT64_C(1) << bit;
    }
  /* two signs, two words, at any distance */
  for (size_t i = 1; i < WORDS; i += 3) {
    words[0] ^= UINT64_C(1) << 63;
    words[i] ^= UINT64_C(1) << 63;
    assert_true(plan_file_checksum(words, BYTES) != sum);
    words[0] ^= UINT64_C(1) << 63;
    words[i] ^= UINT64_C(1) << 63;
    const uint64_t first = words[0];
    words[0] = words[i];
    words[i] = first;
    assert_true(plan_file_checksum(words, BYTES) != sum);
    words[i] = words[0];
    words[0] = first;
  }
  for (size_t size = BYTES - 64; size < BYTES; size++)
    assert_true(plan_file_checksum(words, size) != sum);
  assert_true(plan_file_checksum(words, BYTES) == sum);
}

/* ---- the header -------------------------------------------------------------------- */

/* Return the good file with `number` of `bytes` bytes at `at`, and correct checksums. */
static buffer forge(size_t at, uint64_t number, size_t bytes) {
  buffer file = copy_of(&good, good.size);
  memcpy(file.data + at, &number, bytes);
  plan_seal(file.data, file.size);
  return file;
}

static void refuse_forged(size_t at, uint64_t number, size_t bytes, resnet_status status,
                          const char *fragments) {
  buffer file = forge(at, number, bytes);
  plan_refuse(&file, status, fragments);
  buffer_release(&file);
}

static void forged_headers_are_refused(void **state) {
  (void)state;
  refuse_forged(8, 0x04030201, 4, RESNET_ERROR_UNSUPPORTED, "byte order|compile the plan here");
  refuse_forged(12, PLAN_FORMAT + 1, 4, RESNET_ERROR_UNSUPPORTED,
                "newer library|format is 6|reads 5");
  refuse_forged(12, PLAN_FORMAT - 1, 4, RESNET_ERROR_UNSUPPORTED, "older library");
  refuse_forged(16, good.size + 1, 8, RESNET_ERROR_FORMAT, "truncated");
  refuse_forged(16, UINT64_MAX, 8, RESNET_ERROR_FORMAT, "truncated");
  refuse_forged(16, good.size - 1, 8, RESNET_ERROR_FORMAT, "added");
  refuse_forged(24, UINT64_MAX, 8, RESNET_ERROR_FORMAT, "header");
  refuse_forged(24, good.size + 1, 8, RESNET_ERROR_FORMAT, "header");
  refuse_forged(24, 47, 8, RESNET_ERROR_FORMAT, "header");
  refuse_forged(24, good.size, 8, RESNET_ERROR_FORMAT, "not well-formed");
  refuse_forged(32, UINT64_MAX, 8, RESNET_ERROR_FORMAT, "header");
  refuse_forged(32, 0, 8, RESNET_ERROR_FORMAT, "not well-formed");
  refuse_forged(44, 1, 4, RESNET_ERROR_FORMAT, "header");
}

static void forged_tables_are_refused(void **state) {
  (void)state;
  const plan_places p = plan_find_places(good.data, good.size);
  const float nan = NAN;
  uint32_t bits;
  memcpy(&bits, &nan, sizeof bits);
  refuse_forged(p.tail, 2, 4, RESNET_ERROR_FORMAT, "preprocessing");
  refuse_forged(p.tail + 4, UINT32_MAX, 4, RESNET_ERROR_FORMAT, "preprocessing");
  refuse_forged(p.tail + 36, bits, 4, RESNET_ERROR_FORMAT, "preprocessing");
  refuse_forged(p.tail + 4, 2, 4, RESNET_ERROR_FORMAT, "preprocessing");
  refuse_forged(p.tail + 8, 3, 4, RESNET_ERROR_FORMAT, "preprocessing");
  refuse_forged(p.tail + 32, 3, 4, RESNET_ERROR_FORMAT, "preprocessing");
  /* what the graph shows of its input, which has no values here */
  refuse_forged(p.tail + 64, 4, 4, RESNET_ERROR_FORMAT, "input's values");
  refuse_forged(p.tail + 64, 1, 4, RESNET_ERROR_FORMAT, "input's values");
  refuse_forged(p.tail + 68, 2, 4, RESNET_ERROR_FORMAT, "input's values");
  refuse_forged(p.tail + 100, UINT32_MAX, 4, RESNET_ERROR_FORMAT, "input's values");
  refuse_forged(p.tail + 104, 1, 4, RESNET_ERROR_FORMAT, "labels");
  refuse_forged(p.tail + 104, UINT32_MAX, 4, RESNET_ERROR_FORMAT, "labels");
  refuse_forged(p.key, 4, 4, RESNET_ERROR_FORMAT, "key");
  refuse_forged(p.key + 4, UINT32_MAX, 4, RESNET_ERROR_FORMAT, "key");
  refuse_forged(p.key + 8, 0, 4, RESNET_ERROR_FORMAT, "key");
  refuse_forged(p.key + 12, UINT32_MAX, 4, RESNET_ERROR_FORMAT, "key");
  refuse_forged(p.key + 12, 96, 4, RESNET_ERROR_FORMAT, "key");
  /* a terminal would obey it */
  refuse_forged(p.key + 16, 0x1b, 1, RESNET_ERROR_FORMAT, "key");
  refuse_forged(p.algorithms, 0, 4, RESNET_ERROR_FORMAT, "table of algorithms");
  refuse_forged(p.algorithms, UINT32_MAX, 4, RESNET_ERROR_FORMAT, "table of algorithms");
  refuse_forged(p.algorithms + 4, 1, 4, RESNET_ERROR_UNSUPPORTED,
                "convolution 1|that this library|does not have");
  refuse_forged(p.sums - 4, 0, 4, RESNET_ERROR_FORMAT, "table of weights");
  refuse_forged(p.sums - 4, UINT32_MAX, 4, RESNET_ERROR_FORMAT, "table of weights");
  refuse_forged(p.ops, UINT32_MAX, 4, RESNET_ERROR_FORMAT, "table of packed");
  refuse_forged(p.ops, 0, 4, RESNET_ERROR_FORMAT, "table of packed");
  refuse_forged(p.ops + 8, UINT64_MAX, 8, RESNET_ERROR_FORMAT, "table of packed");
  refuse_forged(p.ops + 8, UINT64_MAX - 63, 8, RESNET_ERROR_FORMAT, "table of packed");
  refuse_forged(p.ops + 8, good.size, 8, RESNET_ERROR_FORMAT, "sections");
  /* the input packs nothing */
  refuse_forged(p.ops + 8, 64, 8, RESNET_ERROR_FORMAT, "sections");
}

/* ---- the algorithms ---------------------------------------------------------------- */

/* Write an algorithm into the file for convolution `index`. */
static void set_algorithm(buffer *file, size_t table, uint32_t index, uint32_t algorithm) {
  const uint32_t crc = plan_file_name_crc(plan_algorithm_name(algorithm));
  memcpy(file->data + table + 4 + 4 * (size_t)index, &crc, sizeof crc);
  plan_seal(file->data, file->size);
}

/* Open a file whose convolution `index`, op `op`, has each algorithm in turn. Those that
 * can compute it are kept, the others refused. */
static void try_algorithms(buffer *file, size_t table, uint32_t index, const plan_op *op) {
  plan_op conv = *op;
  conv.kernel = KERNEL_CONV;
  for (uint32_t i = 0; i < plan_algorithm_count(); i++) {
    set_algorithm(file, table, index, i);
    if (!plan_algorithm_applies(i, &conv) ||
        !plan_algorithm_permitted(i, &conv, &(plan_options){.batch = 1})) {
      plan_refuse(file, RESNET_ERROR_FORMAT, "not well-formed|cannot be computed by");
      plan_refuse(file, RESNET_ERROR_FORMAT, plan_algorithm_name(i));
      continue;
    }
    resnet_model *model = plan_open(file, NULL);
    assert_int_equal(plan_algorithm_of(nth_convolution(model, index)), i);
    size_t count;
    float *scores = plan_scores(model, &count);
    for (size_t k = 0; k < count; k++) assert_true(isfinite(scores[k]));
    free(scores);
    resnet_model_close(&model);
  }
  set_algorithm(file, table, index, plan_algorithm_of(op));
}

static void forged_algorithms_run_or_are_refused(void **state) {
  (void)state;
  buffer onnx[] = {plan_mixed_network(), plan_own_kernels_network()};
  for (size_t i = 0; i < 2; i++) {
    buffer file = plan_compile(&onnx[i], NULL);
    resnet_model *model = plan_open(&file, NULL);
    const size_t table = plan_find_places(file.data, file.size).algorithms;
    uint32_t count;
    memcpy(&count, file.data + table, sizeof count);
    assert_true(count > 2);
    for (uint32_t k = 0; k < count; k++) try_algorithms(&file, table, k, nth_convolution(model, k));
    resnet_model_close(&model);
    buffer_release(&file);
    buffer_release(&onnx[i]);
  }
}

/* A file cannot combine algorithms with options that rule them out. */
static void algorithms_obey_the_options_of_the_file(void **state) {
  (void)state;
  buffer onnx = plan_own_kernels_network(), file = plan_compile(&onnx, NULL);
  const size_t key = plan_find_places(file.data, file.size).key;
  const uint32_t direct = RESNET_CONV_DIRECT, xnnpack = RESNET_CONV_XNNPACK,
                 small = RESNET_MEMORY_SMALL;
  const struct {
    size_t at;
    uint32_t value;
  } changes[] = {{key, direct}, {key, xnnpack}, {key + 4, small}};
  for (size_t i = 0; i < 3; i++) {
    buffer bad = copy_of(&file, file.size);
    memcpy(bad.data + changes[i].at, &changes[i].value, sizeof changes[i].value);
    plan_seal(bad.data, bad.size);
    plan_refuse(&bad, RESNET_ERROR_FORMAT, "cannot be computed by");
    buffer_release(&bad);
  }
  buffer_release(&onnx);
  buffer_release(&file);
}

/* ---- the graph --------------------------------------------------------------------- */

enum {
  CONV,
  DEPTHWISE,
  AFFINE,
  ADD,
  OPTION_A,
  MAX_POOL,
  AVERAGE_POOL,
  GLOBAL_POOL,
  LINEAR,
  SOFTMAX,
  PLACES
};

/* Find the index of a node of each kind. */
static void find_places_in(const graph *g, uint32_t places[PLACES]) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    const graph_node *n = &g->nodes[i];
    if (n->op == GRAPH_CONV && n->groups == 1) places[CONV] = i;
    if (n->op == GRAPH_CONV && n->groups == 4) places[DEPTHWISE] = i;
    if (n->op == GRAPH_AFFINE) places[AFFINE] = i;
    if (n->op == GRAPH_ADD) places[ADD] = i;
    if (n->op == GRAPH_SUBSAMPLE) places[OPTION_A] = i;
    if (n->op == GRAPH_MAX_POOL) places[MAX_POOL] = i;
    if (n->op == GRAPH_AVERAGE_POOL) places[AVERAGE_POOL] = i;
    if (n->op == GRAPH_GLOBAL_AVERAGE_POOL) places[GLOBAL_POOL] = i;
    if (n->op == GRAPH_LINEAR) places[LINEAR] = i;
    if (n->op == GRAPH_SOFTMAX) places[SOFTMAX] = i;
  }
}

/* Write a changed graph over that of a copy of the file. It keeps its size unless a text
 * changes. */
static void refuse_graph(const buffer *from, const graph *g, const char *fragments) {
  buffer file = copy_of(from, from->size);
  plan_file_header h;
  memcpy(&h, file.data, sizeof h);
  serial_writer w = {.data = file.data + sizeof h};
  graph_write(&w, g);
  assert_int_equal(w.size, h.graph_size);
  plan_seal(file.data, file.size);
  plan_refuse(&file, RESNET_ERROR_FORMAT, fragments);
  buffer_release(&file);
}

static memory graph_memory;

static graph read_graph(const buffer *from) {
  graph g;
  plan_file_header h;
  resnet_error error;
  mem_init(&graph_memory, NULL, 0);
  memcpy(&h, from->data, sizeof h);
  if (graph_read(&g, &graph_memory, from->data + sizeof h, (size_t)h.graph_size, &error) !=
      RESNET_OK)
    fail_msg("%s", error.message);
  return g;
}

/* Set one field of a copy of node `place` to `value`; the graph must then be refused. */
#define NODE(place, field, value, fragments)                                                       \
  do {                                                                                             \
    graph_node *n = &g.nodes[places[place]];                                                       \
    const graph_node before = *n;                                                                  \
    n->field = (value);                                                                            \
    refuse_graph(from, &g, fragments);                                                             \
    *n = before;                                                                                   \
  } while (0)

/* Check that changed convolutions are refused. */
static void refuse_convolutions(const buffer *from, graph g, const uint32_t *places) {
  NODE(CONV, op, GRAPH_OP_COUNT, "not well-formed");
  NODE(CONV, op, GRAPH_INPUT, "input");
  NODE(CONV, input_count, 3, "not well-formed");
  NODE(CONV, input_count, 0, "number of inputs");
  NODE(CONV, input[0], places[CONV], "comes later");
  NODE(CONV, input[0], RESNET_NO_INDEX, "comes later");
  NODE(CONV, input[1], 0, "too many");
  NODE(CONV, shape.h, 0, "shape");
  NODE(CONV, shape.w, 65536, "shape");
  NODE(CONV, shape.c, UINT32_MAX, "shape");
  NODE(CONV, shape.h, g.nodes[places[CONV]].shape.h + 1, "window");
  NODE(CONV, block, g.block_count, "block");
  NODE(CONV, window.kernel_h, 0, "window");
  NODE(CONV, window.kernel_w, 1025, "window");
  NODE(CONV, window.stride_h, 0, "window");
  NODE(CONV, window.stride_w, 1025, "window");
  NODE(CONV, window.dilation_h, 0, "window");
  NODE(CONV, window.dilation_w, UINT32_MAX, "window");
  NODE(CONV, window.pad_top, 3, "window");
  NODE(CONV, window.pad_right, UINT32_MAX, "window");
  NODE(CONV, groups, 0, "groups");
  NODE(CONV, groups, 3, "groups");
  NODE(DEPTHWISE, groups, 1, "weights");
  NODE(CONV, winograd_safety, GRAPH_WINOGRAD_UNSAFE + 1, "not well-formed");
  NODE(CONV, weight_count, g.nodes[places[CONV]].weight_count + 1, "weights");
  NODE(CONV, weight_count, 0, "weights");
  NODE(CONV, weight_count, SIZE_MAX, "weights");
  NODE(CONV, bias_count, 0, "weights");
  NODE(CONV, clamp_min, NAN, "clamp");
  NODE(CONV, clamp_min, 1e-40F, "clamp is subnormal");
  NODE(CONV, clamp_max, -1e-45F, "clamp is subnormal");
  NODE(CONV, clamp_max, NAN, "clamp");
  NODE(CONV, stride_h, 1, "does not use");
  NODE(CONV, count_padding, true, "does not use");
}

/* Check that other changed operators are refused. */
static void refuse_other_nodes(const buffer *from, graph g, const uint32_t *places) {
  NODE(ADD, input_count, 1, "number of inputs");
  NODE(ADD, input[0], 0, "shape");
  NODE(SOFTMAX, input_count, 2, "number of inputs");
  NODE(ADD, input[1], UINT32_MAX - 1, "comes later");
  NODE(ADD, winograd_safety, GRAPH_WINOGRAD_SAFE, "does not use");
  NODE(ADD, clamp_max, -1.0F, "clamp");
  NODE(LINEAR, groups, 1, "does not use");
  NODE(LINEAR, window.kernel_h, 1, "does not use");
  NODE(LINEAR, bias_count, 1, "weights");
  NODE(AFFINE, weight_count, 3, "weights");
  NODE(AFFINE, shape.h, 4, "weights");
  NODE(OPTION_A, stride_h, 0, "strides");
  NODE(OPTION_A, stride_w, 1, "strides");
  NODE(OPTION_A, channels_before, 3, "channels");
  NODE(OPTION_A, channels_before, UINT32_MAX, "channels");
  NODE(OPTION_A, weight_count, 4, "does not use");
  NODE(MAX_POOL, shape.c, 3, "channels");
  NODE(MAX_POOL, window.dilation_h, 100, "window");
  NODE(AVERAGE_POOL, window.dilation_h, 2, "window");
  NODE(GLOBAL_POOL, shape.h, 2, "(1,1,channels)");
  NODE(SOFTMAX, shape.w, 2, "shape");
  NODE(SOFTMAX, clamp_min, 0.0F, "does not use");
  NODE(SOFTMAX, input[0], 0, "shape");
}

static void forged_nodes_are_refused(void **state) {
  (void)state;
  uint32_t places[PLACES] = {0};
  const buffer *from = &good;
  graph g = read_graph(from);
  find_places_in(&g, places);
  for (size_t i = 0; i < PLACES; i++) assert_true(places[i] > 0);
  refuse_convolutions(from, g, places);
  refuse_other_nodes(from, g, places);
  graph_release(&g);
}

#define GRAPH(field, value, fragments)                                                             \
  do {                                                                                             \
    const graph before = g;                                                                        \
    g.field = (value);                                                                             \
    refuse_graph(from, &g, fragments);                                                             \
    g = before;                                                                                    \
  } while (0)

#define BLOCK(index, field, value, fragments)                                                      \
  do {                                                                                             \
    const graph_block before = g.blocks[index];                                                    \
    g.blocks[index].field = (value);                                                               \
    refuse_graph(from, &g, fragments);                                                             \
    g.blocks[index] = before;                                                                      \
  } while (0)

static void forged_graphs_are_refused(void **state) {
  (void)state;
  uint32_t places[PLACES] = {0};
  const buffer *from = &good;
  graph g = read_graph(from);
  find_places_in(&g, places);
  assert_int_equal(g.block_count, 2);
  GRAPH(output, 0, "output");
  GRAPH(output, g.node_count, "output");
  GRAPH(output, UINT32_MAX, "output");
  GRAPH(output, places[LINEAR], "nothing reads it");
  BLOCK(0, shortcut, RESNET_SHORTCUT_POOL + 1, "not well-formed");
  BLOCK(0, shortcut, RESNET_SHORTCUT_POOL, "of another kind");
  BLOCK(0, shortcut, RESNET_SHORTCUT_NONE, "does not end it");
  BLOCK(0, source, g.node_count, "do not exist");
  BLOCK(0, source, g.blocks[0].add, "do not exist");
  BLOCK(0, source, 0, "source");
  BLOCK(0, add, g.node_count, "do not exist");
  BLOCK(0, add, g.blocks[0].add - 1, "does not end it");
  BLOCK(1, add, g.blocks[0].add, "do not exist");
  BLOCK(1, source, 0, "source");
  NODE(CONV, block, RESNET_NO_INDEX, "block");
  NODE(CONV, block, 0, "block");
  NODE(ADD, block, 0, "block");
  NODE(LINEAR, block, 0, "block");
  NODE(LINEAR, block, 1, "block");
  graph_release(&g);
}

/* Check that changed gates are refused. */
static void refuse_gates(const buffer *from, graph g, const uint32_t *places) {
  NODE(GATED_SIGMOID, shape.c, 7, "shape");
  NODE(GATED_SIGMOID, clamp_min, 0.0F, "does not use");
  NODE(GATED_SIGMOID, input_count, 2, "number of inputs");
  NODE(GATED_SIGMOID, sigmoid, true, "does not use");
  NODE(GATED_SCALE, input_count, 1, "number of inputs");
  NODE(GATED_SCALE, input[0], GATED_STEM, "not that of its input");
  NODE(GATED_SCALE, input[1], GATED_CONV, "nothing reads it");
  NODE(GATED_SCALE, input[1], GATED_REDUCE, "gate is neither (1,1,channels)");
  NODE(GATED_SCALE, input[1], GATED_SCALE, "comes later");
  NODE(GATED_SCALE, shape.h, 5, "not that of its input");
  NODE(GATED_SCALE, clamp_max, NAN, "clamp");
  NODE(GATED_SCALE, pad_mode, GRAPH_PAD_EDGE, "does not use");
  NODE(GATED_SCALE, scalar, 1.0F, "does not use");
  NODE(GATED_SCALE, scalar, NAN, "does not use");
  NODE(GATED_SCALE, weight_count, 8, "does not use");
  NODE(GATED_SCALE, window.kernel_w, 1, "does not use");
  NODE(GATED_CHANNELS, input[0], GATED_CONV_2, "(1,1,channels)");
  NODE(GATED_CHANNELS, input[0], GATED_REDUCE, "(1,1,channels)");
  NODE(GATED_CHANNELS, shape.w, 2, "(1,1,channels)");
  NODE(GATED_CHANNELS, shape.c, 9, "(1,1,channels)");
  NODE(GATED_CHANNELS, window.kernel_w, 0, "along the channels");
  NODE(GATED_CHANNELS, window.kernel_w, 1025, "along the channels");
  NODE(GATED_CHANNELS, window.kernel_w, 4, "along the channels");
  NODE(GATED_CHANNELS, window.kernel_h, 0, "along the channels");
  NODE(GATED_CHANNELS, window.pad_left, 2, "along the channels");
  NODE(GATED_CHANNELS, window.pad_right, 0, "along the channels");
  NODE(GATED_CHANNELS, window.pad_left, 3, "along the channels");
  NODE(GATED_CHANNELS, window.pad_right, UINT32_MAX, "along the channels");
  NODE(GATED_CHANNELS, window.kernel_h, 2, "along the channels");
  NODE(GATED_CHANNELS, window.stride_h, 2, "along the channels");
  NODE(GATED_CHANNELS, window.stride_w, 2, "along the channels");
  NODE(GATED_CHANNELS, window.dilation_h, 2, "along the channels");
  NODE(GATED_CHANNELS, window.dilation_w, 2, "along the channels");
  NODE(GATED_CHANNELS, window.pad_top, 1, "along the channels");
  NODE(GATED_CHANNELS, window.pad_bottom, 1, "along the channels");
  NODE(GATED_CHANNELS, weight_count, 2, "weights");
  NODE(GATED_CHANNELS, weight_count, 0, "weights");
  NODE(GATED_CHANNELS, bias_count, 0, "weights");
  NODE(GATED_CHANNELS, bias_count, 8, "weights");
  NODE(GATED_CHANNELS, clamp_max, 1.0F, "does not use");
  NODE(GATED_CHANNELS, groups, 1, "does not use");
}

/* Check that changed borders are refused. */
static void refuse_borders(const buffer *from, graph g, const uint32_t *places) {
  NODE(GATED_REFLECT, shape.c, 4, "channels");
  NODE(GATED_REFLECT, shape.h, 11, "borders");
  NODE(GATED_REFLECT, shape.w, 9, "borders");
  NODE(GATED_REFLECT, window.pad_top, UINT32_MAX, "borders");
  NODE(GATED_REFLECT, scalar, 1.0F, "does not use");
  NODE(GATED_REFLECT, pad_mode, GRAPH_PAD_EDGE + 1, "not well-formed");
  NODE(GATED_REFLECT, window.kernel_h, 1, "does not use");
  NODE(GATED_REFLECT, window.stride_w, 1, "does not use");
  NODE(GATED_REFLECT, window.dilation_h, 1, "does not use");
  NODE(GATED_REFLECT, weight_count, 1, "does not use");
  NODE(GATED_REFLECT, clamp_min, 0.0F, "does not use");
  NODE(GATED_CONSTANT, scalar, NAN, "NaN or infinity");
  NODE(GATED_CONSTANT, scalar, -INFINITY, "NaN or infinity");
  NODE(GATED_EDGE, window.pad_bottom, 3, "borders");
  NODE(GATED_CONV, pad_mode, GRAPH_PAD_REFLECT, "does not use");
  NODE(GATED_CONV, sigmoid, true, "does not use");
}

static void forged_gates_and_borders_are_refused(void **state) {
  (void)state;
  uint32_t places[GATED_COUNT];
  const buffer *from = &gated;
  graph g = read_graph(from);
  for (uint32_t i = 0; i < GATED_COUNT; i++) places[i] = i;
  refuse_gates(from, g, places);
  refuse_borders(from, g, places);
  graph_release(&g);
}

/* Reflected borders are narrower than what they reflect, on each side: up to 7 of 8
 * pixels. */
static void reflected_borders_are_narrower_than_the_image(void **state) {
  (void)state;
  resnet_error error;
  graph g = read_graph(&gated);
  uint32_t *pads[] = {
      &g.nodes[GATED_REFLECT].window.pad_top, &g.nodes[GATED_REFLECT].window.pad_left,
      &g.nodes[GATED_REFLECT].window.pad_bottom, &g.nodes[GATED_REFLECT].window.pad_right};
  for (size_t i = 0; i < 4; i++)
    for (uint32_t width = 7; width <= 8; width++) {
      graph_node *pad = &g.nodes[GATED_REFLECT];
      const graph_node before = *pad;
      *(i % 2 ? &pad->shape.w : &pad->shape.h) += width - 1;
      *pads[i] = width;
      assert_int_equal(graph_check(&g, &error), RESNET_ERROR_FORMAT);
      const bool at_the_pad = strstr(error.message, "its borders do not give its shape") != NULL;
      /* else the convolution after it fails, whose size was not changed */
      assert_int_equal(at_the_pad, width == 8);
      *pad = before;
    }
  graph_release(&g);
}

static void forged_gates_in_blocks_are_refused(void **state) {
  (void)state;
  uint32_t places[GATED_COUNT];
  const buffer *from = &gated;
  graph g = read_graph(from);
  for (uint32_t i = 0; i < GATED_COUNT; i++) places[i] = i;
  BLOCK(0, shortcut, RESNET_SHORTCUT_NONE, "does not end it");
  BLOCK(1, shortcut, RESNET_SHORTCUT_POOL, "of another kind");
  BLOCK(0, source, GATED_REFLECT, "source");
  BLOCK(1, source, GATED_STEM, "source");
  /* a gate of the block's source, not of the scaled tensor */
  NODE(GATED_SQUEEZE, input[0], GATED_STEM, "branches");
  NODE(GATED_SQUEEZE_2, input[0], GATED_CONSTANT, "branches");
  NODE(GATED_EXPAND, block, RESNET_NO_INDEX, "branches");
  NODE(GATED_CHANNELS, block, 0, "branches");
  NODE(GATED_SIGMOID, block, RESNET_NO_INDEX, "branches");
  NODE(GATED_SCALE, block, 1, "branches");
  /* the shortcut may be the gated branch, and is then no pool */
  const uint32_t shortcut = g.nodes[GATED_ADD].input[1];
  g.nodes[GATED_ADD].input[1] = g.nodes[GATED_ADD].input[0];
  g.nodes[GATED_ADD].input[0] = shortcut;
  refuse_graph(from, &g, "of another kind");
  g.blocks[0].shortcut = RESNET_SHORTCUT_PROJECTION;
  resnet_error error;
  assert_int_equal(graph_check(&g, &error), RESNET_OK);
  graph_release(&g);
}

static void forged_diagnostics_are_refused(void **state) {
  (void)state;
  const buffer *from = &gated;
  graph g = read_graph(from);
  assert_int_equal(g.diagnostic_count, 3);
  static const char orders[] = {'\n', '\x1b', '\x7f'};
  for (size_t i = 0; i < sizeof orders; i++) {
    const char before = g.diagnostics[1].message[3];
    g.diagnostics[1].message[3] = orders[i];
    refuse_graph(from, &g, "diagnostic 1 is not a line of text");
    g.diagnostics[1].message[3] = before;
  }
  g.diagnostics[2].severity = (resnet_severity)(RESNET_WARNING + 1);
  refuse_graph(from, &g, "not well-formed");
  graph_release(&g);
}

static void forged_counts_and_texts_are_refused(void **state) {
  (void)state;
  const size_t graph_at = sizeof(plan_file_header);
  static const uint64_t counts[] = {0, 1, 3, 20002, 65536, UINT32_MAX};
  for (size_t field = 0; field < 4; field++) /* nodes, blocks, labels, diagnostics */
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
      if (field == 2 && counts[i] == 3) continue; /* the true number */
      if (field == 3 && counts[i] == 0) continue;
      refuse_forged(graph_at + 4 * field, counts[i], 4, RESNET_ERROR_FORMAT, "");
    }
  /* the kind of scores */
  refuse_forged(graph_at + 20, RESNET_SCORES_EMBEDDING + 1, 4, RESNET_ERROR_FORMAT,
                "not well-formed");
  refuse_forged(graph_at + 20, RESNET_SCORES_BINARY_LOGIT, 4, RESNET_ERROR_FORMAT,
                "the plan file's scores are (1,1,3)");
  /* the name's length */
  refuse_forged(graph_at + 28, UINT32_MAX, 4, RESNET_ERROR_FORMAT, "not well-formed");
  /* a NUL in it */
  refuse_forged(graph_at + 32, 0, 1, RESNET_ERROR_FORMAT, "not well-formed");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_prefix_is_refused),
      cmocka_unit_test(one_byte_more_is_refused),
      cmocka_unit_test(every_flipped_byte_of_the_front_is_refused),
      cmocka_unit_test(flipped_weights_are_refused),
      cmocka_unit_test(damage_in_a_large_network_is_found),
      cmocka_unit_test(damaged_weights_are_neither_saved_nor_packed),
      cmocka_unit_test(weights_that_are_not_finite_are_refused),
      cmocka_unit_test(checksums_are_xxh3),
      cmocka_unit_test(checksums_see_flips_and_swaps),
      cmocka_unit_test(forged_headers_are_refused),
      cmocka_unit_test(forged_tables_are_refused),
      cmocka_unit_test(forged_algorithms_run_or_are_refused),
      cmocka_unit_test(algorithms_obey_the_options_of_the_file),
      cmocka_unit_test(forged_nodes_are_refused),
      cmocka_unit_test(forged_graphs_are_refused),
      cmocka_unit_test(forged_gates_and_borders_are_refused),
      cmocka_unit_test(reflected_borders_are_narrower_than_the_image),
      cmocka_unit_test(forged_gates_in_blocks_are_refused),
      cmocka_unit_test(forged_diagnostics_are_refused),
      cmocka_unit_test(forged_counts_and_texts_are_refused),
  };
  return cmocka_run_group_tests(tests, make_good, release_good);
}
