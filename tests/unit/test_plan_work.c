/* Opening of models with as many layers as are accepted takes a fraction of a second,
 * whichever way their branches run. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "loader_network.h"
#include "sanitized.h"

#ifdef SANITIZED
static const double max_seconds = 20;
#else
static const double max_seconds = 2;
#endif

enum { LENGTH = 8000 };

/* Open the network's file. Return the status; fail if it takes too long. */
static resnet_status open_soon(network *n, resnet_error *error) {
  buffer file = finish(n);
  resnet_model *model = NULL;
  const double start = (double)clock() / CLOCKS_PER_SEC;
  const resnet_status status = resnet_model_open_memory(file.data, file.size, NULL, &model, error);
  const double seconds = (double)clock() / CLOCKS_PER_SEC - start;
  resnet_model_close(&model);
  buffer_release(&file);
  if (seconds > max_seconds) fail_msg("%g seconds", seconds);
  return status;
}

/* Begin a network with a chain of sigmoids, "s0" to "s7999". */
static void add_sigmoids(network *n) {
  begin_network(n);
  for (int i = 0; i < LENGTH; i++) {
    char input[16], output[16];
    (void)snprintf(input, sizeof input, i ? "s%d" : "c", i - 1);
    (void)snprintf(output, sizeof output, "s%d", i);
    add(n, "Sigmoid", input, output, "");
  }
}

/* Every tensor of a chain is read again by an addition behind it, the last one first: all
 * live at once, and the arena has 8,000 places. */
static void many_live_tensors_are_placed(void **state) {
  (void)state;
  resnet_error error;
  network n = {0};
  add_sigmoids(&n);
  for (int i = 0; i < LENGTH - 1; i++) {
    char inputs[32], output[16];
    (void)snprintf(inputs, sizeof inputs, i ? "a%d,s%d" : "s%d,s%d", i ? i - 1 : LENGTH - 1,
                   LENGTH - 2 - i);
    (void)snprintf(output, sizeof output, i == LENGTH - 2 ? "t" : "a%d", i);
    add(&n, "Add", inputs, output, "");
  }
  end_network(&n);
  if (open_soon(&n, &error) != RESNET_OK) fail_msg("%s", error.message);
}

/* Every product names the same long chain as its gate. */
static void long_gates_are_limited(void **state) {
  (void)state;
  resnet_error error;
  network n = {0};
  add_sigmoids(&n);
  for (int i = 0; i < LENGTH / 2 - 100; i++) {
    char inputs[32], output[16];
    (void)snprintf(inputs, sizeof inputs, "c,s%d", LENGTH - 1);
    (void)snprintf(output, sizeof output, "m%d", i);
    add(&n, "Mul", inputs, output, "");
    (void)snprintf(inputs, sizeof inputs, i ? "m%d,a%d" : "m%d,c", i, i - 1);
    (void)snprintf(output, sizeof output, i == LENGTH / 2 - 101 ? "t" : "a%d", i);
    add(&n, "Add", inputs, output, "");
  }
  end_network(&n);
  assert_int_equal(open_soon(&n, &error), RESNET_ERROR_LIMIT);
  if (!strstr(error.message, "the gates of the model have more layers"))
    fail_msg("%s", error.message);
}

/* Thousands of blocks. */
static void many_blocks_are_measured(void **state) {
  (void)state;
  resnet_error error;
  network n = {0};
  begin_network(&n);
  add_random(&n, "weights", "4,4,1,1", 1);
  for (int i = 0; i < LENGTH / 2; i++) {
    char inputs[32], output[16];
    (void)snprintf(inputs, sizeof inputs, i ? "b%d,weights" : "c,weights", i - 1);
    (void)snprintf(output, sizeof output, "r%d", i);
    add(&n, "Conv", inputs, output, "");
    (void)snprintf(inputs, sizeof inputs, i ? "r%d,b%d" : "r%d,c", i, i - 1);
    (void)snprintf(output, sizeof output, i == LENGTH / 2 - 1 ? "t" : "b%d", i);
    add(&n, "Add", inputs, output, "");
  }
  end_network(&n);
  if (open_soon(&n, &error) != RESNET_OK) fail_msg("%s", error.message);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(many_live_tensors_are_placed),
      cmocka_unit_test(long_gates_are_limited),
      cmocka_unit_test(many_blocks_are_measured),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
