#include "cli/compare/print_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/compare/conclude_responses.h"
#include "cli/compare/conclusions.h"
#include "cli/compare/derived.h"
#include "cli/compare/sentences.h"
#include "cli/format.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/plan.h"
#include "cli/table.h"
#include "support/statistics.h"

/* A model with more blocks shows only every second, third, ... block. */
enum { MAX_BLOCKS_SHOWN = 12 };

static void start_table(table *t, const char *const *heading) {
  for (size_t i = 0; i < t->columns; i++) cli_table_add(t, heading[i]);
}

/* Add a number, or "-" if it is not finite. */
static void add_value(table *t, double value, int digits) {
  char text[64] = "-";
  if (isfinite(value)) (void)snprintf(text, sizeof text, "%.*f", digits, value);
  cli_table_add(t, text);
}

static void add_percent(table *t, double share_of_one) { add_value(t, 100 * share_of_one, 2); }

/* ---- models ---- */

static void add_model(table *t, const model_summary *model) {
  const resnet_model_info *info = &model->loaded.info;
  char text[FORMAT_SIZE];
  cli_table_add(t, model->title);
  cli_table_add_number(t, info->conv_layers);
  cli_table_add(t, cli_format_count(text, info->parameters));
  cli_table_add(t, cli_format_count(text, info->macs));
  add_percent(t, stats_share(model->top1, model->images));
  (void)snprintf(text, sizeof text, "%.2f to %.2f", 100 * model->top1_interval.low,
                 100 * model->top1_interval.high);
  cli_table_add(t, model->images ? text : "-");
  add_percent(t, stats_share(model->top5, model->images));
  add_percent(t, model->calibration_error);
  add_value(t, model->latency_median_ms, 3);
  add_value(t, model->latency_p99_ms, 3);
  cli_table_add(t, cli_format_bytes(text, info->arena_bytes));
  cli_table_add(t, model->peak_bytes ? cli_format_bytes(text, model->peak_bytes) : "-");
}

static void print_models(const comparison *c) {
  static const char *const heading[] = {"model",   "layers", "params",  "MACs",
                                        "top-1 %", "95 %",   "top-5 %", "ECE %",
                                        "ms",      "p99 ms", "arena",   "memory"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "lrrrrrrrrrrr"};
  start_table(&t, heading);
  for (uint32_t i = 0; i < c->model_count; i++) add_model(&t, &c->models[i]);
  (void)fputc('\n', stdout);
  cli_table_print(&t);
}

/* ---- pairs ---- */

static void add_probability(table *t, double p) {
  char text[32];
  (void)snprintf(text, sizeof text, p < 0.001 ? "%.1e" : "%.3f", p);
  cli_table_add(t, text);
}

static void print_pairs(const comparison *c) {
  static const char *const heading[] = {
      "A", "B", "agree %", "both right", "only A", "only B", "McNemar chi2", "p", "Holm p"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "llrrrrrrr"};
  if (c->pair_count == 0) return;
  start_table(&t, heading);
  for (uint32_t i = 0; i < c->pair_count; i++) {
    const pair_summary *p = &c->pairs[i];
    cli_table_add(&t, c->models[p->a].title);
    cli_table_add(&t, c->models[p->b].title);
    add_percent(&t, stats_share(p->agree, p->images));
    cli_table_add_number(&t, p->both);
    cli_table_add_number(&t, p->only_a);
    cli_table_add_number(&t, p->only_b);
    add_value(&t, p->mcnemar_chi2, 2);
    add_probability(&t, p->mcnemar_p);
    add_probability(&t, p->mcnemar_holm);
  }
  (void)fputc('\n', stdout);
  cli_table_print(&t);
}

/* ---- responses ---- */

/* Deviations are those of figure 7, without a fully connected layer at the end; the other
 * columns are over all layers. */
static void add_responses(table *t, const model_summary *model) {
  size_t count;
  double *deviations = compare_list_layer_stds(model, &count), negative = 0;
  uint64_t channels, dead = compare_dead_channels(model, &channels);
  for (uint32_t i = 0; i < model->layer_count; i++)
    negative += model->responses[model->layers[i]].negative / model->layer_count;
  stats_sort(deviations, count);
  cli_table_add(t, model->title);
  cli_table_add_number(t, count);
  add_value(t, stats_sorted_percentile(deviations, count, 0), 3);
  add_value(t, compare_median_layer_std(model), 3);
  add_value(t, stats_sorted_percentile(deviations, count, 100), 3);
  add_percent(t, negative);
  cli_table_add_number(t, dead);
  cli_table_add_number(t, channels);
  free(deviations);
}

static void print_responses(const comparison *c) {
  static const char *const heading[] = {"responses", "Fig. 7 layers", "min std", "median std",
                                        "max std",   "negative %",    "dead",    "of channels"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "lrrrrrrr"};
  start_table(&t, heading);
  for (uint32_t i = 0; i < c->model_count; i++) add_responses(&t, &c->models[i]);
  (void)fputc('\n', stdout);
  cli_table_print(&t);
}

/* ---- blocks ---- */

static void print_blocks(const model_summary *model) {
  const char *const heading[] = {model->title, "shortcut",   "branch std",     "shortcut std",
                                 "ratio",      "output std", "top-1 % without"};
  const uint32_t count = model->plan.block_count,
                 step = (count + MAX_BLOCKS_SHOWN - 1) / MAX_BLOCKS_SHOWN;
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "llrrrrr"};
  if (count == 0) return;
  start_table(&t, heading);
  for (uint32_t i = 0; i < count; i += step) {
    const block_summary *b = &model->blocks[i];
    cli_table_add(&t, model->plan.blocks[i].name);
    cli_table_add(&t, resnet_shortcut_string(model->plan.blocks[i].shortcut));
    add_value(&t, b->branch_std, 3);
    add_value(&t, b->shortcut_std, 3);
    add_value(&t, b->ratio, 3);
    add_value(&t, b->output_std, 3);
    add_percent(&t, b->ablated_top1);
  }
  (void)fputc('\n', stdout);
  cli_table_print(&t);
  if (step > 1) (void)printf("(one block in %u of %u; --json has all)\n", step, count);
}

/* ---- conclusions ---- */

static void print_conclusions(const comparison *c, conclude_function conclude) {
  char *text = NULL, *rest = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return;
  conclude(c, out);
  if (fclose(out) == 0) {
    for (const char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
      cli_print_masked(stdout, line);
      (void)fputc('\n', stdout);
    }
  }
  free(text);
}

static void print_head(const comparison *c) {
  const uint64_t images = c->models[0].images, failures = c->data.count - images;
  char date[COMPARE_DATE_SIZE];
  (void)fputs("data        ", stdout);
  cli_print_masked(stdout, c->settings->data);
  (void)printf(": %llu image%s in %u folder%s\n", (unsigned long long)images,
               compare_plural(images), c->data.folder_count, compare_plural(c->data.folder_count));
  (void)printf("speed       %.0f images/s for all models, with responses (%.2f s, threads %u)\n",
               (double)images / c->seconds, c->seconds, c->workers);
  (void)printf("time        %.1f s for the whole command, begun %s\n", c->total_seconds,
               compare_date(c, date));
  if (failures)
    (void)printf("unreadable  %llu image%s, not counted\n", (unsigned long long)failures,
                 compare_plural(failures));
}

void compare_print_text(const comparison *c) {
  print_head(c);
  print_models(c);
  print_pairs(c);
  print_responses(c);
  for (uint32_t i = 0; i < c->model_count; i++) print_blocks(&c->models[i]);
  (void)fputc('\n', stdout);
  print_conclusions(c, compare_conclude_accuracy);
  print_conclusions(c, compare_conclude_layers);
  (void)fputs("\n" COMPARE_PAPER ": \xe2\x80\x9c" COMPARE_PAPER_TITLE "\xe2\x80\x9d, CVPR.\n",
              stdout);
}
