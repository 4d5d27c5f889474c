/* A file's description of itself: names, labels, preprocessing. */
#include <locale.h>
#include <string.h>

#include "loader_network.h"

/* Begin a network of two classes. */
static void begin(network *n) {
  add_random(n, "w", "2,3,1,1", 1);
  add(n, "Conv", "x,w", "c", "");
  add(n, "GlobalAveragePool", "c", "p", "");
  add(n, "Flatten", "p", "y", "");
}

static void names_are_kept(void **state) {
  (void)state;
  network n = {.opset = 17};
  graph g;
  begin(&n);
  load_good(&n, &g);
  assert_string_equal(g.name, "test net");
  assert_string_equal(g.producer, "tests 1.0");
  assert_int_equal(g.opset, 17);
  assert_null(g.labels);
  assert_int_equal(g.label_count, 0);
  assert_false(g.has_preprocess);
  unload(&g);
}

static void labels_are_split_by_lines(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin(&n);
  add_metadata(&n, "resnet.licence", "MIT");
  add_metadata(&n, "resnet.labels", "tench, Tinca tinca\npole-arrière");
  load_good(&n, &g);
  assert_int_equal(g.label_count, 2);
  assert_string_equal(g.labels[0], "tench, Tinca tinca");
  assert_string_equal(g.labels[1], "pole-arrière");
  unload(&g);
}

static void refuse_metadata(const char *key, const char *text, const char *what) {
  network n = {0};
  begin(&n);
  add_metadata(&n, key, text);
  refuse_network(&n, RESNET_ERROR_FORMAT, what);
}

static void the_number_of_labels_is_checked(void **state) {
  (void)state;
  refuse_metadata("resnet.labels", "one", "resnet.labels has 1 line, the model 2 classes");
  refuse_metadata("resnet.labels", "one\ntwo\nthree", "has 3 lines, the model 2 classes");
  refuse_metadata("resnet.labels", "one\ntwo\n", "has 3 lines");
}

static resnet_preprocess read_preprocess(const char *text) {
  network n = {0};
  graph g;
  begin(&n);
  add_metadata(&n, "resnet.preprocess", text);
  load_good(&n, &g);
  resnet_preprocess p = g.preprocess;
  assert_true(g.has_preprocess);
  unload(&g);
  return p;
}

static void preprocessing_is_read(void **state) {
  (void)state;
  resnet_preprocess p = read_preprocess(
      "resize=32 crop=none order=bgr scale=255 mean=0.485,0.456,0.406 std=.229,2.24e-1,225E-3");
  assert_int_equal(p.resize_height, 32);
  assert_int_equal(p.resize_width, 32);
  assert_int_equal(p.crop_height, RESNET_SIZE_NONE);
  assert_int_equal(p.crop_width, RESNET_SIZE_NONE);
  assert_int_equal(p.order, RESNET_ORDER_BGR);
  static const float expected[7] = {255, 0.485F, 0.456F, 0.406F, 0.229F, 0.224F, 0.225F};
  assert_float_equal(p.scale, expected[0], 0);
  assert_memory_equal(p.mean, expected + 1, sizeof p.mean);
  assert_memory_equal(p.std, expected + 4, sizeof p.std);
  p = read_preprocess(
      "  std=1,1,1  mean=-103.939,0,1e1 scale=1.  order=rgb crop=65535 resize=none ");
  assert_int_equal(p.crop_height, 65535);
  assert_int_equal(p.crop_width, 65535);
  assert_float_equal(p.mean[0], -103.939F, 0);
  assert_float_equal(p.mean[2], 10, 0);
}

static void fits_sizes_and_filters_are_read(void **state) {
  (void)state;
  resnet_preprocess p = read_preprocess(
      "fit=stretch filter=nearest resize=256x128 crop=auto ratio=1.125 order=grey scale=255 "
      "mean=0.5 std=0.25");
  assert_int_equal(p.fit, RESNET_FIT_STRETCH);
  assert_int_equal(p.filter, RESNET_FILTER_NEAREST);
  assert_int_equal(p.resize_height, 256);
  assert_int_equal(p.resize_width, 128);
  assert_int_equal(p.crop_height, 0);
  assert_int_equal(p.crop_width, 0);
  assert_float_equal(p.resize_ratio, 1.125F, 0);
  assert_int_equal(p.order, RESNET_ORDER_GREY);
  for (int c = 0; c < 3; c++) {
    assert_float_equal(p.mean[c], 0.5F, 0);
    assert_float_equal(p.std[c], 0.25F, 0);
  }
  p = read_preprocess("filter=bicubic fit=crop resize=auto crop=12x34 order=rgb scale=1 "
                      "mean=1,2,3 std=1,1,1");
  assert_int_equal(p.fit, RESNET_FIT_CROP);
  assert_int_equal(p.filter, RESNET_FILTER_BICUBIC);
  assert_int_equal(p.resize_height, 0);
  assert_int_equal(p.crop_height, 12);
  assert_int_equal(p.crop_width, 34);
  assert_float_equal(p.resize_ratio, 1, 0);
}

/* A program with a locale of decimal commas reads the same numbers. */
static void preprocessing_does_not_depend_on_the_locale(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
  const char *found = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++)
    found = setlocale(LC_NUMERIC, names[i]);
  if (!found) {
    print_message("skipped: no locale with decimal commas is installed (locales-all has them)\n");
    skip();
  }
  resnet_preprocess p =
      read_preprocess("resize=8 crop=8 order=rgb scale=1.5 mean=0.25,0.5,0.75 std=0.5,0.5,0.5");
  (void)setlocale(LC_NUMERIC, "C");
  assert_float_equal(p.scale, 1.5F, 0);
  assert_float_equal(p.mean[1], 0.5F, 0);
}

/* Check that a description is refused in which `word` replaces another. */
static void refuse_word(const char *word, const char *what) {
  static const char *const words[6] = {"resize=8", "crop=8",     "order=rgb",
                                       "scale=1",  "mean=0,0,0", "std=1,1,1"};
  char text[256] = "";
  size_t key = strcspn(word, "=");
  for (size_t i = 0; i < 6; i++) {
    bool replaced = strncmp(words[i], word, key + 1) == 0;
    strcat(text, replaced ? word : words[i]);
    strcat(text, " ");
  }
  refuse_metadata("resnet.preprocess", text, what);
}

static void faulty_preprocessing_is_refused(void **state) {
  (void)state;
  static const char *const faults[] = {"resize=0",
                                       "resize=65536",
                                       "resize=-1",
                                       "resize=8px",
                                       "resize=",
                                       "crop=nonesuch",
                                       "order=grb",
                                       "order=rgba",
                                       "scale=0",
                                       "scale=-1",
                                       "scale=nan",
                                       "scale=1e99",
                                       "scale=1,2",
                                       "mean=1,2",
                                       "mean=1,2,3,4",
                                       "mean=1,2,x",
                                       "mean=1,,2",
                                       "std=1,0,1",
                                       "std=1,1,-0.5",
                                       "std=inf,1,1",
                                       "scale=0x10",
                                       "scale=1e",
                                       "scale=.",
                                       "scale=1e-99",
                                       "scale=--1",
                                       "mean=1, 2, 3",
                                       "std=1,1,1e-31",
                                       "scale=1e39",
                                       "scale=99999999999999999999",
                                       "scale=1e+",
                                       "mean=0,0,1e-99",
                                       "std=0.,1,1",
                                       "scale=999999999999999999e30",
                                       "resize=8x",
                                       "resize=x8",
                                       "resize=8x0",
                                       "resize=8x8x8",
                                       "crop=8x65536",
                                       "crop=automatic",
                                       "order=gray",
                                       "order=",
                                       "mean=1,",
                                       "mean="};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    refuse_word(faults[i], "resnet.preprocess has '");
  refuse_metadata("resnet.preprocess", "resize=8 gamma=2.2",
                  "has 'gamma=2.2': fit=, filter=, resize=, crop=, ratio=, order=, ");
  refuse_metadata("resnet.preprocess", "resize=8 resize=8", "has 'resize=8': give each key once");
  static const char *const optional[] = {
      "fit=squash", "fit=cropped", "filter=lanczos", "ratio=0.9", "ratio=17", "ratio=1,1", "fit="};
  for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
    refuse_metadata("resnet.preprocess", optional[i], "is accepted");
  refuse_word("resize=8 fit=crop fit=crop", "has 'fit=crop': give each key once");
  refuse_word("crop=8px", "has 'crop=8px': 1 to 65535, HEIGHTxWIDTH, auto or none is accepted");
  refuse_metadata("resnet.preprocess", "imagenet", "has 'imagenet'");
  refuse_metadata("resnet.preprocess", "resize=8 crop=8 order=rgb", "not complete");
  refuse_metadata("resnet.preprocess", "", "not complete");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_kept),
      cmocka_unit_test(labels_are_split_by_lines),
      cmocka_unit_test(the_number_of_labels_is_checked),
      cmocka_unit_test(preprocessing_is_read),
      cmocka_unit_test(fits_sizes_and_filters_are_read),
      cmocka_unit_test(preprocessing_does_not_depend_on_the_locale),
      cmocka_unit_test(faulty_preprocessing_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
