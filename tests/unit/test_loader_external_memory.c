/* Memory while external data are loaded: one copy of the weights, budgets, failing
 * allocations, files that shrink. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "external_files.h"

enum { LARGE = 1 << 20 /* bytes of weights: 512 x 512 floats */ };

static void write_large(void) {
  network n = {0};
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
  write_network("model", &n);
}

static void weights_are_in_memory_once(void **state) {
  (void)state;
  memory m;
  graph g;
  write_large();
  load_from("model", &external_on, &m, &g);
  assert_float_equal(find_node(&g, "Conv_c")->weights[1], 1, 0);
  if (m.peak > LARGE + LARGE / 4) fail_msg("%llu bytes at the peak", (unsigned long long)m.peak);
  graph_release(&g);
  assert_int_equal(m.used, 0);
}

typedef struct countdown {
  size_t left, live;
  /* truncate this file when an allocation is so large that it must be for its bytes */
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
  assert_int_equal(load_file(&g, &m, "model", &external_on, &error), RESNET_ERROR_IO);
  assert_non_null(strstr(error.message, "tensor 'k', file 'w': became shorter while it was read"));
  assert_int_equal(c.live, 0);
  assert_int_equal(descriptors(), before);
}

/* Write floats that are moved, halves that are converted, integers. */
static void write_mixture(void) {
  static const int64_t shape[2] = {-1, 2};
  static const uint16_t halves[6] = {0x3c00, 0xc100, 0x3800, 0x7bff, 0x8000, 0x0001};
  network n = {0};
  write_bytes("w", external_numbers, sizeof external_numbers);
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
  add(&n, "Cast", "h", "wide", "to=1");
  add(&n, "Add", "k,wide", "sum", "");
  add(&n, "MatMul", "f,sum", "m", "");
  add(&n, "Reshape", "m,shape", "y", "");
  write_network("model", &n);
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
    status = load_file(&g, &m, "model", &external_on, &error);
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
    status = load_file(&g, &m, "model", &external_on, &error);
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
      cmocka_unit_test(weights_are_in_memory_once),
      cmocka_unit_test(files_that_shrink_are_refused),
      cmocka_unit_test(failing_allocations_are_survived),
      cmocka_unit_test(budgets_are_kept),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
