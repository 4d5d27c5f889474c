/* Initialisers: every way to store numbers, and data that contradict the dimensions. */
#include <math.h>
#include <string.h>

#include "loader_network.h"

/* onnx/onnx.proto, TensorProto.DataType */
enum {
  FLOAT = 1,
  UINT8 = 2,
  INT32 = 6,
  INT64 = 7,
  STRING = 8,
  BOOL = 9,
  FLOAT16 = 10,
  DOUBLE = 11,
  BFLOAT16 = 16
};
/* fields of TensorProto with data */
enum { FLOAT_DATA = 4, INT32_DATA = 5, INT64_DATA = 7, RAW_DATA = 9, DOUBLE_DATA = 10 };

/* Add a tensor "k" of `type` with two dimensions, up to two fields of data, and the
 * fields in `extra`. */
static void add_tensor(network *n, uint64_t type, int64_t rows, int64_t columns, uint32_t field,
                       const void *data, size_t size, buffer *extra) {
  buffer b = {0};
  put_number(&b, 1, (uint64_t)rows);
  put_number(&b, 1, (uint64_t)columns);
  put_number(&b, 2, type);
  put_text(&b, 8, "k");
  if (field) put_field(&b, field, data, size);
  if (extra) put_bytes(&b, extra->data, extra->size);
  if (extra) buffer_release(extra);
  put_message(&n->graph, 5, &b);
}

/* Add a fully connected layer over three channels, with the matrix "k" and two
 * outputs. */
static void add_layer(network *n) {
  add(n, "GlobalAveragePool", "x", "p", "");
  add(n, "Flatten", "p", "f", "");
  add(n, "MatMul", "f,k", "y", "");
}

static void check_numbers(uint64_t type, uint32_t field, const void *data, size_t size,
                          const float expected[6]) {
  network n = {0};
  graph g;
  add_tensor(&n, type, 3, 2, field, data, size, NULL);
  add_layer(&n);
  load_good(&n, &g);
  const graph_node *layer = &g.nodes[g.output];
  for (size_t o = 0; o < 2; o++)
    for (size_t i = 0; i < 3; i++)
      assert_float_equal(layer->weights[o * 3 + i], expected[i * 2 + o], 0);
  unload(&g);
}

/* All test machines are little-endian, and so is raw_data on every machine. */
static void floats_are_read_from_everywhere(void **state) {
  (void)state;
  static const float floats[6] = {1, -2.5F, 1e-30F, 3e38F, 0.1F, -0.0F},
                     small[6] = {1, -2.5F, 0.5F, 65504, 0, 5.9604644775390625e-08F};
  static const double doubles[6] = {1, -2.5, 0.5, 65504, 0, 5.9604644775390625e-08};
  static const float brain[6] = {1, -2.5F, 3.38953139e38F, 0, 9.18354962e-41F, 0.099609375F};
  static const uint16_t brains[6] = {0x3f80, 0xc020, 0x7f7f, 0x8000, 0x0001, 0x3dcc};
  static const uint16_t halves[6] = {0x3c00, 0xc100, 0x3800, 0x7bff, 0x8000, 0x0001};
  buffer packed = {0};
  for (size_t i = 0; i < 6; i++) put_varint(&packed, halves[i]);
  check_numbers(FLOAT, RAW_DATA, floats, sizeof floats, floats);
  check_numbers(FLOAT, FLOAT_DATA, floats, sizeof floats, floats);
  check_numbers(DOUBLE, RAW_DATA, doubles, sizeof doubles, small);
  check_numbers(DOUBLE, DOUBLE_DATA, doubles, sizeof doubles, small);
  check_numbers(FLOAT16, RAW_DATA, halves, sizeof halves, small);
  check_numbers(FLOAT16, INT32_DATA, packed.data, packed.size, small);
  buffer_release(&packed);
  for (size_t i = 0; i < 6; i++) put_varint(&packed, brains[i]);
  check_numbers(BFLOAT16, RAW_DATA, brains, sizeof brains, brain);
  check_numbers(BFLOAT16, INT32_DATA, packed.data, packed.size, brain);
  buffer_release(&packed);
}

/* The shape (6) of a Reshape may have any integer type. */
static void integers_are_read_from_everywhere(void **state) {
  (void)state;
  static const int64_t wide[2] = {-1, 3};
  static const int32_t narrow[2] = {-1, 3};
  static const uint8_t bools[2] = {1, 1};
  buffer packed = {0};
  put_varint(&packed, UINT64_MAX);
  put_varint(&packed, 3);
  const struct {
    uint64_t type;
    uint32_t field;
    const void *data;
    size_t size;
  } cases[] = {{INT64, RAW_DATA, wide, sizeof wide},
               {INT64, INT64_DATA, packed.data, packed.size},
               {INT32, RAW_DATA, narrow, sizeof narrow},
               {INT32, INT32_DATA, packed.data, packed.size}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network n = {0};
    graph g;
    add_tensor(&n, cases[i].type, 1, 2, cases[i].field, cases[i].data, cases[i].size, NULL);
    add(&n, "GlobalAveragePool", "x", "p", "");
    add(&n, "Squeeze", "k", "shape", "");
    add(&n, "Reshape", "p,shape", "y", "");
    load_good(&n, &g);
    assert_int_equal(g.nodes[g.output].shape.c, 3);
    unload(&g);
  }
  network n = {0};
  /* (1,1): does not fit three channels */
  add_tensor(&n, BOOL, 1, 2, RAW_DATA, bools, sizeof bools, NULL);
  add(&n, "Squeeze", "k", "shape", "");
  add(&n, "GlobalAveragePool", "x", "p", "");
  add(&n, "Reshape", "p,shape", "y", "");
  refuse_network(&n, RESNET_ERROR_FORMAT, "reshapes 3 elements to a shape of 1");
  buffer_release(&packed);
}

static void refuse_tensor(uint64_t type, int64_t rows, int64_t columns, size_t raw_size,
                          buffer *extra, resnet_status status, const char *what) {
  static const uint8_t zeros[64];
  network n = {0};
  add_tensor(&n, type, rows, columns, RAW_DATA, zeros, raw_size, extra);
  add_layer(&n);
  refuse_network(&n, status, what);
}

static void contradicting_data_are_refused(void **state) {
  (void)state;
  const resnet_status form = RESNET_ERROR_FORMAT;
  const float one = 1;
  refuse_tensor(FLOAT, 3, 2, 23, NULL, form, "tensor 'k' has 23 bytes of data|ask for 24");
  refuse_tensor(FLOAT, 3, 2, 28, NULL, form, "28 bytes of data|ask for 24");
  refuse_tensor(FLOAT, 3, 2, 0, NULL, form, "0 bytes of data|ask for 24");
  refuse_tensor(FLOAT, 1 << 28, 1 << 28, 24, NULL, form, "24 bytes of data");
  refuse_tensor(FLOAT, 1 << 30, 1 << 30, 24, NULL, form, "dimensions whose product overflows");
  refuse_tensor(FLOAT, INT64_MAX, 4, 24, NULL, form, "product overflows");
  refuse_tensor(FLOAT, INT64_C(1) << 62, 1, 24, NULL, form, "product overflows");
  refuse_tensor(FLOAT, -3, 2, 24, NULL, form, "negative dimension (-3)");
  refuse_tensor(FLOAT, 0, 2, 0, NULL, form, "weights take 0 numbers, its input has 3");
  buffer both = {0}, listed = {0}, other = {0};
  put_field(&both, FLOAT_DATA, &one, sizeof one);
  refuse_tensor(FLOAT, 3, 2, 24, &both, form,
                "data in two places (24 raw bytes, 1 listed numbers)");
  put_field(&listed, FLOAT_DATA, &one, sizeof one);
  refuse_tensor(FLOAT, 3, 2, 0, &listed, form, "1 numbers|ask for 6");
  put_field(&other, INT64_DATA, "\1\1\1\1\1\1", 6);
  refuse_tensor(FLOAT, 3, 2, 0, &other, form, "two places");
}

static void element_types_are_checked(void **state) {
  (void)state;
  const resnet_status not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_tensor(0, 3, 2, 24, NULL, not_yet,
                "tensor 'k' has element type 0: accepted types: float (1)");
  refuse_tensor(STRING, 3, 2, 24, NULL, not_yet, "element type 8");
  refuse_tensor(17, 3, 2, 6, NULL, not_yet, "element type 17");
  refuse_tensor(99, 3, 2, 24, NULL, not_yet, "element type 99");
  refuse_tensor(UINT64_MAX, 3, 2, 24, NULL, not_yet, "element type -1");
  /* uint64 */
  refuse_tensor(13, 3, 2, 48, NULL, not_yet, "MatMul_y|'k' of element type 13");
  refuse_tensor(UINT8, 3, 2, 6, NULL, not_yet, "weights 'k' must be a matrix of floats");
  refuse_tensor(INT64, 3, 2, 48, NULL, not_yet, "weights 'k' must be a matrix of floats");
}

static void numbers_must_be_finite(void **state) {
  (void)state;
  static const float bad[3] = {NAN, INFINITY, -INFINITY};
  for (size_t i = 0; i < 3; i++) {
    float floats[6] = {0};
    network n = {0};
    floats[4] = bad[i];
    add_floats(&n, "k", "3,2", floats);
    add_layer(&n);
    refuse_network(&n, RESNET_ERROR_FORMAT, "MatMul_y|weights 'k' have|at element 4|finite");
  }
}

static void nine_dimensions_are_refused(void **state) {
  (void)state;
  static const float one = 1;
  network n = {0};
  add_floats(&n, "k", "1,1,1,1,1,1,1,1,1", &one);
  add_layer(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, "tensor 'k' has 9 dimensions: up to 8");
}

/* A Constant node's tensor is checked like an initialiser. */
static void constant_nodes_are_checked(void **state) {
  (void)state;
  for (int broken = 0; broken < 2; broken++) {
    static const float floats[6] = {1, 2, 3, 4, 5, 6};
    network n = {0};
    graph g;
    buffer node = {0}, attribute = {0}, tensor = {0};
    put_number(&tensor, 1, 3);
    put_number(&tensor, 1, 2);
    put_number(&tensor, 2, FLOAT);
    put_field(&tensor, RAW_DATA, floats, sizeof floats - (broken ? 4 : 0));
    put_text(&attribute, 1, "value");
    put_number(&attribute, 20, 4);
    put_message(&attribute, 5, &tensor);
    put_text(&node, 2, "k");
    put_text(&node, 4, "Constant");
    put_message(&node, 5, &attribute);
    put_message(&n.graph, 1, &node);
    add_layer(&n);
    if (broken) {
      refuse_network(&n, RESNET_ERROR_FORMAT, "20 bytes of data|ask for 24");
      continue;
    }
    load_good(&n, &g);
    assert_float_equal(g.nodes[g.output].weights[1], 3, 0);
    unload(&g);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(floats_are_read_from_everywhere),
      cmocka_unit_test(integers_are_read_from_everywhere),
      cmocka_unit_test(contradicting_data_are_refused),
      cmocka_unit_test(element_types_are_checked),
      cmocka_unit_test(numbers_must_be_finite),
      cmocka_unit_test(nine_dimensions_are_refused),
      cmocka_unit_test(constant_nodes_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
