/* The named preprocessing presets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/image/presets.h"

static const uint32_t none = RESNET_SIZE_NONE;

static void expect(const char *name, resnet_preprocess expected) {
  resnet_preprocess found;
  resnet_error error;
  assert_int_equal(resnet_preprocess_preset(name, &found, &error), RESNET_OK);
  assert_string_equal(error.message, "");
  assert_memory_equal(&found, &expected, sizeof found);
  assert_int_equal(image_check_preprocess(&found, 3, &error), RESNET_OK);
}

static void presets_equal_their_sources(void **state) {
  (void)state;
  resnet_preprocess imagenet = {.resize_ratio = 256.0f / 224,
                                .scale = 255,
                                .mean = {0.485f, 0.456f, 0.406f},
                                .std = {0.229f, 0.224f, 0.225f}};
  expect("imagenet", imagenet);
  imagenet.filter = RESNET_FILTER_BICUBIC;
  expect("timm", imagenet);
  imagenet.filter = RESNET_FILTER_BILINEAR;
  imagenet.resize_ratio = 232.0f / 224;
  expect("imagenet-v2", imagenet);
  expect("cifar10", (resnet_preprocess){.resize_ratio = 1,
                                        .scale = 255,
                                        .mean = {0.4914f, 0.4822f, 0.4465f},
                                        .std = {0.2470f, 0.2435f, 0.2616f}});
  expect("unit", (resnet_preprocess){.resize_ratio = 256.0f / 224, .scale = 255, .std = {1, 1, 1}});
  expect("keras-caffe", (resnet_preprocess){.resize_ratio = 256.0f / 224,
                                            .order = RESNET_ORDER_BGR,
                                            .scale = 1,
                                            .mean = {103.939f, 116.779f, 123.68f},
                                            .std = {1, 1, 1}});
  expect("keras-tf",
         (resnet_preprocess){
             .resize_ratio = 256.0f / 224, .scale = 127.5f, .mean = {1, 1, 1}, .std = {1, 1, 1}});
  expect("keras-stretch", (resnet_preprocess){.fit = RESNET_FIT_STRETCH,
                                              .filter = RESNET_FILTER_NEAREST,
                                              .scale = 255,
                                              .std = {1, 1, 1}});
  expect("grey",
         (resnet_preprocess){
             .resize_ratio = 1, .order = RESNET_ORDER_GREY, .scale = 255, .std = {1, 1, 1}});
  expect("none", (resnet_preprocess){.resize_height = none,
                                     .resize_width = none,
                                     .crop_height = none,
                                     .crop_width = none,
                                     .scale = 1,
                                     .std = {1, 1, 1}});
}

static void expect_sizes(const char *name, uint32_t height, uint32_t width, uint32_t resize_height,
                         uint32_t resize_width) {
  resnet_preprocess p;
  assert_int_equal(resnet_preprocess_preset(name, &p, NULL), RESNET_OK);
  image_resolve_preprocess(&p, height, width, 3);
  assert_int_equal(p.resize_height, resize_height);
  assert_int_equal(p.resize_width, resize_width);
  assert_int_equal(p.crop_height, height);
  assert_int_equal(p.crop_width, width);
}

/* A preset's sizes follow the model's input. */
static void automatic_sizes_keep_the_ratio(void **state) {
  (void)state;
  expect_sizes("imagenet", 224, 224, 256, 256);
  expect_sizes("imagenet", 299, 288, 341, 329);
  expect_sizes("imagenet", 32, 32, 36, 36);
  expect_sizes("imagenet-v2", 224, 448, 232, 464);
  expect_sizes("cifar10", 32, 31, 32, 31);
  expect_sizes("keras-stretch", 50, 200, 50, 200);
  resnet_preprocess p;
  assert_int_equal(resnet_preprocess_preset("none", &p, NULL), RESNET_OK);
  image_resolve_preprocess(&p, 224, 224, 3);
  assert_int_equal(p.resize_height, none);
  assert_int_equal(p.crop_width, none);
  p.resize_height = p.resize_width = 0;
  p.resize_ratio = 1.5f;
  image_resolve_preprocess(&p, 224, 200, 3);
  assert_int_equal(p.resize_height, 224);
  assert_int_equal(p.resize_width, 200);
}

static void unknown_names_are_refused_with_the_list(void **state) {
  (void)state;
  static const char *const names[] = {"", "ImageNet", "imagenet ", "cifar100"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    resnet_preprocess found;
    resnet_error error;
    assert_int_equal(resnet_preprocess_preset(names[i], &found, &error), RESNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, names[i]));
    assert_non_null(strstr(error.message,
                           "imagenet, imagenet-v2, timm, cifar10, unit, keras-caffe, "
                           "keras-tf, keras-stretch, grey, none"));
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
  assert_non_null(strstr(error.message, "grey, none"));
}

static void null_is_refused(void **state) {
  (void)state;
  resnet_preprocess found;
  resnet_error error;
  assert_int_equal(resnet_preprocess_preset(NULL, &found, &error), RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(error.message, "`name` is NULL"));
  assert_int_equal(resnet_preprocess_preset("imagenet", NULL, &error), RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(error.message, "`out` is NULL"));
  assert_int_equal(resnet_preprocess_preset("imagenet", NULL, NULL), RESNET_ERROR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(presets_equal_their_sources),
      cmocka_unit_test(automatic_sizes_keep_the_ratio),
      cmocka_unit_test(unknown_names_are_refused_with_the_list),
      cmocka_unit_test(long_names_leave_the_list_readable),
      cmocka_unit_test(null_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
