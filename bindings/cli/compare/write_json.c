#include "cli/compare/write_json.h"

#include <math.h>
#include <stdlib.h>

#include "cli/compare/accuracy.h"
#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/compare/significance.h"
#include "cli/memory.h"
#include "cli/model.h"
#include "cli/model_text.h"
#include "cli/plan.h"
#include "cli/system.h"
#include "support/json.h"
#include "support/responses.h"
#include "support/statistics.h"

/* With more classes, the confusion matrix is omitted; with 1000, it would be most of the
 * document. */
enum { MAX_CONFUSION_CLASSES = 100, CPU_NAME_SIZE = 256 };

static const char *point_name(resnet_point point) {
  switch (point) {
  case RESNET_POINT_OUTPUT:
    return "output";
  case RESNET_POINT_RESPONSE:
    return "response";
  case RESNET_POINT_SHORTCUT:
    return "shortcut";
  case RESNET_POINT_CLASS_MAP:
    return "class_map";
  }
  return "unknown";
}

static void write_interval(json *j, const char *key, const stats_interval *i) {
  json_open_array(j, key);
  json_number(j, NULL, i->low);
  json_number(j, NULL, i->high);
  json_close_array(j);
}

static void write_accuracy(const model_summary *model, json *j) {
  json_integer(j, "images", model->images);
  json_number(j, "top1", stats_share(model->top1, model->images));
  json_number(j, "top5", stats_share(model->top5, model->images));
  write_interval(j, "top1_ci95", &model->top1_interval);
  write_interval(j, "top5_ci95", &model->top5_interval);
  json_number(j, "chance", compare_chance(model));
  json_number(j, "chance_p", compare_chance_p(model));
  json_number(j, "cross_entropy", model->cross_entropy);
  json_number(j, "calibration_error", model->calibration_error);
  json_open_array(j, "calibration");
  for (int i = 0; i < CALIBRATION_BINS; i++) {
    const calibration_bin *bin = &model->calibration[i];
    json_open_object(j, NULL);
    json_integer(j, "images", bin->images);
    json_number(j, "accuracy", stats_share(bin->right, bin->images));
    json_number(j, "confidence", bin->images ? bin->confidence / (double)bin->images : NAN);
    json_close_object(j);
  }
  json_close_array(j);
}

static void write_confusion(const model_summary *model, json *j) {
  const uint32_t classes = model->loaded.info.classes;
  if (classes > MAX_CONFUSION_CLASSES) {
    json_null(j, "confusion");
    return;
  }
  json_open_array(j, "confusion");
  for (uint32_t truth = 0; truth < classes; truth++) {
    json_open_array(j, NULL);
    for (uint32_t answer = 0; answer < classes; answer++)
      json_integer(j, NULL, model->confusion[(size_t)truth * classes + answer]);
    json_close_array(j);
  }
  json_close_array(j);
}

static void write_percentiles(const response_summary *r, json *j) {
  char key[16];
  json_open_object(j, "percentiles");
  for (int i = 0; i < RESPONSE_PERCENTILES; i++) {
    (void)snprintf(key, sizeof key, "%g", response_percentile_ranks[i]);
    json_number(j, key, r->percentiles[i]);
  }
  json_close_object(j);
}

static void write_block_of(const model_summary *model, uint32_t block, json *j) {
  json_text(j, "block", block < model->plan.block_count ? model->plan.blocks[block].name : NULL);
}

static void write_responses(const model_summary *model, json *j) {
  json_open_array(j, "responses");
  for (uint32_t i = 0; i < model->response_count; i++) {
    const response_summary *r = &model->responses[i];
    json_open_object(j, NULL);
    json_integer(j, "op", r->op);
    json_text(j, "name", model->plan.ops[r->op].name);
    json_text(j, "tensor", model->plan.ops[r->op].output);
    json_text(j, "point", point_name(r->point));
    if (r->layer)
      json_integer(j, "layer", r->layer);
    else
      json_null(j, "layer");
    write_block_of(model, r->block, j);
    json_integer(j, "values", r->values);
    json_number(j, "mean", r->mean);
    json_number(j, "std", r->std);
    json_number(j, "min", r->min);
    json_number(j, "max", r->max);
    write_percentiles(r, j);
    json_number(j, "negative", r->negative);
    json_integer(j, "channels", r->channels);
    json_integer(j, "dead_channels", r->dead);
    json_close_object(j);
  }
  json_close_array(j);
}

static void write_blocks(const model_summary *model, json *j) {
  json_open_array(j, "blocks");
  for (uint32_t i = 0; i < model->plan.block_count; i++) {
    const block_summary *b = &model->blocks[i];
    json_open_object(j, NULL);
    json_text(j, "name", model->plan.blocks[i].name);
    json_text(j, "shortcut", resnet_shortcut_string(model->plan.blocks[i].shortcut));
    json_number(j, "branch_std", b->branch_std);
    json_number(j, "shortcut_std", b->shortcut_std);
    json_number(j, "ratio", b->ratio);
    json_number(j, "output_std", b->output_std);
    json_bool(j, "can_skip", b->can_ablate);
    json_number(j, "skipped_top1", b->ablated_top1);
    json_number(j, "shortcut_ms", b->shortcut_ms);
    write_interval(j, "shortcut_ms_ci999", &b->shortcut_interval);
    json_number(j, "unfused_ms", b->unfused_ms);
    json_integer(j, "shortcut_bytes", b->shortcut_bytes);
    json_integer(j, "unfused_bytes", b->unfused_bytes);
    json_close_object(j);
  }
  json_close_array(j);
}

static void write_ablation(const model_summary *model, json *j) {
  json_open_object(j, "lesions");
  json_integer(j, "images", model->ablation_images);
  json_number(j, "top1", stats_share(model->ablation_top1, model->ablation_images));
  json_open_array(j, "removals");
  for (uint32_t i = 0; i < model->ablation_count; i++) {
    const ablation_summary *r = &model->ablations[i];
    json_open_object(j, NULL);
    json_integer(j, "removed", r->removed);
    json_integer(j, "choices", r->choices);
    json_number(j, "mean_top1", r->mean);
    json_number(j, "min_top1", r->min);
    json_number(j, "max_top1", r->max);
    json_close_object(j);
  }
  json_close_array(j);
  json_close_object(j);
}

static void write_cost(const model_summary *model, json *j) {
  const resnet_model_info *info = &model->loaded.info;
  json_integer(j, "layers", info->conv_layers);
  json_integer(j, "parameters", info->parameters);
  json_integer(j, "macs", info->macs);
  json_integer(j, "weights_bytes", info->weights_bytes);
  json_integer(j, "arena_bytes", info->arena_bytes);
  if (model->peak_bytes)
    json_integer(j, "peak_rss_bytes", model->peak_bytes);
  else
    json_null(j, "peak_rss_bytes");
  json_number(j, "load_ms", model->loaded.load_ms);
  json_open_object(j, "latency_ms");
  json_number(j, "min", model->latency_min_ms);
  json_number(j, "median", model->latency_median_ms);
  json_number(j, "p99", model->latency_p99_ms);
  json_integer(j, "runs", model->latency_runs);
  json_close_object(j);
  json_integer(j, "cost_runs", model->cost_runs);
}

static void write_medians(const model_summary *model, json *j) {
  json_integer(j, "figure_layers", compare_figure_layers(model));
  json_number(j, "median_layer_std", compare_median_layer_std(model));
  json_number(j, "median_branch_ratio", compare_median_ratio(model));
}

static void write_model(const model_summary *model, json *j) {
  json_open_object(j, NULL);
  json_text(j, "title", model->title);
  cli_model_write_json(&model->loaded, j);
  json_text(j, "sha256", model->sha256);
  json_bool(j, "residual", model->residual);
  json_text(j, "classes_by", model->class_rule);
  write_cost(model, j);
  write_accuracy(model, j);
  write_confusion(model, j);
  write_medians(model, j);
  write_responses(model, j);
  write_blocks(model, j);
  write_ablation(model, j);
  json_close_object(j);
}

/* Write the predicted class: its folder's name, its label, or its number. */
static void write_answer(const comparison *c, const model_summary *model, const sample_result *v,
                         const char *key, json *j) {
  const uint32_t folder = compare_predicted_folder(c, model, v->best);
  const char *label = cli_model_class_label(&model->loaded, v->best);
  char number[16];
  (void)snprintf(number, sizeof number, "%u", v->best);
  json_text(j, key,
            folder < c->data.folder_count ? c->data.folders[folder]
            : label                       ? label
                                          : number);
}

/* Write the images that only one of the two models gets right. */
static void write_differences(const comparison *c, const pair_summary *p, json *j) {
  json_open_array(j, "differences");
  for (size_t i = 0; i < c->data.count; i++) {
    const sample_result *a = &c->models[p->a].results[i], *b = &c->models[p->b].results[i];
    if (c->failures[i] || a->top1 == b->top1) continue;
    json_open_object(j, NULL);
    json_text(j, "file", c->data.items[i].path);
    json_text(j, "truth", c->data.folders[c->data.items[i].folder]);
    json_text(j, "right", a->top1 ? "a" : "b");
    write_answer(c, &c->models[p->a], a, "a", j);
    write_answer(c, &c->models[p->b], b, "b", j);
    json_close_object(j);
  }
  json_close_array(j);
}

static void write_pair(const comparison *c, const pair_summary *p, json *j) {
  json_open_object(j, NULL);
  json_integer(j, "a", p->a);
  json_integer(j, "b", p->b);
  json_integer(j, "images", p->images);
  json_number(j, "agreement", stats_share(p->agree, p->images));
  json_integer(j, "agree", p->agree);
  json_integer(j, "both", p->both);
  json_integer(j, "only_a", p->only_a);
  json_integer(j, "only_b", p->only_b);
  json_integer(j, "neither", p->images - p->both - p->only_a - p->only_b);
  json_number(j, "mcnemar_chi2", p->mcnemar_chi2);
  json_number(j, "mcnemar_p", p->mcnemar_p);
  json_number(j, "mcnemar_p_holm", p->mcnemar_holm);
  json_number(j, "difference", ((double)p->only_a - (double)p->only_b) / (double)p->images);
  const stats_interval i = stats_paired_interval(p->only_a, p->only_b, p->images);
  write_interval(j, "difference_ci95", &i);
  write_differences(c, p, j);
  json_close_object(j);
}

static void write_failures(const comparison *c, json *j) {
  json_open_array(j, "errors");
  for (size_t i = 0; i < c->data.count; i++) {
    if (!c->failures[i]) continue;
    json_open_object(j, NULL);
    json_text(j, "file", c->data.items[i].path);
    json_text(j, "message", c->failures[i]);
    json_close_object(j);
  }
  json_close_array(j);
}

/* ---- tests of responses ---- */

static const char *order_name(compare_order order) {
  return order == COMPARE_SMALLER ? "smaller" : order == COMPARE_LARGER ? "larger" : NULL;
}

static void write_range(const char *key, const layer_range *r, json *j) {
  json_open_object(j, key);
  json_integer(j, "first", r->first);
  json_integer(j, "last", r->last);
  json_integer(j, "smaller", r->smaller);
  json_integer(j, "larger", r->larger);
  json_number(j, "sign_p", r->p);
  json_text(j, "shown", order_name(r->order));
  json_close_object(j);
}

/* Write the tests of residual models against plain ones of the same depth. */
static void write_layer_tests(const comparison *c, json *j) {
  json_open_array(j, "layer_tests");
  for (uint32_t r = 0; r < c->model_count; r++) {
    for (uint32_t p = 0; p < c->model_count; p++) {
      if (!compare_is_layer_pair(&c->models[p], &c->models[r])) continue;
      const layer_comparison l = compare_layers(&c->models[r], &c->models[p]);
      json_open_object(j, NULL);
      json_integer(j, "residual", r);
      json_integer(j, "plain", p);
      json_number(j, "median_ratio", l.median_ratio);
      write_range("all", &l.all, j);
      write_range("first_half", &l.halves[0], j);
      write_range("second_half", &l.halves[1], j);
      json_close_object(j);
    }
  }
  json_close_array(j);
}

static void write_group(const char *key, const group_comparison *g, json *j) {
  json_open_object(j, key);
  json_number(j, "shallow_median", g->b_median);
  json_number(j, "deep_median", g->a_median);
  json_number(j, "rank_sum_p", g->p);
  json_text(j, "deep_shown", order_name(g->order));
  json_close_object(j);
}

/* Write the tests of residual models that are next in depth. */
static void write_depth_tests(const comparison *c, json *j) {
  uint32_t *order = cli_allocate(c->model_count, sizeof *order);
  const uint32_t count = compare_models_by_depth(c, true, order);
  json_open_array(j, "depth_tests");
  for (uint32_t i = 1; i < count; i++) {
    const model_summary *shallow = &c->models[order[i - 1]], *deep = &c->models[order[i]];
    if (shallow->loaded.info.conv_layers == deep->loaded.info.conv_layers) continue;
    const group_comparison layers = compare_layer_groups(deep, shallow),
                           ratios = compare_ratio_groups(deep, shallow);
    json_open_object(j, NULL);
    json_integer(j, "shallow", order[i - 1]);
    json_integer(j, "deep", order[i]);
    write_group("layer_std", &layers, j);
    write_group("branch_ratio", &ratios, j);
    json_close_object(j);
  }
  json_close_array(j);
  free(order);
}

/* ---- the document ---- */

/* Write when, where and how the comparison was made. */
static void write_run(const comparison *c, json *j) {
  char date[COMPARE_DATE_SIZE], cpu[CPU_NAME_SIZE];
  json_text(j, "date", compare_date(c, date));
  json_number(j, "total_seconds", c->total_seconds);
  json_text(j, "command", c->settings->command_line);
  json_open_object(j, "machine");
  json_text(j, "cpu", cli_cpu_name(cpu, sizeof cpu));
  json_integer(j, "processors", cli_processor_count());
  json_close_object(j);
}

void compare_write_json(const comparison *c, json *j) {
  json_open_object(j, NULL);
  json_text(j, "data", c->settings->data);
  json_integer(j, "folders", c->data.folder_count);
  json_integer(j, "images", c->models[0].images);
  json_number(j, "seconds", c->seconds);
  json_number(j, "images_per_second", (double)c->models[0].images / c->seconds);
  json_integer(j, "threads", c->workers);
  write_run(c, j);
  json_open_array(j, "models");
  for (uint32_t i = 0; i < c->model_count; i++) write_model(&c->models[i], j);
  json_close_array(j);
  json_open_array(j, "pairs");
  for (uint32_t i = 0; i < c->pair_count; i++) write_pair(c, &c->pairs[i], j);
  json_close_array(j);
  write_layer_tests(c, j);
  write_depth_tests(c, j);
  write_failures(c, j);
  json_close_object(j);
}
