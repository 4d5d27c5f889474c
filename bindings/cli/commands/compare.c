/* resnet compare: any number of models over the same labelled images. */
#include "cli/commands/compare.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/classes.h"
#include "cli/compare/ablation.h"
#include "cli/compare/accuracy.h"
#include "cli/compare/comparison.h"
#include "cli/compare/costs.h"
#include "cli/compare/evaluate.h"
#include "cli/compare/layer_responses.h"
#include "cli/compare/print_text.h"
#include "cli/compare/speed.h"
#include "cli/compare/write_json.h"
#include "cli/dataset.h"
#include "cli/exit_status.h"
#include "cli/format.h"
#include "cli/image_input.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/model_text.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "cli/plan.h"
#include "cli/report/export.h"
#include "cli/report/page.h"
#include "cli/system.h"
#include "support/error.h"
#include "support/json.h"
#include "support/sha256.h"

/* ---- opening ---- */

static bool hash_file(model_summary *model) {
  uint64_t bytes;
  if (sha256_file(model->loaded.file, model->sha256, &bytes)) return true;
  resnet_error error;
  (void)error_set(&error, RESNET_ERROR_IO, "%s", strerror(errno));
  cli_print_error(model->loaded.file, &error);
  return false;
}

static bool open_model(const settings *s, const char *file, model_summary *model) {
  settings own = *s;
  own.model = file;
  model->peak_bytes = compare_peak_memory(&own);
  if (!cli_model_open(&own, &model->loaded)) return false;
  cli_model_print_guess(&own, &model->loaded);
  if (!hash_file(model) || !cli_plan_read(&model->loaded, &model->plan)) return false;
  for (uint32_t i = 0; i < model->plan.block_count; i++)
    if (cli_plan_has_shortcut(&model->plan, i)) model->residual = true;
  model->latency_min_ms = model->latency_median_ms = model->latency_p99_ms = NAN;
  return true;
}

typedef const char *(*naming)(const model_summary *model);

/* Return the name in the model file, or "" if it is only an exporter's default name. */
static const char *own_name(const model_summary *model) {
  static const char *const defaults[] = {"main_graph",       "main",  "torch_jit",
                                         "torch-jit-export", "graph", "tf2onnx"};
  for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
    if (strcmp(model->loaded.info.name, defaults[i]) == 0) return "";
  return model->loaded.info.name;
}

static const char *file_name(const model_summary *model) {
  return cli_base_name(model->loaded.file);
}
static const char *path_name(const model_summary *model) { return model->loaded.file; }

/* Return true if every model has a name and no two names are equal. */
static bool are_distinct(const comparison *c, naming name) {
  for (uint32_t i = 0; i < c->model_count; i++) {
    if (!*name(&c->models[i])) return false;
    for (uint32_t k = 0; k < i; k++)
      if (strcmp(name(&c->models[i]), name(&c->models[k])) == 0) return false;
  }
  return true;
}

static void name_models(comparison *c) {
  const naming name = are_distinct(c, own_name)    ? own_name
                      : are_distinct(c, file_name) ? file_name
                                                   : path_name;
  for (uint32_t i = 0; i < c->model_count; i++) c->models[i].title = name(&c->models[i]);
}

static bool match_classes(comparison *c, model_summary *model) {
  resnet_error error, named;
  model->class_of_folder = cli_allocate(c->data.folder_count, sizeof *model->class_of_folder);
  if (cli_classes_match(&c->data, &model->loaded, model->class_of_folder, &model->class_rule,
                        &error))
    return true;
  (void)error_set(&named, error.status, "for %.80s: %.170s", cli_base_name(model->loaded.file),
                  error.message);
  cli_print_error(c->settings->data, &named);
  return false;
}

/* Return a number for scores that can be compared: 0: one class of many, 1: one of two by
 * one number, 2: several classes at once, 3: none. */
static int kind_of(resnet_scores scores) {
  switch (scores) {
  case RESNET_SCORES_BINARY_LOGIT:
  case RESNET_SCORES_BINARY_PROBABILITY:
    return 1;
  case RESNET_SCORES_MULTI_LABEL:
    return 2;
  case RESNET_SCORES_EMBEDDING:
    return 3;
  default:
    return 0;
  }
}

/* Refuse models without classes, and models whose scores mean different things. */
static bool check_scores(const comparison *c) {
  resnet_error error;
  const loaded_model *first = &c->models[0].loaded;
  for (uint32_t i = 0; i < c->model_count; i++) {
    const loaded_model *m = &c->models[i].loaded;
    if (m->info.classes == 0)
      (void)error_set(&error, RESNET_ERROR_UNSUPPORTED,
                      "has no classes: its output is an embedding, which compare does not take");
    else if (kind_of(m->info.scores) != kind_of(first->info.scores))
      (void)error_set(&error, RESNET_ERROR_UNSUPPORTED,
                      "its scores are of another kind (%s) than those of %.80s (%s): compare "
                      "models of one kind",
                      cli_model_scores_name(m->info.scores), cli_base_name(first->file),
                      cli_model_scores_name(first->info.scores));
    else
      continue;
    cli_print_error(m->file, &error);
    return false;
  }
  return true;
}

static bool open_all(comparison *c) {
  const settings *s = c->settings;
  resnet_error error;
  for (size_t i = 0; i < s->operand_count; i++) {
    c->model_count++;
    if (!open_model(s, s->operands[i], &c->models[i])) return false;
  }
  if (!check_scores(c)) return false;
  name_models(c);
  if (!cli_dataset_open(s->data, &c->data, &error)) {
    cli_print_error(s->data, &error);
    return false;
  }
  c->data.options = s->image;
  for (uint32_t i = 0; i < c->model_count; i++)
    if (!match_classes(c, &c->models[i])) return false;
  return true;
}

/* ---- comparing ---- */

static bool evaluate(comparison *c) {
  response_map *maps = cli_allocate(c->model_count, sizeof *maps);
  for (uint32_t i = 0; i < c->model_count; i++) compare_responses_list(&c->models[i], &maps[i]);
  const bool ok = compare_evaluate(c, maps);
  for (uint32_t i = 0; i < c->model_count; i++) compare_responses_map_release(&maps[i]);
  free(maps);
  return ok;
}

/* Check that the report can be written, before the long work begins. */
static bool can_write_report(const settings *s) {
  resnet_error error;
  if (!s->report) return true;
  bool ok = cli_output_check(s->report, &error) &&
            cli_output_is_other(s->report, s->data, "data", &error);
  for (size_t i = 0; ok && i < s->operand_count; i++)
    ok = cli_output_is_other(s->report, s->operands[i], "model", &error);
  if (!ok) cli_print_error(s->report, &error);
  return ok;
}

static bool can_write_tables(const settings *s) {
  resnet_error error;
  if (!s->tables || report_export_check(s->tables, &error)) return true;
  cli_print_error(s->tables, &error);
  return false;
}

static bool compare(comparison *c) {
  if (!evaluate(c)) return false;
  compare_accuracy(c);
  compare_pairs(c);
  return compare_latency(c) && compare_costs(c) && compare_ablation(c);
}

/* Return false if some images could not be evaluated or a file could not be written. */
static bool report(comparison *c) {
  bool ok = true;
  for (size_t i = 0; i < c->data.count; i++) {
    if (!c->failures[i]) continue;
    /* A reader of events finds these in the JSON document. */
    if (!cli_events_are_open()) cli_print_warning(c->data.items[i].path, c->failures[i]);
    ok = false;
  }
  cli_image_print_depths(c->settings, cli_dataset_count_cut(&c->data));
  json j = {.out = stdout};
  c->total_seconds = cli_clock_seconds() - c->start_clock;
  if (c->settings->json)
    compare_write_json(c, &j);
  else
    compare_print_text(c);
  if (c->settings->report) ok &= report_write_page(c, c->settings->report);
  if (c->settings->tables) ok &= report_export_write(c, c->settings->tables);
  return ok;
}

static void release_model(model_summary *model) {
  cli_plan_release(&model->plan);
  cli_model_close(&model->loaded);
  free(model->class_of_folder);
  free(model->results);
  free(model->confusion);
  free(model->responses);
  free(model->layers);
  free(model->blocks);
  free(model->ablations);
}

int command_compare(const settings *s) {
  if (s->events && !cli_events_open((int)s->events)) return EXIT_USAGE;
  comparison c = {.settings = s,
                  .models = cli_allocate(s->operand_count, sizeof *c.models),
                  .started = time(NULL),
                  .start_clock = cli_clock_seconds()};
  c.workers = s->threads ? s->threads : cli_processor_count();
  int code = EXIT_INPUT;
  const bool ok =
      can_write_report(s) && can_write_tables(s) && open_all(&c) && compare(&c) && report(&c);
  for (uint32_t i = 0; i < c.model_count; i++)
    if (c.models[i].loaded.exit_code) code = c.models[i].loaded.exit_code;
  for (uint32_t i = 0; i < c.model_count; i++) release_model(&c.models[i]);
  for (size_t i = 0; c.failures && i < c.data.count; i++) free(c.failures[i]);
  free(c.failures);
  free(c.pairs);
  free(c.models);
  cli_dataset_close(&c.data);
  return ok ? EXIT_OK : code;
}
