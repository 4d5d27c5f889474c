/* resnet compare: any number of nets over the same labelled pictures. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/ablation.h"
#include "cli/compare/compare.h"
#include "cli/compare/costs.h"
#include "cli/output_file.h"
#include "cli/terminal.h"
#include "support/message.h"
#include "support/sha256.h"

/* ---- opening ----------------------------------------------------------------------- */

static bool hash_file(net_summary *net) {
  uint64_t bytes;
  if (sha256_file(net->model.file, net->sha256, &bytes)) return true;
  complain(net->model.file, strerror(errno));
  return false;
}

static bool open_net(const settings *s, const char *file, net_summary *net) {
  settings own = *s;
  own.model = file;
  net->peak_bytes = measure_peak(&own);
  if (!model_open(&own, &net->model)) return false;
  model_note_guess(&own, &net->model);
  if (!hash_file(net) || !plan_read(&net->model, &net->plan)) return false;
  for (uint32_t i = 0; i < net->plan.block_count; i++)
    if (has_shortcut(&net->plan, i)) net->residual = true;
  net->latency_least_ms = net->latency_median_ms = net->latency_p99_ms = NAN;
  return true;
}

typedef const char *(*naming)(const net_summary *net);

/* What exporters call every graph is no name. */
static const char *own_name(const net_summary *net) {
  static const char *const defaults[] = {"main_graph",       "main",  "torch_jit",
                                         "torch-jit-export", "graph", "tf2onnx"};
  for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
    if (strcmp(net->model.info.name, defaults[i]) == 0) return "";
  return net->model.info.name;
}

static const char *file_name(const net_summary *net) { return base_name(net->model.file); }
static const char *path_name(const net_summary *net) { return net->model.file; }

/* All have a name, and no two the same. */
static bool tells_apart(const comparison *c, naming name) {
  for (uint32_t i = 0; i < c->net_count; i++) {
    if (!*name(&c->nets[i])) return false;
    for (uint32_t k = 0; k < i; k++)
      if (strcmp(name(&c->nets[i]), name(&c->nets[k])) == 0) return false;
  }
  return true;
}

static void name_nets(comparison *c) {
  const naming name = tells_apart(c, own_name)    ? own_name
                      : tells_apart(c, file_name) ? file_name
                                                  : path_name;
  for (uint32_t i = 0; i < c->net_count; i++) c->nets[i].title = name(&c->nets[i]);
}

static bool match_classes(comparison *c, net_summary *net) {
  resnet_error error, named;
  net->class_of_folder = allocate(c->data.folder_count, sizeof *net->class_of_folder);
  if (classes_match(&c->data, &net->model.info, net->class_of_folder, &net->class_rule, &error))
    return true;
  (void)refuse(&named, error.status, "for %.80s: %.170s", base_name(net->model.file),
               error.message);
  complain(c->settings->data, named.message);
  return false;
}

static bool open_all(comparison *c) {
  const settings *s = c->settings;
  resnet_error error;
  for (size_t i = 0; i < s->operand_count; i++) {
    c->net_count++;
    if (!open_net(s, s->operands[i], &c->nets[i])) return false;
  }
  name_nets(c);
  if (!dataset_open(s->data, &c->data, &error)) {
    complain(s->data, error.message);
    return false;
  }
  for (uint32_t i = 0; i < c->net_count; i++)
    if (!match_classes(c, &c->nets[i])) return false;
  return true;
}

/* ---- comparing --------------------------------------------------------------------- */

static bool judge(comparison *c) {
  response_map *maps = allocate(c->net_count, sizeof *maps);
  for (uint32_t i = 0; i < c->net_count; i++) responses_name(&c->nets[i], &maps[i]);
  const bool good = compare_judge(c, maps);
  for (uint32_t i = 0; i < c->net_count; i++) response_map_release(&maps[i]);
  free(maps);
  return good;
}

/* Whether the results could be written, asked before the work that they are about. */
static bool can_write_report(const settings *s) {
  resnet_error error;
  if (!s->report) return true;
  bool good =
      output_check(s->report, &error) && output_is_other(s->report, s->data, "data", &error);
  for (size_t i = 0; good && i < s->operand_count; i++)
    good = output_is_other(s->report, s->operands[i], "model", &error);
  if (!good) complain(s->report, error.message);
  return good;
}

static bool can_write_tables(const settings *s) {
  resnet_error error;
  if (!s->tables || comparison_check_tables(s->tables, &error)) return true;
  complain(s->tables, error.message);
  return false;
}

static bool compare(comparison *c) {
  if (!judge(c)) return false;
  compare_accuracy(c);
  compare_pairs(c);
  return compare_latency(c) && compare_costs(c) && compare_lesions(c);
}

/* False: some pictures could not be judged, or a file not be written. */
static bool report(comparison *c) {
  bool good = true;
  for (size_t i = 0; i < c->data.count; i++) {
    if (!c->failures[i]) continue;
    complain(c->data.items[i].path, c->failures[i]);
    good = false;
  }
  json j = {.out = stdout};
  if (c->settings->json)
    comparison_write_json(c, &j);
  else
    comparison_print(c);
  if (c->settings->report) good &= comparison_write_report(c, c->settings->report);
  if (c->settings->tables) good &= comparison_write_tables(c, c->settings->tables);
  return good;
}

static void release_net(net_summary *net) {
  plan_release(&net->plan);
  resnet_model_close(&net->model.model);
  free(net->class_of_folder);
  free(net->verdicts);
  free(net->confusion);
  free(net->responses);
  free(net->layers);
  free(net->blocks);
  free(net->removals);
}

int command_compare(const settings *s) {
  comparison c = {.settings = s, .nets = allocate(s->operand_count, sizeof *c.nets)};
  c.workers = s->threads ? s->threads : processor_count();
  const bool good =
      can_write_report(s) && can_write_tables(s) && open_all(&c) && compare(&c) && report(&c);
  for (uint32_t i = 0; i < c.net_count; i++) release_net(&c.nets[i]);
  for (size_t i = 0; c.failures && i < c.data.count; i++) free(c.failures[i]);
  free(c.failures);
  free(c.pairs);
  free(c.nets);
  dataset_close(&c.data);
  return good ? EXIT_GOOD : EXIT_INPUT;
}
