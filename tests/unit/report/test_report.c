/* The report of `resnet compare`: conclusions, escaping, ticks and tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "cli/compare/comparison.h"
#include "cli/compare/conclude_responses.h"
#include "cli/compare/conclusions.h"
#include "cli/compare/sentences.h"
#include "cli/report/markup.h"
#include "cli/report/sheet.h"
#include "cli/report/sheets.h"
#include "cli/report/svg.h"
#include "fixture.h"
#include "support/utf8.h"

/* ---- sentences ---- */

/* Return the text of a conclusion; the caller frees it. */
static char *conclude(const fixture_options *o, conclude_function of) {
  comparison *c = fixture_make(o);
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  assert_non_null(out);
  of(c, out);
  assert_int_equal(fclose(out), 0);
  fixture_release(c);
  assert_true(size > 0 && text[size - 1] == '\n');
  return text;
}

static void expect(const fixture_options *o, conclude_function of, const char *part) {
  char *text = conclude(o, of);
  if (!strstr(text, part)) print_error("'%s' is not in: %s", part, text);
  assert_non_null(strstr(text, part));
  free(text);
}

static void expect_not(const fixture_options *o, conclude_function of, const char *part) {
  char *text = conclude(o, of);
  if (strstr(text, part)) print_error("'%s' is in: %s", part, text);
  assert_null(strstr(text, part));
  free(text);
}

static const fixture_options all = {0}, reversed = {.reversed = true}, one = {.models = "R"},
                             plain_only = {.models = "pP"}, unequal = {.models = "pR"},
                             not_run = {.without_ablation = true};

static void accuracy_is_said(void **state) {
  (void)state;
  expect(&all, compare_conclude_accuracy,
         "resnet56 gets 91.00 % of 400 images right, more than any other model");
  expect(&all, compare_conclude_accuracy, "larger than chance explains");
  expect(&all, compare_conclude_accuracy,
         "Depth hurts here: this is the degradation that He et al. (2016) start from.");
  expect(&all, compare_conclude_accuracy,
         "Depth helps here. This agrees with He et al. (2016) (section 4.2).");
  expect(&reversed, compare_conclude_accuracy,
         "Depth helps here: the degradation that He et al. (2016) start from does not appear.");
  expect(&reversed, compare_conclude_accuracy,
         "Depth hurts here. This disagrees with He et al. (2016)");
  expect(&one, compare_conclude_accuracy, "There is no other model to compare it with.");
  expect_not(&one, compare_conclude_accuracy, "epth");
}

/* Return the text of a conclusion about `c`; the caller frees it. */
static char *conclude_about(const comparison *c, conclude_function of) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  assert_non_null(out);
  of(c, out);
  assert_int_equal(fclose(out), 0);
  return text;
}

static void expect_about(const comparison *c, conclude_function of, const char *part, bool said) {
  char *text = conclude_about(c, of);
  if ((strstr(text, part) != NULL) != said)
    print_error("'%s' is %sin: %s", part, said ? "not " : "", text);
  assert_true((strstr(text, part) != NULL) == said);
  free(text);
}

static void a_difference_by_chance_is_no_finding(void **state) {
  (void)state;
  comparison *c = fixture_make(&plain_only);
  c->pairs[0].mcnemar_p = c->pairs[0].mcnemar_holm = 0.05;
  expect_about(c, compare_conclude_accuracy,
               "McNemar's p = 0.05). The difference may be due to chance", true);
  expect_about(c, compare_conclude_accuracy, "No difference is shown between it and", true);
  expect_about(c, compare_conclude_accuracy, "degradation", false);
  fixture_release(c);
}

/* p = 0.03 of one pair is no finding among six pairs. */
static void many_pairs_need_smaller_p(void **state) {
  (void)state;
  comparison *c = fixture_make(&all);
  for (uint32_t i = 0; i < c->pair_count; i++) c->pairs[i].mcnemar_p = 0.5;
  c->pairs[1].mcnemar_p = 0.03; /* plain20 and plain56 */
  compare_adjust_pairs(c);
  assert_true(fabs(c->pairs[1].mcnemar_holm - 0.18) < 1e-12);
  expect_about(c, compare_conclude_accuracy,
               "McNemar's p = 0.03; p = 0.18 after Holm's correction for 6 pairs", true);
  expect_about(c, compare_conclude_accuracy, "degradation", false);
  fixture_release(c);
}

/* Make a model answer by chance: `right` of the 400 images. */
static void answer_by_chance(model_summary *n, uint64_t right) {
  n->top1 = right;
  for (size_t i = 0; i < n->images; i++) n->results[i].top1 = i < right;
}

/* Move all images to the first class. */
static void show_one_class(model_summary *n) {
  const size_t classes = n->loaded.info.classes;
  memset(n->confusion, 0, classes * classes * sizeof *n->confusion);
  n->confusion[0] = n->images;
}

static void models_at_chance_are_not_compared_with_the_paper(void **state) {
  (void)state;
  comparison *c = fixture_make(&all);
  for (uint32_t i = 0; i < c->model_count; i++) answer_by_chance(&c->models[i], 41);
  expect_about(c, compare_conclude_accuracy,
               "plain20 gets 10.25 % of the images right. This is not shown to be better than the "
               "best constant answer, 10.00 % (one-sided binomial test: p = 0.46). The model may "
               "be untrained, or the images too few: it is not compared with He et al. (2016).",
               true);
  const conclude_function functions[] = {compare_conclude_accuracy, compare_conclude_layers,
                                         compare_conclude_blocks};
  for (size_t i = 0; i < 3; i++) {
    expect_about(c, functions[i], "agrees with", false);
    expect_about(c, functions[i], "start from", false);
  }
  answer_by_chance(&c->models[0], 60); /* p = 0.001 */
  expect_about(c, compare_conclude_accuracy, "plain20 gets 15.00 % of the images right. This",
               false);
  show_one_class(&c->models[0]);
  expect_about(c, compare_conclude_accuracy, "All images are of one class", true);
  fixture_release(c);
}

static void layer_responses_are_said(void **state) {
  (void)state;
  expect(&all, compare_conclude_layers,
         "Compared layer by layer, resnet56 has smaller responses than plain56 in 55 of 55 "
         "layers (two-sided sign test: p < 0.0001). The median ratio of their standard deviations "
         "is 0.37. In the first half (layers 1 to 27) they are smaller in 27 of 27 (p < 0.0001), "
         "in the second half (layers 28 to 55) in 28 of 28 (p < 0.0001). This agrees with He et "
         "al. (2016), where residual networks have generally smaller responses than plain ones");
  expect(&all, compare_conclude_layers,
         "resnet56 is deeper than resnet20. The median standard deviation of its layers is "
         "smaller: 0.5");
  expect(&all, compare_conclude_layers,
         "This agrees with He et al. (2016), where deeper residual networks");
  expect_not(&all, compare_conclude_layers, "disagrees");
  expect(&reversed, compare_conclude_layers,
         "The median ratio of their standard deviations is 2.73");
  expect(&reversed, compare_conclude_layers,
         "disagrees with He et al. (2016), where residual networks");
  expect(&reversed, compare_conclude_layers,
         "The median standard deviation of its layers is larger");
  expect(&reversed, compare_conclude_layers,
         "disagrees with He et al. (2016), where deeper residual networks");
  expect_not(&reversed, compare_conclude_layers, "This agrees");
}

/* Let the residual model resnet56 have smaller responses in these numbers of layers of
 * each half of 27 and 28. */
static comparison *with_smaller_layers(uint32_t first, uint32_t second) {
  comparison *c = fixture_make(&(fixture_options){.models = "PR"});
  for (uint32_t i = 0; i < 55; i++) {
    const bool smaller = i < 27 ? i < first : i - 27 < second;
    c->models[0].responses[i].std = 1;
    c->models[1].responses[i].std = smaller ? 0.5 : 1.5;
  }
  return c;
}

static void halves_in_opposite_order_are_said(void **state) {
  (void)state;
  comparison *c = with_smaller_layers(27, 2);
  expect_about(c, compare_conclude_layers, "in 29 of 55 layers (two-sided sign test: p = 0.79)",
               true);
  expect_about(c, compare_conclude_layers,
               "smaller in 27 of 27 (p < 0.0001), in the second half (layers 28 to 55) in 2 of 28 "
               "(p < 0.0001). The order is reversed between the halves",
               true);
  expect_about(c, compare_conclude_layers, "Here this holds in the first half only.", true);
  expect_about(c, compare_conclude_layers, "agrees", false);
  fixture_release(c);
}

static void a_difference_of_layers_by_chance_is_no_finding(void **state) {
  (void)state;
  comparison *c = with_smaller_layers(15, 14);
  expect_about(c, compare_conclude_layers, "Over all layers, no difference is shown.", true);
  expect_about(c, compare_conclude_layers, "agrees", false);
  expect_about(c, compare_conclude_layers, "reversed", false);
  fixture_release(c);
  c = with_smaller_layers(27, 14);
  expect_about(c, compare_conclude_layers, "This agrees with", true);
  expect_about(c, compare_conclude_layers, "In the second half alone, no difference is shown.",
               true);
  fixture_release(c);
}

static void layer_responses_that_cannot_be_compared_are_not(void **state) {
  (void)state;
  expect(&one, compare_conclude_layers, "There is no plain model");
  expect(&one, compare_conclude_layers, "No two residual models differ in depth");
  expect(&plain_only, compare_conclude_layers, "There is no residual model");
  expect(&unequal, compare_conclude_layers, "No plain model has as many layers as a residual one");
  expect(&not_run, compare_conclude_layers, "Layer responses were not observed");
  const fixture_options *const options[] = {&one, &plain_only, &unequal, &not_run};
  for (size_t i = 0; i < 4; i++) expect_not(options[i], compare_conclude_layers, "agree");
}

/* The median of layers one by one is not the ratio of medians, and a layer of 0 or NAN
 * does not spoil it. */
static void the_median_layer_is_found_layer_by_layer(void **state) {
  (void)state;
  comparison *c = fixture_make(&(fixture_options){.models = "pr"});
  static const double plain[3] = {1, 10, 100}, residual[3] = {0.5, 20, 25};
  for (int n = 0; n < 2; n++) {
    c->models[n].layer_count = 3;
    for (int i = 0; i < 3; i++) c->models[n].responses[i].std = n ? residual[i] : plain[i];
  }
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  compare_conclude_layers(c, out);
  assert_int_equal(fclose(out), 0);
  assert_non_null(strstr(text, "The median ratio of their standard deviations is 0.50."));
  assert_non_null(strstr(text, "resnet20 has smaller responses than plain20 in 2 of 3 layers "
                               "(two-sided sign test: p = 1)"));
  free(text);
  fixture_release(c);
}

static void blocks_are_said(void **state) {
  (void)state;
  expect(&all, compare_conclude_blocks,
         "The residual branches of resnet20 have 0.78 times the standard deviation of their "
         "shortcuts (median of 9 blocks). The smallest ratio is 0.41 (stage2.block1), the largest "
         "1.24 (stage2.block2).");
  expect(&all, compare_conclude_blocks,
         "resnet56 is deeper than resnet20. Its median block changes the signal less: the ratio is "
         "0.43, against 0.78 (rank-sum test: ");
  expect(&all, compare_conclude_blocks, "This agrees with He et al. (2016)");
  expect(&reversed, compare_conclude_blocks, "Its median block changes the signal more");
  expect(&reversed, compare_conclude_blocks, "This disagrees with He et al. (2016)");
  expect(&plain_only, compare_conclude_blocks, "None of the models has shortcuts");
  expect_not(&one, compare_conclude_blocks, "deeper");
}

static void ablations_are_said(void **state) {
  (void)state;
  expect(&all, compare_conclude_block_ablation,
         "Leaving out one block changes it by +65.0 percentage points (median of 7 blocks)");
  expect(
      &all, compare_conclude_block_ablation,
      "The error of the whole model resnet56 is 10.0 % (95 % interval: 8.3 % to 12.0 %). Leaving "
      "out one block changes it by +5.1 percentage points (median of 27 blocks), and by at most "
      "+24.2 (stage3.block1).");
  expect(&not_run, compare_conclude_block_ablation, "No blocks were left out");
  expect(&all, compare_conclude_ablation,
         "With 10 blocks of resnet56 left out, the mean error is 65.5 % (59.5 % to 75.5 %, "
         "depending on the blocks). The whole model has 10.0 %. Half of the rise is reached with 4 "
         "blocks left out.");
  expect(&not_run, compare_conclude_ablation, "No blocks were left out together");
}

static void a_model_without_blocks_to_leave_out_is_said(void **state) {
  (void)state;
  comparison *c = fixture_make(&one);
  for (uint32_t i = 0; i < c->models[0].plan.block_count; i++)
    c->models[0].blocks[i].can_ablate = false;
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  compare_conclude_block_ablation(c, out);
  assert_int_equal(fclose(out), 0);
  assert_string_equal(
      text, "No block of resnet56 can be left out, because each changes the shape of its input.\n");
  free(text);
  fixture_release(c);
}

static void costs_are_said(void **state) {
  (void)state;
  expect(&all, compare_conclude_shortcut_times,
         "The 9 shortcuts of resnet20 take 0.0439 ms of its 1 ms (4.4 %)");
  expect(&all, compare_conclude_shortcut_times, "so fusing saves 6.7 %.");
  expect(&not_run, compare_conclude_shortcut_times, "The time of shortcuts was not measured.");
  expect(&plain_only, compare_conclude_shortcut_times, "None of the models has shortcuts");
  expect(&all, compare_conclude_shortcut_bytes, "For the 9 shortcuts of resnet20, 504 KiB");
  expect(&all, compare_conclude_shortcut_bytes, "3.00 times as much");
  expect(&not_run, compare_conclude_shortcut_bytes, "The memory traffic of shortcuts is unknown.");
  expect(&plain_only, compare_conclude_shortcut_bytes, "None of the models has shortcuts");
}

static void fusing_that_saves_nothing_is_said(void **state) {
  (void)state;
  comparison *c = fixture_make(&one);
  for (uint32_t i = 0; i < c->models[0].plan.block_count; i++)
    c->models[0].blocks[i].unfused_ms = c->models[0].blocks[i].shortcut_ms;
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  compare_conclude_shortcut_times(c, out);
  assert_int_equal(fclose(out), 0);
  assert_non_null(strstr(text, "That fusing saves time is not shown."));
  free(text);
  fixture_release(c);
}

static void times_in_the_noise_are_not_measurable(void **state) {
  (void)state;
  static const struct {
    uint32_t known; /* number of shortcuts with a known time */
    const char *said;
  } cases[] = {
      {25, "The 25 measurable shortcuts of resnet56 take 0.123 ms of its 2.8 ms (4.4 %). 2 of 27 "
           "are not measurable, inside the noise of 300 runs, and not in this sum. As separate "
           "operations these would take 0.31 ms (11.1 %), so fusing saves 6.7 %."},
      {1, "The only measurable shortcut of resnet56 takes 0.00"},
      {0, "The time of the 27 shortcuts of resnet56 is not measurable: it is inside the noise of "
          "300 runs. The model takes 2.8 ms. As separate operations, they would take"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    comparison *c = fixture_make(&one);
    c->models[0].cost_runs = 300;
    for (uint32_t b = cases[i].known; b < c->models[0].plan.block_count; b++)
      c->models[0].blocks[b].shortcut_ms = NAN;
    expect_about(c, compare_conclude_shortcut_times, cases[i].said, true);
    fixture_release(c);
  }
}

static void an_error_that_does_not_rise_has_no_half(void **state) {
  (void)state;
  comparison *c = fixture_make(&one);
  for (uint32_t i = 0; i < c->models[0].ablation_count; i++)
    c->models[0].ablations[i].mean = 0.95; /* better than the whole model */
  expect_about(c, compare_conclude_ablation, "Leaving blocks out does not raise the error.", true);
  expect_about(c, compare_conclude_ablation, "Half of the rise", false);
  fixture_release(c);
}

static void confidence_is_said_both_ways(void **state) {
  (void)state;
  comparison *c = fixture_make(&one);
  model_summary *n = &c->models[0];
  static const struct {
    double confidence;
    const char *said;
  } cases[] = {{80, "it is overconfident"},
               {60, "it is underconfident"},
               {70.2, "neither over- nor underconfidence is shown"}};
  n->images = 100;
  n->top1 = 70;
  for (size_t i = 0; i < 3; i++) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    memset(n->calibration, 0, sizeof n->calibration);
    n->calibration[9].confidence = cases[i].confidence;
    compare_conclude_calibration(c, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, cases[i].said));
    free(text);
  }
  fixture_release(c);
}

static void pairs_are_said_both_ways(void **state) {
  (void)state;
  comparison *c = fixture_make(&plain_only);
  for (int chance = 0; chance < 2; chance++) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    c->pairs[0].mcnemar_p = c->pairs[0].mcnemar_holm = chance ? 0.4 : 0.00001;
    compare_conclude_pair(c, &c->pairs[0], out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(
        strstr(text, chance ? "McNemar's p = 0.4). It may be due to chance."
                            : "McNemar's p < 0.0001). It is larger than chance explains."));
    free(text);
  }
  fixture_release(c);
}

static void dead_units_are_said(void **state) {
  (void)state;
  expect(&all, compare_conclude_dead,
         "4 of the 1,280 channels of plain20 are never above 0 in any pixel of the 400 images.");
  expect(&all, compare_conclude_dead,
         "Each of the 1,280 channels of resnet20 is above 0 in some pixel of the 400 images.");
  expect(&not_run, compare_conclude_dead, "were not observed");
}

static void confusions_are_said(void **state) {
  (void)state;
  comparison *c = fixture_make(&one);
  model_summary *n = &c->models[0];
  memset(n->confusion, 0, 100 * sizeof *n->confusion);
  n->confusion[3 * 10 + 3] = 900;
  n->confusion[3 * 10 + 5] = 60;
  n->confusion[5 * 10 + 3] = 59;
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  compare_conclude_confusions(c, out);
  n->confusion[3 * 10 + 5] = 59;
  compare_conclude_confusions(c, out);
  n->confusion[3 * 10 + 5] = n->confusion[5 * 10 + 3] = 0;
  compare_conclude_confusions(c, out);
  assert_int_equal(fclose(out), 0);
  assert_string_equal(text, "The most frequent mistake of resnet56 is to label \xe2\x80\x9c"
                            "class03\xe2\x80\x9d as \xe2\x80\x9c"
                            "class05\xe2\x80\x9d: 60 of 960 images.\n"
                            "One of the most frequent mistakes of resnet56 is to label \xe2\x80\x9c"
                            "class03\xe2\x80\x9d as \xe2\x80\x9c"
                            "class05\xe2\x80\x9d: 59 of 959 images.\nresnet56 makes no mistake.\n");
  free(text);
  fixture_release(c);
}

/* ---- text from files ---- */

static void expect_markup(void (*write)(FILE *, const char *), const char *in, const char *wanted) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  write(out, in);
  assert_int_equal(fclose(out), 0);
  assert_string_equal(text, wanted);
  free(text);
}

static void html_obeys_nothing(void **state) {
  (void)state;
  expect_markup(markup_html_text, "<b a=\"1\" b='2'>&amp;",
                "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;amp;");
  expect_markup(markup_html_text, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb1",
                "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb1");
  expect_markup(markup_html_text, "a\x01\x1b\x7f", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  /* no UTF-8 */
  expect_markup(markup_html_text, "\xff<", "\xef\xbf\xbd&lt;");
  /* '<', spelt too long */
  expect_markup(markup_html_text, "\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd");
  /* cut off */
  expect_markup(markup_html_text, "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");
  /* U+202E */
  expect_markup(markup_html_text, "\xe2\x80\xae", "\xef\xbf\xbd");
  /* U+2066 */
  expect_markup(markup_html_text, "\xe2\x81\xa6", "\xef\xbf\xbd");
  /* U+FFFF, a C1 control */
  expect_markup(markup_html_text, "\xef\xbf\xbf\xc2\x85", "\xef\xbf\xbd\xef\xbf\xbd");
}

static void shorten_to_5(FILE *out, const char *text) { markup_html_shortened(out, text, 5); }

static void long_names_lose_their_middle(void **state) {
  (void)state;
  expect_markup(shorten_to_5, "abcde", "abcde");
  expect_markup(shorten_to_5, "abcdef",
                "ab\xe2\x80\xa6"
                "ef");
  expect_markup(shorten_to_5, "<\xc3\xa9xxxx\xc3\xa9>", "&lt;\xc3\xa9\xe2\x80\xa6\xc3\xa9&gt;");
  assert_int_equal(utf8_count("\xc3\xa9\xff"
                              "a"),
                   3);
}

static void csv_is_quoted_and_no_formula(void **state) {
  (void)state;
  expect_markup(markup_csv_text, "plain", "plain");
  expect_markup(markup_csv_text, "", "");
  expect_markup(markup_csv_text, "a,b", "\"a,b\"");
  expect_markup(markup_csv_text, "a\"b\nc", "\"a\"\"b\nc\"");
  expect_markup(markup_csv_text, "=1+1", "'=1+1");
  expect_markup(markup_csv_text, "+1", "'+1");
  expect_markup(markup_csv_text, "-1", "'-1");
  expect_markup(markup_csv_text, "@x,y", "\"'@x,y\"");
  expect_markup(markup_csv_text, "\t=1", "\"'\t=1\"");
  expect_markup(markup_csv_text, "a=1", "a=1");
  /* escape, a C1 control, U+202E, no UTF-8 */
  expect_markup(markup_csv_text, "a\x1b\xc2\x9b", "a\xef\xbf\xbd\xef\xbf\xbd");
  expect_markup(markup_csv_text, "\xe2\x80\xae\x9b", "\xef\xbf\xbd\xef\xbf\xbd");
}

static void base64_is_rfc_4648(void **state) {
  (void)state;
  static const char *const wanted[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (size_t size = 0; size < 7; size++) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    markup_write_base64(out, (const uint8_t *)"foobar", size);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, wanted[size]);
    free(text);
  }
}

/* ---- ticks ---- */

static void expect_ticks(double low, double high, size_t max, bool whole, size_t count,
                         double first, double step) {
  double ticks[SVG_MAX_TICKS], found = 0;
  assert_int_equal(svg_ticks(low, high, max, whole, &found, ticks), count);
  for (size_t i = 0; i < count; i++)
    assert_true(fabs(ticks[i] - (first + (double)i * step)) < 1e-9 * (1 + fabs(high)));
  if (count) assert_true(fabs(found - step) < 1e-9 * step);
}

static void ticks_are_round(void **state) {
  (void)state;
  expect_ticks(0, 1, 6, false, 6, 0, 0.2);
  expect_ticks(0, 100, 6, false, 6, 0, 20);
  expect_ticks(-1, 1, 6, false, 5, -1, 0.5);
  expect_ticks(0.3, 2.1, 5, false, 4, 0.5, 0.5);
  expect_ticks(0.5, 27.5, 12, true, 5, 5, 5);
  expect_ticks(0.5, 3.5, 12, true, 3, 1, 1); /* no halves */
  expect_ticks(0, 7e-6, 6, false, 4, 0, 2e-6);
  expect_ticks(0, 3e9, 7, false, 7, 0, 5e8);
  expect_ticks(1, 1, 6, false, 0, 0, 0);
  expect_ticks(NAN, 1, 6, false, 0, 0, 0);
  expect_ticks(0, INFINITY, 6, false, 0, 0, 0);
}

static void log_ticks_are_few(void **state) {
  (void)state;
  double ticks[SVG_MAX_TICKS];
  static const double wanted[] = {0.2, 0.5, 1, 2, 5};
  assert_int_equal(svg_log_ticks(0.15, 6, 7, ticks), 5);
  for (size_t i = 0; i < 5; i++) assert_true(fabs(ticks[i] / wanted[i] - 1) < 1e-9);
  assert_int_equal(svg_log_ticks(1, 1e5, 7, ticks), 6); /* powers of 10 alone */
  assert_true(svg_log_ticks(1e-300, 1e300, 7, ticks) <= 7);
  assert_int_equal(svg_log_ticks(0, 1, 7, ticks), 0);
}

static void expect_number(double value, double step, const char *wanted) {
  char text[SVG_NUMBER_SIZE];
  assert_string_equal(svg_number(text, value, step), wanted);
}

static void numbers_have_the_digits_that_their_step_needs(void **state) {
  (void)state;
  expect_number(0, 0.5, "0.0");
  expect_number(1.5, 0.5, "1.5");
  expect_number(0.25, 0.05, "0.25");
  expect_number(100, 20, "100");
  expect_number(12000, 2000, "12,000");
  expect_number(1234567, 1, "1,234,567");
  expect_number(-0.5, 0.5,
                "\xe2\x88\x92"
                "0.5");
  expect_number(2e-7, 1e-7, "2e-07");
  expect_number(3.14159, 0, "3.142");
}

/* ---- sheets ---- */

static char *write_sheet(const comparison *c, sheet_function fill, sheet_kind kind) {
  char *text = NULL;
  size_t size = 0;
  sheet s = {.out = open_memstream(&text, &size), .kind = kind};
  fill(c, &s);
  assert_int_equal(fclose(s.out), 0);
  return text;
}

static void what_is_measured_is_apart(void **state) {
  (void)state;
  comparison *c = fixture_make(&one);
  char *plain = write_sheet(c, report_sheet_models, SHEET_CSV),
       *measured = write_sheet(c, report_sheet_models, SHEET_CSV_MEASURED);
  assert_int_equal(strncmp(plain, "net,kind,depth,", 15), 0);
  assert_null(strstr(plain, "latency"));
  assert_string_equal(
      measured,
      "net,latency_median_ms,latency_p99_ms,peak_bytes\r\nresnet56,2.8,3.472,24117248\r\n");
  free(plain);
  free(measured);
  fixture_release(c);
}

static void a_page_shows_the_first_rows_only(void **state) {
  (void)state;
  static const sheet_column columns[] = {{"A", "a", COLUMN_KEY}, {"B", "b", COLUMN_PLAIN}};
  for (int kind = SHEET_PAGE; kind <= SHEET_CSV; kind++) {
    char *text = NULL;
    size_t size = 0;
    sheet s = {.out = open_memstream(&text, &size), .kind = (sheet_kind)kind};
    sheet_open(&s, "x", "X", columns, 2, 2);
    for (int i = 0; i < 3; i++) {
      sheet_text(&s, "row");
      sheet_number(&s, i == 1 ? NAN : 0.125);
    }
    sheet_close(&s);
    assert_int_equal(fclose(s.out), 0);
    if (kind == SHEET_PAGE)
      assert_non_null(strstr(text, "The first 2 of 3 rows"));
    else
      assert_string_equal(text, "a,b\r\nrow,0.125\r\nrow,\r\nrow,0.125\r\n");
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accuracy_is_said),
      cmocka_unit_test(a_difference_by_chance_is_no_finding),
      cmocka_unit_test(many_pairs_need_smaller_p),
      cmocka_unit_test(models_at_chance_are_not_compared_with_the_paper),
      cmocka_unit_test(halves_in_opposite_order_are_said),
      cmocka_unit_test(a_difference_of_layers_by_chance_is_no_finding),
      cmocka_unit_test(an_error_that_does_not_rise_has_no_half),
      cmocka_unit_test(layer_responses_are_said),
      cmocka_unit_test(layer_responses_that_cannot_be_compared_are_not),
      cmocka_unit_test(the_median_layer_is_found_layer_by_layer),
      cmocka_unit_test(blocks_are_said),
      cmocka_unit_test(ablations_are_said),
      cmocka_unit_test(a_model_without_blocks_to_leave_out_is_said),
      cmocka_unit_test(costs_are_said),
      cmocka_unit_test(fusing_that_saves_nothing_is_said),
      cmocka_unit_test(times_in_the_noise_are_not_measurable),
      cmocka_unit_test(confidence_is_said_both_ways),
      cmocka_unit_test(pairs_are_said_both_ways),
      cmocka_unit_test(dead_units_are_said),
      cmocka_unit_test(confusions_are_said),
      cmocka_unit_test(html_obeys_nothing),
      cmocka_unit_test(long_names_lose_their_middle),
      cmocka_unit_test(csv_is_quoted_and_no_formula),
      cmocka_unit_test(base64_is_rfc_4648),
      cmocka_unit_test(ticks_are_round),
      cmocka_unit_test(log_ticks_are_few),
      cmocka_unit_test(numbers_have_the_digits_that_their_step_needs),
      cmocka_unit_test(what_is_measured_is_apart),
      cmocka_unit_test(a_page_shows_the_first_rows_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
