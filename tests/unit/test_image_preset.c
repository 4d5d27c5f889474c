/* The named preprocessing presets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/image/presets.h"

static void expect(const char *name, resnet_preprocess expected) {
  resnet_preprocess found;
  resnet_error error;
  assert_int_equal(resnet_preprocess_preset(name, &found, &error), RESNET_OK);
  assert_string_equal(error.message, "");
  assert_int_equal(found.resize, expected.resize);
  assert_int_equal(found.crop, expected.crop);
  assert_int_equal(found.order, expected.order);
  assert_true(found.scale == expected.scale);
  assert_memory_equal(found.mean, expected.mean, sizeof found.mean);
  assert_memory_equal(found.std, expected.std, sizeof found.std);
  assert_int_equal(image_check_preprocess(&found, &error), RESNET_OK);
}

static void presets_equal_their_sources(void **state) {
  (void)state;
  const resnet_channel_order rgb = RESNET_ORDER_RGB, bgr = RESNET_ORDER_BGR;
  expect("imagenet",
         (resnet_preprocess){
             256, 224, rgb, 255.0f, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}});
  expect("imagenet-v2",
         (resnet_preprocess){
             232, 224, rgb, 255.0f, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}});
  expect("cifar10",
         (resnet_preprocess){
             32, 32, rgb, 255.0f, {0.4914f, 0.4822f, 0.4465f}, {0.2470f, 0.2435f, 0.2616f}});
  expect(
      "keras-caffe",
      (resnet_preprocess){256, 224, bgr, 1.0f, {103.939f, 116.779f, 123.68f}, {1.0f, 1.0f, 1.0f}});
  expect("keras-tf",
         (resnet_preprocess){256, 224, rgb, 127.5f, {1.0f, 1.0f, 1.0f}, {1.0f, 1.0f, 1.0f}});
  expect("none", (resnet_preprocess){0, 0, rgb, 1.0f, {0.0f, 0.0f, 0.0f}, {1.0f, 1.0f, 1.0f}});
}

static void unknown_names_are_refused_with_the_list(void **state) {
  (void)state;
  static const char *const names[] = {"", "ImageNet", "imagenet ", "cifar100"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    resnet_preprocess found;
    resnet_error error;
    assert_int_equal(resnet_preprocess_preset(names[i], &found, &error), RESNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, names[i]));
    assert_non_null(
        strstr(error.message, "imagenet, imagenet-v2, cifar10, keras-caffe, keras-tf, none"));
  }
}

static void long_names_leave_the_list_readable(void **state) {
  (void)state;
  char name[1000];
  memset(name, 'x', sizeof name);
  name[sizeof name - 1] = '\0';
  resnet_preprocess found;
  resnet_error error;
  assert_int_equal(resnet_preprocess_preset(name, &found, &error), RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(error.message, "keras-tf, none"));
}

static void null_is_refused(void **state) {
  (void)state;
  resnet_preprocess found;
  resnet_error error;
  assert_int_equal(resnet_preprocess_preset(NULL, &found, &error), RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(error.message, "name is NULL"));
  assert_int_equal(resnet_preprocess_preset("imagenet", NULL, &error), RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(error.message, "out is NULL"));
  assert_int_equal(resnet_preprocess_preset("imagenet", NULL, NULL), RESNET_ERROR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(presets_equal_their_sources),
      cmocka_unit_test(unknown_names_are_refused_with_the_list),
      cmocka_unit_test(long_names_leave_the_list_readable),
      cmocka_unit_test(null_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
