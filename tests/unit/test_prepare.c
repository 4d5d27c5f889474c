/* Images to the input of a model: resnet_prepare, models of other channel counts, and the
 * labels that a caller gives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_network.h"

enum { HEIGHT = 6, WIDTH = 4, CLASSES = 5, IMAGES = 3, SIDE = 9 };

static network begin_channels(uint32_t channels, uint32_t classes) {
  static char input[4][32];
  char weights[32];
  network n = {0};
  (void)snprintf(input[channels % 4], sizeof input[0], "N,%u,%d,%d", channels, HEIGHT, WIDTH);
  n.input = input[channels % 4];
  (void)snprintf(weights, sizeof weights, "%u,%u,3,3", classes, channels);
  add_conv(&n, "x", "c", weights, "pads=1,1,1,1");
  add(&n, "GlobalAveragePool", "c", "p", "");
  add(&n, "Flatten", "p", "f", "");
  add_random(&n, "w", "5,5", 3);
  return n;
}

/* Return a file of a model of `channels`, with logits of CLASSES classes. */
static buffer file_of(uint32_t channels) {
  network n = begin_channels(channels, CLASSES);
  add(&n, "Gemm", "f,w", "y", "transB=1");
  return finish(&n);
}

static resnet_model_options defaults(void) {
  resnet_model_options options;
  resnet_model_options_init(&options);
  return options;
}

static resnet_model *open_channels(uint32_t channels, const resnet_preprocess *preprocess) {
  resnet_model_options options = defaults();
  options.preprocess = preprocess;
  buffer file = file_of(channels);
  resnet_model *model = plan_open(&file, &options);
  buffer_release(&file);
  return model;
}

static resnet_session *open_session(const resnet_model *model, uint32_t batch) {
  resnet_session_options options;
  resnet_session *session;
  resnet_session_options_init(&options);
  options.threads = 1;
  options.batch = batch;
  assert_int_equal(resnet_session_open(model, &options, &session, NULL), RESNET_OK);
  return session;
}

static uint8_t pixels[IMAGES][SIDE * SIDE * 4];

/* Return images of three sizes and formats. */
static const resnet_image *images(void) {
  static resnet_image made[IMAGES];
  for (size_t i = 0; i < IMAGES; i++)
    for (size_t k = 0; k < sizeof pixels[0]; k++) pixels[i][k] = (uint8_t)(i + k * 71 + k / 5);
  made[0] = (resnet_image){pixels[0], SIDE, 7, SIDE * 3, RESNET_PIXELS_RGB};
  made[1] = (resnet_image){pixels[1], 5, SIDE, 8, RESNET_PIXELS_GREY};
  made[2] = (resnet_image){pixels[2], 8, 6, 8, RESNET_PIXELS_I420};
  return made;
}

/* Check that prepared images in both layouts, run, give what resnet_classify ranks. */
static void check_prepare(uint32_t channels, const resnet_preprocess *preprocess) {
  enum { FLOATS = HEIGHT * WIDTH * 3 };
  resnet_model *model = open_channels(channels, preprocess);
  resnet_session *session = open_session(model, 2);
  float rows[IMAGES * FLOATS], planes[IMAGES * FLOATS];
  float scores[2][IMAGES * CLASSES];
  resnet_prediction best[IMAGES];
  const size_t sample = (size_t)HEIGHT * WIDTH * channels;
  assert_int_equal(resnet_prepare(session, images(), IMAGES, RESNET_LAYOUT_NHWC, rows, NULL),
                   RESNET_OK);
  assert_int_equal(resnet_prepare(session, images(), IMAGES, RESNET_LAYOUT_NCHW, planes, NULL),
                   RESNET_OK);
  for (size_t i = 0; i < IMAGES * sample; i++) {
    const size_t image = i / sample, pixel = i % sample / channels, c = i % channels;
    assert_true(rows[i] == planes[image * sample + c * HEIGHT * WIDTH + pixel]);
  }
  assert_int_equal(resnet_run(session, rows, RESNET_LAYOUT_NHWC, IMAGES, scores[0], NULL),
                   RESNET_OK);
  assert_int_equal(resnet_run(session, planes, RESNET_LAYOUT_NCHW, IMAGES, scores[1], NULL),
                   RESNET_OK);
  assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
  assert_int_equal(resnet_classify(session, images(), IMAGES, 1, best, NULL), RESNET_OK);
  for (size_t i = 0; i < IMAGES; i++)
    for (size_t k = 0; k < CLASSES; k++)
      assert_true(scores[0][i * CLASSES + best[i].index] >= scores[0][i * CLASSES + k]);
  resnet_session_close(&session);
  resnet_model_close(&model);
}

static void prepared_images_run_as_they_are_classified(void **state) {
  (void)state;
  static const char *const presets[] = {"imagenet", "timm", "keras-stretch", "keras-caffe", "grey"};
  for (uint32_t channels = 1; channels <= 3; channels += 2) {
    check_prepare(channels, NULL);
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
      resnet_preprocess p;
      assert_int_equal(resnet_preprocess_preset(presets[i], &p, NULL), RESNET_OK);
      check_prepare(channels, &p);
    }
  }
}

/* Write what a model of `channels` takes for an image of one pixel's colour. */
static void prepare_colour(uint32_t channels, resnet_preprocess p, float *input) {
  static uint8_t colour[HEIGHT * WIDTH * 3];
  for (size_t i = 0; i < sizeof colour; i++) colour[i] = (uint8_t)(10 + 50 * (i % 3));
  const resnet_image image = {colour, WIDTH, HEIGHT, WIDTH * 3, RESNET_PIXELS_RGB};
  resnet_model *model = open_channels(channels, &p);
  resnet_session *session = open_session(model, 1);
  assert_int_equal(resnet_prepare(session, &image, 1, RESNET_LAYOUT_NHWC, input, NULL), RESNET_OK);
  resnet_session_close(&session);
  resnet_model_close(&model);
}

static void orders_give_their_channels(void **state) {
  (void)state;
  float input[HEIGHT * WIDTH * 3];
  resnet_preprocess p = {.scale = 1, .mean = {1, 2, 3}, .std = {1, 2, 4}};
  /* 10, 60, 110: 0.299 * 10 + 0.587 * 60 + 0.114 * 110 is 50.75 */
  prepare_colour(3, p, input);
  assert_true(input[0] == 9 && input[1] == 29 && input[2] == 26.75F);
  p.order = RESNET_ORDER_BGR;
  prepare_colour(3, p, input);
  assert_true(input[0] == 109 && input[1] == 29 && input[2] == 1.75F);
  p.order = RESNET_ORDER_GREY;
  prepare_colour(3, p, input);
  assert_true(input[0] == 50 && input[1] == 50 && input[2] == 50);
  for (int order = 0; order < 3; order++) {
    p.order = (resnet_channel_order)order;
    prepare_colour(1, p, input);
    assert_true(input[0] == 50 && input[HEIGHT * WIDTH - 1] == 50);
  }
}

static void grey_uses_the_first_numbers_only(void **state) {
  (void)state;
  resnet_preprocess p = {.scale = 1, .mean = {1}, .std = {2}};
  resnet_model *model = open_channels(1, &p);
  const resnet_preprocess found = plan_info(model).preprocess;
  assert_int_equal(found.order, RESNET_ORDER_GREY);
  assert_true(found.mean[2] == 1 && found.std[2] == 2);
  assert_int_equal(found.crop_height, HEIGHT);
  assert_int_equal(found.resize_width, WIDTH);
  resnet_model_close(&model);
  resnet_model_options options = defaults();
  resnet_error error;
  buffer file = file_of(3);
  options.preprocess = &p;
  assert_int_equal(resnet_model_open_memory(file.data, file.size, &options, &model, &error),
                   RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(error.message, "std[1] is 0"));
  buffer_release(&file);
}

static void other_channel_counts_take_no_images(void **state) {
  (void)state;
  static const uint32_t counts[] = {2, 4};
  for (size_t i = 0; i < 2; i++) {
    resnet_model *model = open_channels(counts[i], NULL);
    resnet_session *session = open_session(model, 1);
    float input[HEIGHT * WIDTH * 4];
    resnet_prediction best;
    resnet_error error;
    char takes[40];
    (void)snprintf(takes, sizeof takes, "takes %u channels", counts[i]);
    assert_int_equal(resnet_prepare(session, images(), 1, RESNET_LAYOUT_NHWC, input, &error),
                     RESNET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message, takes));
    assert_int_equal(resnet_classify(session, images(), 1, 1, &best, &error),
                     RESNET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message,
                           "images have 1 (grey) or 3: compute the model's input yourself and run "
                           "it on floats"));
    resnet_session_close(&session);
    resnet_model_close(&model);
  }
}

static void wrong_arguments_are_named(void **state) {
  (void)state;
  resnet_model *model = open_channels(3, NULL);
  resnet_session *session = open_session(model, 1);
  float input[HEIGHT * WIDTH * 3];
  resnet_error e;
  const resnet_image bad[2] = {images()[0], {NULL, 1, 1, 3, RESNET_PIXELS_RGB}};
  const struct {
    resnet_status status;
    const char *says;
  } cases[] = {{resnet_prepare(NULL, images(), 1, RESNET_LAYOUT_NHWC, input, &e), "`session`"},
               {resnet_prepare(session, NULL, 1, RESNET_LAYOUT_NHWC, input, &e), "`images`"},
               {resnet_prepare(session, images(), 0, RESNET_LAYOUT_NHWC, input, &e), "`count`"},
               {resnet_prepare(session, images(), 1, RESNET_LAYOUT_NHWC, NULL, &e), "`input`"},
               {resnet_prepare(session, images(), 1, (resnet_layout)2, input, &e), "layout 2"},
               {resnet_prepare(session, bad, 2, RESNET_LAYOUT_NCHW, input, &e), "image 1"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(cases[i].status, RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(e.message, "image 1: the image's pixels are NULL"));
  (void)resnet_prepare(NULL, images(), 1, RESNET_LAYOUT_NHWC, input, &e);
  assert_string_equal(e.message, "resnet_prepare: `session` is NULL");
  (void)resnet_prepare(session, images(), 0, RESNET_LAYOUT_NHWC, input, &e);
  assert_string_equal(e.message, "resnet_prepare: `count` is 0: use 1 or more");
  resnet_session_close(&session);
  resnet_model_close(&model);
}

/* ---- labels ------------------------------------------------------------------------ */

static const char *const names[CLASSES] = {"a", "b", "", "d\xc3\xa9", "e"};

static void labels_are_copied_and_replace_the_files(void **state) {
  (void)state;
  network n = begin_channels(3, CLASSES);
  add(&n, "Gemm", "f,w", "y", "transB=1");
  add_metadata(&n, "resnet.labels", "1\n2\n3\n4\n5");
  buffer file = finish(&n);
  char first[] = "first";
  const char *given[CLASSES] = {first, "b", "c", "d", "e"};
  resnet_model_options options = defaults();
  options.labels = given;
  options.label_count = CLASSES;
  options.keep_weights = 1;
  resnet_model *model = plan_open(&file, &options);
  first[0] = '\0';
  assert_string_equal(plan_info(model).labels[0], "first");
  assert_string_equal(plan_info(model).labels[4], "e");
  resnet_model_close(&model);
  /* a plan file keeps them, also when it is saved again, and options replace them */
  first[0] = 'f';
  buffer plan = plan_compile(&file, &options);
  model = plan_open(&plan, NULL);
  assert_string_equal(plan_info(model).labels[0], "first");
  resnet_model_close(&model);
  buffer again = plan_compile(&plan, NULL);
  assert_int_equal(again.size, plan.size);
  options.labels = names;
  model = plan_open(&again, &options);
  assert_string_equal(plan_info(model).labels[3], "d\xc3\xa9");
  resnet_model_close(&model);
  buffer_release(&again);
  buffer_release(&plan);
  buffer_release(&file);
}

static void refuse_labels(const char *const *labels, uint32_t count, const char *says) {
  resnet_model_options options = defaults();
  resnet_model *model = NULL;
  resnet_error error;
  buffer file = file_of(3);
  options.labels = labels;
  options.label_count = count;
  assert_int_equal(resnet_model_open_memory(file.data, file.size, &options, &model, &error),
                   RESNET_ERROR_ARGUMENT);
  assert_null(model);
  if (!strstr(error.message, says)) fail_msg("'%s' lacks '%s'", error.message, says);
  buffer_release(&file);
}

static void wrong_labels_are_refused(void **state) {
  (void)state;
  static const char *const gap[CLASSES] = {"a", "b", NULL, "d", "e"};
  refuse_labels(names, 4, "options.label_count is 4, but the model has 5 classes");
  refuse_labels(names, 0, "options.label_count is 0, but the model has 5 classes");
  refuse_labels(NULL, 5, "options.label_count is 5, but options.labels is NULL");
  refuse_labels(gap, 5, "options.labels[2] is NULL");
}

static void a_thousand_labels_get_a_background(void **state) {
  (void)state;
  static char text[1000][8];
  static const char *labels[1000];
  for (int i = 0; i < 1000; i++) {
    (void)snprintf(text[i], sizeof text[i], "%d", i);
    labels[i] = text[i];
  }
  network n = begin_channels(3, CLASSES);
  add_random(&n, "v", "1001,5", 4);
  add(&n, "Gemm", "f,v", "y", "transB=1");
  buffer file = finish(&n);
  resnet_model_options options = defaults();
  options.labels = labels;
  options.label_count = 1000;
  resnet_model *model = plan_open(&file, &options);
  assert_string_equal(plan_info(model).labels[0], "background");
  assert_string_equal(plan_info(model).labels[1], "0");
  assert_string_equal(plan_info(model).labels[1000], "999");
  resnet_model_close(&model);
  buffer_release(&file);
}

static void one_label_names_both_classes_of_one_score(void **state) {
  (void)state;
  static const char *const labels[2] = {"cat", "dog"};
  network n = begin_channels(3, CLASSES);
  add_random(&n, "v", "1,5", 4);
  add(&n, "Gemm", "f,v", "g", "transB=1");
  add(&n, "Sigmoid", "g", "y", "");
  buffer file = finish(&n);
  resnet_model_options options = defaults();
  options.labels = labels;
  options.label_count = 1;
  resnet_model *model = plan_open(&file, &options);
  assert_string_equal(plan_info(model).labels[0], "not cat");
  assert_string_equal(plan_info(model).labels[1], "cat");
  resnet_model_close(&model);
  options.label_count = 2;
  model = plan_open(&file, &options);
  assert_string_equal(plan_info(model).labels[0], "cat");
  resnet_model_close(&model);
  buffer_release(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prepared_images_run_as_they_are_classified),
      cmocka_unit_test(orders_give_their_channels),
      cmocka_unit_test(grey_uses_the_first_numbers_only),
      cmocka_unit_test(other_channel_counts_take_no_images),
      cmocka_unit_test(wrong_arguments_are_named),
      cmocka_unit_test(labels_are_copied_and_replace_the_files),
      cmocka_unit_test(wrong_labels_are_refused),
      cmocka_unit_test(a_thousand_labels_get_a_background),
      cmocka_unit_test(one_label_names_both_classes_of_one_score),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
