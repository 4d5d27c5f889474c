/* What the numbers of the output are, and what resnet_classify makes of them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <resnet.h>

#include "loader_network.h"

enum { SIDE = 8, CLASSES = 5 };

/* Begin a network whose value "f" is (n,count): a fully connected layer. */
static void begin_head(network *n, uint32_t count) {
  char dims[16];
  (void)snprintf(dims, sizeof dims, "%u,4", count);
  begin_network(n);
  add_random(n, "m", dims, 3);
  add(n, "GlobalAveragePool", "c", "p", "");
  add(n, "Flatten", "p", "v", "");
  add(n, "Gemm", "v,m", "f", "transB=1");
}

static resnet_model *open_head(network *n, const char *output) {
  resnet_model_options options;
  resnet_model *model;
  resnet_error error;
  resnet_model_options_init(&options);
  options.output = output;
  buffer file = finish(n);
  if (resnet_model_open_memory(file.data, file.size, &options, &model, &error) != RESNET_OK)
    fail_msg("%s", error.message);
  buffer_release(&file);
  return model;
}

static resnet_model_info info_of(const resnet_model *model) {
  resnet_model_info info = {.struct_size = sizeof info};
  assert_int_equal(resnet_model_get_info(model, &info, NULL), RESNET_OK);
  return info;
}

static bool says(const resnet_model_info *info, const char *fragment) {
  for (uint32_t i = 0; i < info->finding_count; i++)
    if (strstr(info->findings[i].message, fragment)) return true;
  return false;
}

/* ---- kinds ------------------------------------------------------------------------- */

/* A step is "Operator inputs outputs attributes"; "|" separates steps. */
static void add_steps(network *n, const char *steps) {
  for (const char *step = steps; *step;) {
    char text[160], operator_type[32], inputs[48], outputs[32], attributes[64] = "";
    const size_t length = strcspn(step, "|");
    (void)snprintf(text, sizeof text, "%.*s", (int)length, step);
    assert_true(
        sscanf(text, "%31s %47s %31s %63[^|]", operator_type, inputs, outputs, attributes) >= 3);
    add(n, operator_type, inputs, outputs, attributes);
    step += length + (step[length] == '|');
  }
}

typedef struct head {
  uint32_t count;
  const char *steps;
  resnet_scores kind;
  uint32_t classes;
} head;

static const head heads[] = {
    {5, "Identity f y", RESNET_SCORES_LOGITS, 5},
    {2, "Identity f y", RESNET_SCORES_LOGITS, 2},
    {5, "Mul f,half y", RESNET_SCORES_LOGITS, 5}, /* a temperature */
    {5, "Add f,each y", RESNET_SCORES_LOGITS, 5}, /* a bias */
    {5, "Softmax f y axis=1", RESNET_SCORES_PROBABILITIES, 5},
    {2, "Softmax f y axis=1", RESNET_SCORES_PROBABILITIES, 2},
    {5, "Softmax f g axis=1|Unsqueeze g h axes=2,3|Squeeze h y", RESNET_SCORES_PROBABILITIES, 5},
    {5, "Softmax f g axis=1|Clip g,low,high y", RESNET_SCORES_PROBABILITIES, 5},
    {5, "LogSoftmax f y axis=1", RESNET_SCORES_LOG_PROBABILITIES, 5},
    {5, "LogSoftmax f g axis=1|Mul g,half y", RESNET_SCORES_EMBEDDING, 0},
    {1, "Identity f y", RESNET_SCORES_BINARY_LOGIT, 2},
    {1, "Unsqueeze f g axes=2,3|Identity g y", RESNET_SCORES_BINARY_LOGIT, 2},
    {1, "Squeeze f y", RESNET_SCORES_BINARY_LOGIT, 2}, /* (n) */
    {1, "Sigmoid f y", RESNET_SCORES_BINARY_PROBABILITY, 2},
    {1, "Sigmoid f g|Squeeze g y", RESNET_SCORES_BINARY_PROBABILITY, 2},
    {1, "Sigmoid f g|Clip g,low,high h|Identity h y", RESNET_SCORES_BINARY_PROBABILITY, 2},
    {1, "Sigmoid f g|Unsqueeze g y axes=2,3", RESNET_SCORES_BINARY_PROBABILITY, 2},
    {1, "Sigmoid f g|Sub one,g y", RESNET_SCORES_BINARY_PROBABILITY, 2},
    {1, "Sigmoid f g|Sub g,half y", RESNET_SCORES_EMBEDDING, 0}, /* no probability */
    {1, "HardSigmoid f y", RESNET_SCORES_BINARY_PROBABILITY, 2},
    {1, "Sigmoid f g|Sub one,g h|Concat h,g y axis=1", RESNET_SCORES_PROBABILITIES, 2},
    {1, "Sigmoid f g|Sub one,g h|Concat g,h y axis=-1", RESNET_SCORES_PROBABILITIES, 2},
    {1, "Softmax f y axis=1", RESNET_SCORES_EMBEDDING, 0},
    {5, "Sigmoid f y", RESNET_SCORES_MULTI_LABEL, 5},
    {2, "Sigmoid f y", RESNET_SCORES_MULTI_LABEL, 2},
    {5, "HardSigmoid f y", RESNET_SCORES_MULTI_LABEL, 5},
    {5, "Sigmoid f g|Clip g,low,high h|Reshape h,shape y", RESNET_SCORES_MULTI_LABEL, 5},
    {5, "BatchNormalization f,each,each,each,each y", RESNET_SCORES_EMBEDDING, 0},
    {5, "BatchNormalization f,same,same,same,same y", RESNET_SCORES_EMBEDDING, 0},
    {1, "BatchNormalization f,each,each,each,each y", RESNET_SCORES_BINARY_LOGIT, 2},
    {1, "BatchNormalization f,each,each,each,each g|Sigmoid g y", RESNET_SCORES_BINARY_PROBABILITY,
     2},
    /* pooled features */
    {5, "Relu c r|GlobalAveragePool r y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Identity p y", RESNET_SCORES_LOGITS, 4}, /* a map of class scores is averaged */
    {5, "Relu c r|Conv r,k s|GlobalAveragePool s y", RESNET_SCORES_LOGITS, 3},
    {5, "Relu c r|GlobalMaxPool r y", RESNET_SCORES_EMBEDDING, 0},
    {5, "GlobalMaxPool c y", RESNET_SCORES_LOGITS, 4},
    {5, "Sigmoid c r|GlobalAveragePool r y", RESNET_SCORES_MULTI_LABEL, 4},
    {5, "Sigmoid c r|GlobalMaxPool r y", RESNET_SCORES_MULTI_LABEL, 4},
    /* quantised */
    {5, "Clip c,low,high r|GlobalAveragePool r y", RESNET_SCORES_EMBEDDING, 0},
    /* behind an activation function: no probability above 1, no sum but 1 */
    {5, "Softmax f g axis=1|Mul g,two y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Softmax f g axis=1|Mul g,half y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Softmax f g axis=1|Mul g,half h|Mul h,two y", RESNET_SCORES_PROBABILITIES, 5},
    {5, "Softmax f g axis=1|Add g,half y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Softmax f g axis=1|Mul g,each y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Softmax f g axis=1|Clip g,low,half y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Softmax f g axis=1|Add g,f y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Softmax f g axis=1|Add f,g y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Softmax f g axis=1|Mul f,half h|Softmax h i axis=1|Add g,i y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Softmax f g axis=1|Mul f,half h|Softmax h i axis=1|Add g,i j|Mul j,half y",
     RESNET_SCORES_PROBABILITIES, 5},
    {2, "Softmax f g axis=1|Sub one,g y", RESNET_SCORES_PROBABILITIES, 2},
    {5, "Sigmoid f g|Mul g,two y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Sigmoid f g|Mul g,half y", RESNET_SCORES_MULTI_LABEL, 5},
    {5, "Sigmoid f g|Add g,g y", RESNET_SCORES_EMBEDDING, 0},
    {5, "Sigmoid f g|Add g,g h|Mul h,half y", RESNET_SCORES_MULTI_LABEL, 5},
    /* joined */
    {5, "Softmax f g axis=1|Mul f,half h|Softmax h i axis=1|Concat g,i y axis=1",
     RESNET_SCORES_MULTI_LABEL, 10},
    {5, "Softmax f g axis=1|Sigmoid f h|Concat h,g y axis=1", RESNET_SCORES_MULTI_LABEL, 10},
    {5, "Sigmoid f g|Concat f,g y axis=1", RESNET_SCORES_EMBEDDING, 0},
    {5, "Sigmoid f g|Concat g,f y axis=1", RESNET_SCORES_EMBEDDING, 0},
    {5, "Mul f,half g|Concat g,f y axis=1", RESNET_SCORES_LOGITS, 10},
    {1, "Sigmoid f g|Mul g,minus h|Add h,one i|Concat i,g y axis=1", RESNET_SCORES_PROBABILITIES,
     2},
    {1, "Sigmoid f g|Sub one,g h|Concat h,g i axis=1|Clip i,low,high y",
     RESNET_SCORES_PROBABILITIES, 2},
    {1, "Sigmoid f g|Mul g,half h|Concat h,g y axis=1", RESNET_SCORES_MULTI_LABEL, 2},
};

static resnet_model *open_kind(const head *h) {
  static const float numbers[] = {0.5F, 1, 1e-7F, 1 - 1e-7F, 2, -1},
                     each[] = {0.25F, 0.5F, 0.75F, 1, 2};
  static const int64_t shape[] = {0, -1};
  network n = {.opset = strstr(h->steps, "axes=") || strstr(h->steps, "queeze") ? 12 : 17};
  begin_head(&n, h->count);
  add_floats(&n, "half", "", &numbers[0]);
  add_floats(&n, "one", "", &numbers[1]);
  add_floats(&n, "low", "", &numbers[2]);
  add_floats(&n, "high", "", &numbers[3]);
  add_floats(&n, "two", "", &numbers[4]);
  add_floats(&n, "minus", "", &numbers[5]);
  add_floats(&n, "same", "5", (float[]){1, 1, 1, 1, 1});
  add_floats(&n, "each", h->count == 5 ? "5" : "1", each);
  add_random(&n, "k", "3,4,1,1", 8);
  add_integers(&n, "shape", "2", shape);
  add_steps(&n, h->steps);
  return open_head(&n, NULL);
}

static void the_end_decides_the_kind(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    resnet_model *model = open_kind(&heads[i]);
    const resnet_model_info info = info_of(model);
    if (info.scores != heads[i].kind || info.classes != heads[i].classes)
      fail_msg("%s: kind %d, %u classes", heads[i].steps, (int)info.scores, info.classes);
    const bool logits = info.scores == RESNET_SCORES_LOGITS;
    if (says(&info, "logits") != logits) fail_msg("%s: note on logits", heads[i].steps);
    resnet_model_close(&model);
  }
}

static void notes_say_what_the_output_is(void **state) {
  (void)state;
  static const struct {
    const char *steps;
    uint32_t count;
    const char *note;
  } cases[] = {
      {"Identity f y", 1, "node 'Gemm_f' gives 1 number without Sigmoid"},
      {"Sigmoid f y", 1, "node 'Sigmoid_y' gives 1 number between 0 and 1"},
      {"Sigmoid f y", 5, "gives 5 numbers between 0 and 1, one for each class by itself"},
      {"Relu c r|GlobalAveragePool r y", 5,
       "gives 4 numbers that are features, not scores of classes"},
      {"Softmax f y axis=1", 1, "takes the softmax of one number"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const head h = {.count = cases[i].count, .steps = cases[i].steps};
    resnet_model *model = open_kind(&h);
    const resnet_model_info info = info_of(model);
    if (!says(&info, cases[i].note)) fail_msg("no note says '%s'", cases[i].note);
    resnet_model_close(&model);
  }
}

/* ---- classification ---------------------------------------------------------------- */

typedef struct outcome {
  float scores[CLASSES];
  resnet_prediction best[CLASSES];
  resnet_model_info info;
} outcome;

/* Run and classify one image. The preprocessing leaves its bytes as they are. */
static outcome classify(resnet_model *model) {
  outcome o = {.info = info_of(model)};
  uint8_t pixels[SIDE * SIDE * 3];
  float input[SIDE * SIDE * 3];
  resnet_session *session;
  for (size_t i = 0; i < sizeof pixels; i++) {
    pixels[i] = (uint8_t)(i * 37);
    input[i] = (float)pixels[i];
  }
  const resnet_image image = {pixels, SIDE, SIDE, SIDE * 3, RESNET_PIXELS_RGB};
  assert_int_equal(resnet_session_open(model, NULL, &session, NULL), RESNET_OK);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NHWC, 1, o.scores, NULL), RESNET_OK);
  assert_int_equal(resnet_classify(session, &image, 1, o.info.classes, o.best, NULL), RESNET_OK);
  resnet_session_close(&session);
  return o;
}

static resnet_model *open_unscaled(network *n) {
  resnet_model_options options;
  resnet_preprocess none;
  resnet_model *model;
  resnet_error error;
  resnet_model_options_init(&options);
  assert_int_equal(resnet_preprocess_preset("none", &none, NULL), RESNET_OK);
  options.preprocess = &none;
  buffer file = finish(n);
  if (resnet_model_open_memory(file.data, file.size, &options, &model, &error) != RESNET_OK)
    fail_msg("%s", error.message);
  buffer_release(&file);
  return model;
}

static void check_binary(const char *last, float bias, const char *labels) {
  network n = {0};
  begin_head(&n, 1);
  add_floats(&n, "bias", "", &bias);
  add(&n, "Add", "f,bias", "g", "");
  add(&n, last, "g", "y", "");
  if (labels) add_metadata(&n, "resnet.labels", labels);
  resnet_model *model = open_unscaled(&n);
  const outcome o = classify(model);
  const double x = (double)o.scores[0], p = strcmp(last, "Sigmoid") == 0 ? x : 1 / (1 + exp(-x)),
               expected[2] = {strcmp(last, "Sigmoid") == 0 ? 1 - x : 1 / (1 + exp(x)), p};
  assert_int_equal(o.info.score_count, 1);
  assert_int_equal(o.info.classes, 2);
  assert_true(o.best[0].score >= o.best[1].score && o.best[0].index + o.best[1].index == 1);
  for (size_t i = 0; i < 2; i++) {
    assert_true(fabs((double)o.best[i].score - expected[o.best[i].index]) <= 1e-7);
    if (labels)
      assert_string_equal(o.best[i].label, o.best[i].index        ? "cat"
                                           : strchr(labels, '\n') ? "dog"
                                                                  : "not cat");
    else
      assert_null(o.best[i].label);
  }
  resnet_model_close(&model);
}

static void one_score_ranks_two_classes(void **state) {
  (void)state;
  const float biases[] = {0, 30, -30, 1000, -1000};
  for (size_t i = 0; i < sizeof biases / sizeof *biases; i++) {
    check_binary("Identity", biases[i], NULL);
    check_binary("Sigmoid", biases[i], NULL);
    check_binary("Identity", biases[i], "dog\ncat");
    check_binary("Sigmoid", biases[i], "cat"); /* the name of class 1 alone */
  }
}

static void several_sigmoids_stay_as_they_are(void **state) {
  (void)state;
  network n = {0};
  begin_head(&n, CLASSES);
  add(&n, "Sigmoid", "f", "y", "");
  resnet_model *model = open_unscaled(&n);
  const outcome o = classify(model);
  for (size_t i = 0; i < CLASSES; i++) assert_true(o.best[i].score == o.scores[o.best[i].index]);
  resnet_model_close(&model);
}

static void embeddings_rank_no_classes(void **state) {
  (void)state;
  network n = {0};
  resnet_session *session;
  resnet_prediction best[1];
  resnet_error error;
  const uint8_t pixels[SIDE * SIDE * 3] = {0};
  const resnet_image image = {pixels, SIDE, SIDE, SIDE * 3, RESNET_PIXELS_RGB};
  begin_network(&n);
  add(&n, "Relu", "c", "r", "");
  add(&n, "GlobalAveragePool", "r", "y", "");
  resnet_model *model = open_unscaled(&n);
  assert_int_equal(resnet_session_open(model, NULL, &session, NULL), RESNET_OK);
  assert_int_equal(resnet_classify(session, &image, 1, 1, best, &error), RESNET_ERROR_UNSUPPORTED);
  assert_non_null(strstr(error.message, "ranks no classes: it gives 4 numbers"));
  resnet_session_close(&session);
  resnet_model_close(&model);
}

/* The softmax of percentages would be wrong. */
static void labels_make_no_scores_of_scaled_probabilities(void **state) {
  (void)state;
  static const char *const steps[] = {"Softmax f g axis=1|Mul g,hundred y",
                                      "Sigmoid f g|Mul g,hundred h|Add h,g y"};
  const float hundred = 100;
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    network n = {0};
    resnet_error error;
    resnet_model *model = NULL;
    begin_head(&n, 2);
    add_floats(&n, "hundred", "", &hundred);
    add_steps(&n, steps[i]);
    add_metadata(&n, "resnet.labels", "cat\ndog");
    buffer file = finish(&n);
    const resnet_status status =
        resnet_model_open_memory(file.data, file.size, NULL, &model, &error);
    buffer_release(&file);
    if (status != RESNET_OK) fail_msg("%s", error.message);
    assert_int_equal(info_of(model).scores, RESNET_SCORES_EMBEDDING);
    resnet_model_close(&model);
  }
}

/* Labels in the options say that pooled numbers are scores, also from a plan file. */
static void given_labels_make_scores_of_features(void **state) {
  (void)state;
  static const char *const labels[] = {"a", "b", "c", "d"};
  const char *path = "given_labels_make_scores_of_features.resnet";
  network n = {0};
  resnet_model_options options;
  resnet_model *model;
  resnet_error error;
  begin_network(&n);
  add(&n, "Relu", "c", "r", "");
  add(&n, "GlobalAveragePool", "r", "y", "");
  resnet_model_options_init(&options);
  options.labels = labels;
  options.label_count = 4;
  options.keep_weights = 1;
  buffer file = finish(&n);
  if (resnet_model_open_memory(file.data, file.size, &options, &model, &error) != RESNET_OK)
    fail_msg("%s", error.message);
  buffer_release(&file);
  assert_int_equal(info_of(model).scores, RESNET_SCORES_LOGITS);
  assert_string_equal(info_of(model).labels[3], "d");
  assert_int_equal(resnet_model_save(model, path, NULL), RESNET_OK);
  resnet_model_close(&model);
  if (resnet_model_open(path, NULL, &model, &error) != RESNET_OK) fail_msg("%s", error.message);
  assert_int_equal(info_of(model).scores, RESNET_SCORES_LOGITS);
  assert_string_equal(info_of(model).labels[3], "d");
  resnet_model_close(&model);
  assert_int_equal(remove(path), 0);
}

/* Labels in the file say that pooled numbers are scores. */
static void labels_make_scores_of_features(void **state) {
  (void)state;
  network n = {0};
  begin_network(&n);
  add(&n, "Relu", "c", "r", "");
  add(&n, "GlobalAveragePool", "r", "y", "");
  add_metadata(&n, "resnet.labels", "a\nb\nc\nd");
  resnet_model *model = open_head(&n, NULL);
  assert_int_equal(info_of(model).scores, RESNET_SCORES_LOGITS);
  assert_int_equal(info_of(model).classes, 4);
  resnet_model_close(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_end_decides_the_kind),
      cmocka_unit_test(notes_say_what_the_output_is),
      cmocka_unit_test(one_score_ranks_two_classes),
      cmocka_unit_test(several_sigmoids_stay_as_they_are),
      cmocka_unit_test(embeddings_rank_no_classes),
      cmocka_unit_test(labels_make_scores_of_features),
      cmocka_unit_test(labels_make_no_scores_of_scaled_probabilities),
      cmocka_unit_test(given_labels_make_scores_of_features),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
