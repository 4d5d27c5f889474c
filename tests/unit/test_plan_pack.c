/* Packing the weights of a large model on two threads. */
#include <stdlib.h>
#include <string.h>

#include "plan_network.h"

static void *plain_allocate(void *context, size_t size) {
  (void)context;
  return malloc(size);
}

static void plain_release(void *context, void *pointer) {
  (void)context;
  free(pointer);
}

/* A large model is packed on two threads, but on one if the allocator is the caller's. */
static void two_threads_pack_the_same_bits(void **state) {
  (void)state;
  buffer onnx = plan_large_network(), two = plan_compile(&onnx, NULL);
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.allocator = (resnet_allocator){NULL, plain_allocate, plain_release};
  buffer one = plan_compile(&onnx, &options);
  assert_int_equal(one.size, two.size);
  assert_memory_equal(one.data, two.data, one.size);
  /* the budget fails in either thread */
  options = (resnet_model_options){.struct_size = sizeof options,
                                   .max_memory_bytes = onnx.size + (onnx.size >> 3)};
  resnet_model *model = NULL;
  resnet_error error;
  assert_int_equal(resnet_model_open_memory(onnx.data, onnx.size, &options, &model, &error),
                   RESNET_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "max_memory_bytes"));
  buffer_release(&one);
  buffer_release(&two);
  buffer_release(&onnx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_threads_pack_the_same_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
