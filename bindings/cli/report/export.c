/* `resnet compare --tables`: the numbers as CSV and JSON, the plots as SVG files.
 * Measured numbers, which differ from run to run, have separate files whose names
 * begin with "measured"; comparison.json has all numbers. */
#include "cli/report/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/compare/write_json.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/output_file.h"
#include "cli/report/plots.h"
#include "cli/report/sheet.h"
#include "cli/report/sheets.h"
#include "cli/report/svg.h"
#include "support/error.h"
#include "support/json.h"

/* A file that is assembled in memory. */
typedef struct table_file {
  const comparison *c;
  const char *folder;
  FILE *out;
  char *text;
  size_t size;
} table_file;

static bool open_file(table_file *f) {
  f->out = open_memstream(&f->text, &f->size);
  const resnet_error error = {RESNET_ERROR_MEMORY, "no memory for its files"};
  if (!f->out) cli_print_error(f->folder, &error);
  return f->out != NULL;
}

/* Close the file and, if wanted, save it as FOLDER/NAME. */
static bool close_file(table_file *f, const char *name, bool wanted) {
  resnet_error error = {RESNET_ERROR_MEMORY, "no memory for the file"};
  size_t size = strlen(f->folder) + strlen(name) + 2;
  char *path = cli_allocate(size, 1);
  (void)snprintf(path, size, "%s/%s", f->folder, name);
  bool ok = fclose(f->out) == 0 && (!wanted || cli_output_save(path, f->text, f->size, &error));
  if (!ok) cli_print_error(path, &error);
  free(path);
  free(f->text);
  *f = (table_file){.c = f->c, .folder = f->folder};
  return ok;
}

/* ---- CSV ---- */

/* Write every image that only one of two models gets right. */
static void sheet_differences(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"", "picture", COLUMN_KEY},           {"", "truth", COLUMN_PLAIN},
      {"", "right_net", COLUMN_PLAIN},       {"", "right_confidence", COLUMN_PLAIN},
      {"", "wrong_net", COLUMN_PLAIN},       {"", "wrong_answer", COLUMN_PLAIN},
      {"", "wrong_confidence", COLUMN_PLAIN}};
  sheet_open(s, "differences", "", columns, sizeof columns / sizeof columns[0], 0);
  for (uint32_t i = 0; i < c->pair_count; i++) {
    for (size_t j = 0; j < c->data.count; j++) {
      const model_summary *a = &c->models[c->pairs[i].a], *b = &c->models[c->pairs[i].b];
      if ((c->failures && c->failures[j]) || a->results[j].top1 == b->results[j].top1) continue;
      const model_summary *right = a->results[j].top1 ? a : b, *wrong = right == a ? b : a;
      char name[CLASS_NAME_SIZE];
      sheet_text(s, c->data.items[j].path);
      sheet_text(s, compare_class_name(c, right, right->results[j].best, name));
      sheet_text(s, right->title);
      sheet_number(s, (double)right->results[j].confidence);
      sheet_text(s, wrong->title);
      sheet_text(s, compare_class_name(c, wrong, wrong->results[j].best, name));
      sheet_number(s, (double)wrong->results[j].confidence);
    }
  }
  sheet_close(s);
}

static const struct {
  const char *name;
  sheet_function fill;
  sheet_kind kind;
} sheets[] = {
    {"nets.csv", report_sheet_models, SHEET_CSV},
    {"measured-nets.csv", report_sheet_models, SHEET_CSV_MEASURED},
    {"layers.csv", report_sheet_layers, SHEET_CSV},
    {"blocks.csv", report_sheet_blocks, SHEET_CSV},
    {"removals.csv", report_sheet_ablations, SHEET_CSV},
    {"shortcuts.csv", report_sheet_shortcuts, SHEET_CSV},
    {"measured-shortcuts.csv", report_sheet_shortcuts, SHEET_CSV_MEASURED},
    {"confusion.csv", report_sheet_confusions, SHEET_CSV},
    {"calibration.csv", report_sheet_calibration, SHEET_CSV},
    {"pairs.csv", report_sheet_pairs, SHEET_CSV},
    {"differences.csv", sheet_differences, SHEET_CSV},
};

static bool write_sheets(table_file *f) {
  bool ok = true;
  for (size_t i = 0; ok && i < sizeof sheets / sizeof sheets[0]; i++) {
    ok = open_file(f);
    if (!ok) break;
    sheet s = {.out = f->out, .kind = sheets[i].kind};
    sheets[i].fill(f->c, &s);
    ok = close_file(f, sheets[i].name, true);
  }
  return ok;
}

/* ---- SVG and JSON ---- */

static bool write_plot(table_file *f, const report_plot *p, uint32_t model) {
  char name[80], id[64];
  if (!open_file(f)) return false;
  (void)snprintf(id, sizeof id, p->each_model ? "%s-%u" : "%s", p->id, model + 1);
  (void)snprintf(name, sizeof name, "%s%s.svg", p->measured ? "measured-" : "", id);
  svg_place place = {.out = f->out, .id = id, .alone = true};
  bool drawn = report_plot_write(f->c, p, model, &place);
  return close_file(f, name, drawn);
}

static bool write_plots(table_file *f) {
  bool ok = true;
  for (size_t i = 0; ok && report_plots[i]; i++) {
    uint32_t models = report_plots[i]->each_model ? f->c->model_count : 1;
    for (uint32_t model = 0; ok && model < models; model++)
      ok = write_plot(f, report_plots[i], model);
  }
  return ok;
}

static bool write_json(table_file *f) {
  if (!open_file(f)) return false;
  json j = {.out = f->out};
  compare_write_json(f->c, &j);
  return close_file(f, "comparison.json", true);
}

/* ---- the folder ---- */

static bool make_folder(const char *folder, bool *made, resnet_error *error) {
  struct stat old;
  *made = mkdir(folder, 0777) == 0;
  if (*made) return true;
  if (errno != EEXIST)
    return error_set(error, RESNET_ERROR_IO, "cannot be created: %s", strerror(errno));
  if (stat(folder, &old) != 0 || !S_ISDIR(old.st_mode))
    return error_set(error, RESNET_ERROR_ARGUMENT,
                     "exists and is not a folder; name a folder to write to");
  if (access(folder, W_OK | X_OK) == 0) return true;
  return error_set(error, RESNET_ERROR_IO, "cannot be written to: %s", strerror(errno));
}

bool report_export_check(const char *folder, resnet_error *error) {
  bool made;
  if (!make_folder(folder, &made, error)) return false;
  if (made) (void)rmdir(folder);
  return true;
}

bool report_export_write(comparison *c, const char *folder) {
  table_file f = {.c = c, .folder = folder};
  resnet_error error;
  bool made;
  if (make_folder(folder, &made, &error))
    return write_sheets(&f) && write_plots(&f) && write_json(&f);
  cli_print_error(folder, &error);
  return false;
}
