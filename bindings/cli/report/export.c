/* `resnet compare --tables`: the numbers as CSV and JSON, the plots as SVG files. What is
 * measured, and so differs from run to run, has files of its own, that begin with
 * "measured"; comparison.json has all. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output_file.h"
#include "cli/report/markup.h"
#include "cli/report/report.h"
#include "cli/terminal.h"
#include "support/message.h"

/* A file that is being made in memory. */
typedef struct table_file {
  const comparison *c;
  const char *folder;
  FILE *out;
  char *text;
  size_t size;
} table_file;

static bool open_file(table_file *f) {
  f->out = open_memstream(&f->text, &f->size);
  if (!f->out) complain(f->folder, "no memory for its files");
  return f->out != NULL;
}

/* Save what was written as FOLDER/NAME, if it is to be. */
static bool close_file(table_file *f, const char *name, bool wanted) {
  resnet_error error = {RESNET_ERROR_MEMORY, "no memory for the file"};
  size_t size = strlen(f->folder) + strlen(name) + 2;
  char *path = allocate(size, 1);
  (void)snprintf(path, size, "%s/%s", f->folder, name);
  bool good = fclose(f->out) == 0 && (!wanted || output_save(path, f->text, f->size, &error));
  if (!good) complain(path, error.message);
  free(path);
  free(f->text);
  *f = (table_file){.c = f->c, .folder = f->folder};
  return good;
}

/* ---- CSV --------------------------------------------------------------------------- */

/* Every picture on which two nets differ in being right. */
static void sheet_differences(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"", "picture", COLUMN_KEY},           {"", "truth", COLUMN_PLAIN},
      {"", "right_net", COLUMN_PLAIN},       {"", "right_confidence", COLUMN_PLAIN},
      {"", "wrong_net", COLUMN_PLAIN},       {"", "wrong_answer", COLUMN_PLAIN},
      {"", "wrong_confidence", COLUMN_PLAIN}};
  sheet_open(s, "differences", "", columns, sizeof columns / sizeof columns[0], 0);
  for (uint32_t i = 0; i < c->pair_count; i++) {
    for (size_t j = 0; j < c->data.count; j++) {
      const net_summary *a = &c->nets[c->pairs[i].a], *b = &c->nets[c->pairs[i].b];
      if ((c->failures && c->failures[j]) || a->verdicts[j].top1 == b->verdicts[j].top1) continue;
      const net_summary *right = a->verdicts[j].top1 ? a : b, *wrong = right == a ? b : a;
      char name[CLASS_NAME_SIZE];
      sheet_text(s, c->data.items[j].path);
      sheet_text(s, class_name(c, right, right->verdicts[j].best, name));
      sheet_text(s, right->title);
      sheet_number(s, (double)right->verdicts[j].confidence);
      sheet_text(s, wrong->title);
      sheet_text(s, class_name(c, wrong, wrong->verdicts[j].best, name));
      sheet_number(s, (double)wrong->verdicts[j].confidence);
    }
  }
  sheet_close(s);
}

static const struct {
  const char *name;
  sheet_function fill;
  sheet_kind kind;
} sheets[] = {
    {"nets.csv", sheet_nets, SHEET_CSV},
    {"measured-nets.csv", sheet_nets, SHEET_CSV_MEASURED},
    {"layers.csv", sheet_layers, SHEET_CSV},
    {"blocks.csv", sheet_blocks, SHEET_CSV},
    {"removals.csv", sheet_removals, SHEET_CSV},
    {"shortcuts.csv", sheet_shortcuts, SHEET_CSV},
    {"measured-shortcuts.csv", sheet_shortcuts, SHEET_CSV_MEASURED},
    {"confusion.csv", sheet_confusions, SHEET_CSV},
    {"calibration.csv", sheet_calibration, SHEET_CSV},
    {"pairs.csv", sheet_pairs, SHEET_CSV},
    {"differences.csv", sheet_differences, SHEET_CSV},
};

static bool write_sheets(table_file *f) {
  bool good = true;
  for (size_t i = 0; good && i < sizeof sheets / sizeof sheets[0]; i++) {
    good = open_file(f);
    if (!good) break;
    sheet s = {.out = f->out, .kind = sheets[i].kind};
    sheets[i].fill(f->c, &s);
    good = close_file(f, sheets[i].name, true);
  }
  return good;
}

/* ---- SVG and JSON ------------------------------------------------------------------ */

static bool write_plot(table_file *f, const report_plot *p, uint32_t net) {
  char name[80], id[64];
  if (!open_file(f)) return false;
  (void)snprintf(id, sizeof id, p->each_net ? "%s-%u" : "%s", p->id, net + 1);
  (void)snprintf(name, sizeof name, "%s%s.svg", p->measured ? "measured-" : "", id);
  svg_place place = {f->out, id, true};
  bool drawn = report_plot_write(f->c, p, net, &place);
  return close_file(f, name, drawn);
}

static bool write_plots(table_file *f) {
  bool good = true;
  for (size_t i = 0; good && report_plots[i]; i++) {
    uint32_t nets = report_plots[i]->each_net ? f->c->net_count : 1;
    for (uint32_t net = 0; good && net < nets; net++) good = write_plot(f, report_plots[i], net);
  }
  return good;
}

static bool write_json(table_file *f) {
  if (!open_file(f)) return false;
  json j = {.out = f->out};
  comparison_write_json(f->c, &j);
  return close_file(f, "comparison.json", true);
}

/* ---- the folder -------------------------------------------------------------------- */

static bool make_folder(const char *folder, bool *made, resnet_error *error) {
  struct stat old;
  *made = mkdir(folder, 0777) == 0;
  if (*made) return true;
  if (errno != EEXIST) return refuse(error, RESNET_ERROR_IO, "cannot be made: %s", strerror(errno));
  if (stat(folder, &old) != 0 || !S_ISDIR(old.st_mode))
    return refuse(error, RESNET_ERROR_ARGUMENT,
                  "is there and no folder; name a folder to write into");
  if (access(folder, W_OK | X_OK) == 0) return true;
  return refuse(error, RESNET_ERROR_IO, "cannot be written into: %s", strerror(errno));
}

bool comparison_check_tables(const char *folder, resnet_error *error) {
  bool made;
  if (!make_folder(folder, &made, error)) return false;
  if (made) (void)rmdir(folder);
  return true;
}

bool comparison_write_tables(comparison *c, const char *folder) {
  table_file f = {.c = c, .folder = folder};
  resnet_error error;
  bool made;
  if (make_folder(folder, &made, &error))
    return write_sheets(&f) && write_plots(&f) && write_json(&f);
  complain(folder, error.message);
  return false;
}
