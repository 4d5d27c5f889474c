/* The page of `resnet compare --report`: one file that needs no other file and no
 * network. All text from files and their names goes through markup_html_text.
 * Without its script the page has the same content, but tables cannot be sorted. */
#include "cli/report/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "cli/compare/comparison.h"
#include "cli/compare/conclusions.h"
#include "cli/compare/derived.h"
#include "cli/dataset.h"
#include "cli/format.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "cli/report/assets.h"
#include "cli/report/markup.h"
#include "cli/report/plots.h"
#include "cli/report/sheet.h"
#include "cli/report/sheets.h"
#include "cli/report/svg.h"
#include "cli/report/thumbnails.h"
#include "support/sha256.h"

enum { MAX_FIGURES = 8, MAX_PAIRS = 10, MAX_THUMBNAILS = 12, MAX_FAILURES = 20, LINE_SIZE = 512 };

/* Size limit of all images, so that the page stays below 2 MB. */
static const size_t thumbnail_bytes = 600000;

typedef struct report {
  comparison *c;
  FILE *out;
} report;

/* ---- pieces ---- */

static void write_text(const report *r, const char *tag, const char *text) {
  (void)fprintf(r->out, "<%s>", tag);
  markup_html_text(r->out, text);
  (void)fprintf(r->out, "</%.*s>\n", (int)strcspn(tag, " "), tag);
}

static void open_section(const report *r, const char *id, const char *title) {
  (void)fprintf(r->out, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n", id, id, title);
}

static void close_section(const report *r) { (void)fputs("</section>\n", r->out); }

static bool starts_with_unit(const char *text) {
  static const char *const units[] = {"%", "ms", "KiB", "MiB", "GiB"};
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    if (strncmp(text, units[i], strlen(units[i])) == 0) return true;
  return false;
}

/* Write text as markup_html_text does, and keep each number on one line with its unit. */
static void write_sentence(const report *r, char *text) {
  for (char *at = text; (at = strchr(at, ' ')); at++) {
    if (at == text || at[-1] < '0' || at[-1] > '9' || !starts_with_unit(at + 1)) continue;
    *at = '\0';
    markup_html_text(r->out, text);
    (void)fputs("&nbsp;", r->out);
    text = at + 1;
  }
  markup_html_text(r->out, text);
}

/* Write each line of `text` as a paragraph. */
static void write_conclusions_text(const report *r, char *text, bool measured) {
  for (char *line = text; *line;) {
    size_t length = strcspn(line, "\n");
    char *next = line + length + (line[length] != '\0');
    line[length] = '\0';
    (void)fprintf(r->out, "<p class=\"conclusion%s\">", measured ? " measured" : "");
    write_sentence(r, line);
    (void)fputs("</p>\n", r->out);
    line = next;
  }
}

static void write_conclusions(const report *r, conclude_function conclude, bool measured) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return;
  conclude(r->c, out);
  if (fclose(out) == 0) write_conclusions_text(r, text, measured);
  free(text);
}

static void write_sheet(const report *r, sheet_function fill) {
  sheet s = {.out = r->out};
  fill(r->c, &s);
}

/* ---- plots ---- */

static bool write_figure(const report *r, const report_plot *p, uint32_t model) {
  char id[64], *text = NULL;
  size_t size = 0;
  (void)snprintf(id, sizeof id, p->each_model ? "%s-%u" : "%s", p->id, model);
  svg_place place = {open_memstream(&text, &size), id, false};
  if (!place.out) return false;
  bool drawn = report_plot_write(r->c, p, model, &place);
  if (fclose(place.out) == 0 && drawn) {
    (void)fprintf(
        r->out,
        "<figure%s>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Plot: %s",
        p->measured ? " class=\"measured\"" : "", p->title);
    if (p->each_model) (void)fputs(", ", r->out);
    if (p->each_model) markup_html_text(r->out, r->c->models[model].title);
    (void)fputs("\">\n", r->out);
    (void)fwrite(text, 1, size, r->out);
    (void)fputs("</div>\n<figcaption>", r->out);
    if (p->each_model) write_text(r, "strong", r->c->models[model].title);
    (void)fprintf(r->out, "%s</figcaption>\n</figure>\n", p->note);
  }
  free(text);
  return drawn;
}

static void write_figures(const report *r, const report_plot *p) {
  uint32_t drawn = 0, tried = 0, models = p->each_model ? r->c->model_count : 1;
  (void)fputs("<div class=\"figures\">\n", r->out);
  for (; tried < models && drawn < MAX_FIGURES; tried++) drawn += write_figure(r, p, tried);
  (void)fputs("</div>\n", r->out);
  if (drawn == 0) (void)fputs("<p class=\"note\">There are no data to plot.</p>\n", r->out);
  if (tried < models)
    (void)fprintf(r->out,
                  "<p class=\"note\">Plots are shown for the first %u of %u models; --tables "
                  "writes all of them.</p>\n",
                  tried, models);
}

/* Write a heading, the conclusions if there are any, and the plot. */
static void write_exhibit(const report *r, const report_plot *p, conclude_function conclude) {
  (void)fprintf(r->out, "<h3>%s</h3>\n", p->title);
  if (conclude) write_conclusions(r, conclude, p->measured);
  write_figures(r, p);
}

/* ---- sections ---- */

static void write_models(const report *r) {
  open_section(r, "what", "What was compared");
  write_conclusions(r, compare_conclude_accuracy, false);
  write_sheet(r, report_sheet_models);
  (void)fputs("<p class=\"note\">On this page, \xe2\x80\x9cthe paper\xe2\x80\x9d is "
              "\xe2\x80\x9c"
              "Deep Residual Learning for Image Recognition\xe2\x80\x9d by He et al. "
              "(2015). As in the paper, depth is the number of convolutions and fully connected "
              "layers, without projections. The 95 % interval of top-1 is Wilson\xe2\x80\x99s. The "
              "calibration error is the expected calibration error over 15 bins. Times and peak "
              "memory are measured and differ from run to run; everything else is the same in each "
              "run.</p>\n",
              r->out);
  if (r->c->model_count > 1) write_exhibit(r, &report_plot_cost, NULL);
  close_section(r);
}

static void write_responses(const report *r) {
  open_section(r, "responses", "Layer responses (Fig. 7 of the paper)");
  write_conclusions(r, compare_conclude_layers, false);
  (void)fputs("<div class=\"figures\">\n", r->out);
  bool drawn = write_figure(r, &report_plot_layers, 0);
  drawn |= write_figure(r, &report_plot_layers_sorted, 0);
  (void)fputs("</div>\n", r->out);
  if (!drawn) (void)fputs("<p class=\"note\">There are no data to plot.</p>\n", r->out);
  close_section(r);
}

static void write_blocks(const report *r) {
  open_section(r, "branches", "Blocks");
  write_exhibit(r, &report_plot_ratios, compare_conclude_blocks);
  write_sheet(r, report_sheet_blocks);
  close_section(r);
}

static void write_ablation(const report *r) {
  uint64_t images = 0;
  char text[FORMAT_SIZE];
  for (uint32_t i = 0; i < r->c->model_count; i++)
    if (r->c->models[i].ablation_images > images) images = r->c->models[i].ablation_images;
  open_section(r, "ablation-section", "Ablation study: blocks left out");
  if (images)
    (void)fprintf(r->out,
                  "<p class=\"note\">Blocks are left out as in the lesion study of Veit et al. "
                  "(2016): a residual block is replaced by its shortcut, a plain block by its "
                  "input. Errors are over %s images.</p>\n",
                  cli_format_grouped(text, images));
  write_exhibit(r, &report_plot_ablation, compare_conclude_block_ablation);
  write_exhibit(r, &report_plot_ablations, compare_conclude_ablation);
  write_sheet(r, report_sheet_ablations);
  close_section(r);
}

static void write_shortcuts(const report *r) {
  open_section(r, "costs", "Cost of shortcuts");
  write_exhibit(r, &report_plot_shortcut_times, compare_conclude_shortcut_times);
  write_exhibit(r, &report_plot_shortcut_bytes, compare_conclude_shortcut_bytes);
  write_sheet(r, report_sheet_shortcuts);
  close_section(r);
}

static void write_accuracy(const report *r) {
  open_section(r, "accuracy", "Accuracy and confidence");
  write_exhibit(r, &report_plot_confusion, compare_conclude_confusions);
  write_sheet(r, report_sheet_confusions);
  write_exhibit(r, &report_plot_calibration, compare_conclude_calibration);
  write_sheet(r, report_sheet_calibration);
  close_section(r);
}

static void write_layers(const report *r) {
  open_section(r, "layers-section", "Layers: dead channels and percentiles");
  write_conclusions(r, compare_conclude_dead, false);
  (void)fputs("<p class=\"note\">A channel is dead if its response is never above 0, in any "
              "pixel of any image: a ReLU would always set it to 0.</p>\n",
              r->out);
  write_sheet(r, report_sheet_layers);
  close_section(r);
}

/* ---- pairs ---- */

static size_t write_difference(const report *r, size_t index, const model_summary *right,
                               const model_summary *wrong) {
  const dataset_item *item = &r->c->data.items[index];
  char name[CLASS_NAME_SIZE];
  uint32_t truth = right->class_of_folder[item->folder];
  (void)fputs("<li><figure>", r->out);
  size_t bytes = report_write_thumbnail(r->c, index, r->out);
  (void)fputs("<figcaption><b>", r->out);
  markup_html_text(r->out, compare_class_name(r->c, right, truth, name));
  (void)fputs("</b> ", r->out);
  markup_html_shortened(r->out, cli_base_name(item->path), 16);
  (void)fprintf(r->out, "<br>&#10003; %.0f %%<br>&#10007; ",
                100 * (double)right->results[index].confidence);
  markup_html_text(r->out, compare_class_name(r->c, wrong, wrong->results[index].best, name));
  (void)fprintf(r->out, ", %.0f %%</figcaption></figure></li>\n",
                100 * (double)wrong->results[index].confidence);
  return bytes;
}

static bool only_right(const comparison *c, size_t index, const model_summary *right,
                       const model_summary *wrong) {
  bool evaluated = !(c->failures && c->failures[index]);
  return evaluated && right->results[index].top1 && !wrong->results[index].top1;
}

static void write_differences(const report *r, const model_summary *right,
                              const model_summary *wrong, size_t budget) {
  uint64_t all = 0, shown = 0;
  char number[FORMAT_SIZE];
  for (size_t i = 0; i < r->c->data.count; i++) all += only_right(r->c, i, right, wrong);
  if (all == 0) return;
  (void)fputs("<h4>Only ", r->out);
  markup_html_text(r->out, right->title);
  (void)fputs(" is right</h4>\n<ul class=\"images\">\n", r->out);
  size_t used = 0;
  for (size_t i = 0; i < r->c->data.count && shown < MAX_THUMBNAILS && used < budget; i++) {
    if (!only_right(r->c, i, right, wrong)) continue;
    used += write_difference(r, i, right, wrong);
    shown++;
  }
  (void)fputs("</ul>\n", r->out);
  if (shown < all)
    (void)fprintf(r->out, "<p class=\"note\">The first %u of %s; --tables lists all of them.</p>\n",
                  (unsigned)shown, cli_format_grouped(number, all));
}

static void write_pair(const report *r, const pair_summary *p, size_t budget) {
  const model_summary *a = &r->c->models[p->a], *b = &r->c->models[p->b];
  char *text = NULL;
  size_t size = 0;
  (void)fputs("<h3>", r->out);
  markup_html_text(r->out, a->title);
  (void)fputs(" and ", r->out);
  markup_html_text(r->out, b->title);
  (void)fputs("</h3>\n", r->out);
  FILE *out = open_memstream(&text, &size);
  if (out) {
    compare_conclude_pair(r->c, p, out);
    if (fclose(out) == 0) write_conclusions_text(r, text, false);
  }
  free(text);
  write_differences(r, a, b, budget);
  write_differences(r, b, a, budget);
}

static void write_pairs(const report *r) {
  uint32_t pairs = r->c->pair_count, shown = pairs < MAX_PAIRS ? pairs : MAX_PAIRS;
  open_section(r, "pairs-section", "Pairs of models");
  if (pairs == 0) {
    (void)fputs(
        "<p class=\"conclusion\">There is only one model, so there is no pair to compare.</p>\n",
        r->out);
  } else {
    write_sheet(r, report_sheet_pairs);
    (void)fputs(
        "<p class=\"note\">Below each image: its class and file; &#10003; the confidence of "
        "the right model; &#10007; the answer of the wrong model, and its "
        "confidence.</p>\n",
        r->out);
  }
  for (uint32_t i = 0; i < shown; i++)
    write_pair(r, &r->c->pairs[i], thumbnail_bytes / (2 * shown));
  if (shown < pairs)
    (void)fprintf(r->out, "<p class=\"note\">Images are shown for the first %u of %u pairs.</p>\n",
                  shown, pairs);
  close_section(r);
}

/* ---- how the page was made ---- */

/* Write the CPU's model name, or its architecture if the name is unknown. */
static void write_cpu(const report *r) {
  char line[LINE_SIZE], *name = NULL;
  FILE *file = fopen("/proc/cpuinfo", "re");
  while (file && !name && fgets(line, sizeof line, file)) {
    if (strncmp(line, "model name", 10) != 0 || !strchr(line, ':')) continue;
    name = strchr(line, ':') + 1;
    name += strspn(name, " ");
    name[strcspn(name, "\n")] = '\0';
  }
  if (file) (void)fclose(file);
  struct utsname about;
  if (!name) name = uname(&about) == 0 ? about.machine : "unknown";
  write_text(r, "dt", "CPU");
  write_text(r, "dd", name);
}

static void write_failures(const report *r) {
  uint64_t count = 0;
  char number[FORMAT_SIZE];
  for (size_t i = 0; r->c->failures && i < r->c->data.count; i++)
    count += r->c->failures[i] != NULL;
  if (count == 0) return;
  (void)fprintf(
      r->out, "<h3>Images that could not be evaluated</h3>\n<p>The first %u of %s:</p>\n<ul>\n",
      (unsigned)(count < MAX_FAILURES ? count : MAX_FAILURES), cli_format_grouped(number, count));
  for (size_t i = 0, shown = 0; i < r->c->data.count && shown < MAX_FAILURES; i++) {
    if (!r->c->failures[i]) continue;
    (void)fputs("<li><bdi>", r->out);
    markup_html_text(r->out, r->c->data.items[i].path);
    (void)fputs("</bdi>: ", r->out);
    markup_html_text(r->out, r->c->failures[i]);
    (void)fputs("</li>\n", r->out);
    shown++;
  }
  (void)fputs("</ul>\n", r->out);
}

static void write_model_files(const report *r) {
  static const sheet_column columns[] = {{"Model", "net", COLUMN_KEY},
                                         {"File", "file", COLUMN_PLAIN},
                                         {"SHA-256", "sha256", COLUMN_PLAIN},
                                         {"Written by", "producer", COLUMN_PLAIN},
                                         {"Classes matched by", "classes_by", COLUMN_PLAIN}};
  sheet s = {.out = r->out};
  sheet_open(&s, "models", "Model files", columns, sizeof columns / sizeof columns[0],
             r->c->model_count);
  for (uint32_t i = 0; i < r->c->model_count; i++) {
    const model_summary *n = &r->c->models[i];
    sheet_text(&s, n->title);
    sheet_text(&s, n->loaded.file);
    sheet_text(&s, n->sha256);
    sheet_text(&s, n->loaded.info.producer ? n->loaded.info.producer : "");
    sheet_text(&s, n->class_rule ? n->class_rule : "");
  }
  sheet_close(&s);
}

static void write_making(const report *r) {
  const settings *s = r->c->settings;
  char number[FORMAT_SIZE];
  open_section(r, "making", "How this page was made");
  (void)fputs("<dl>\n<dt>Command</dt>\n", r->out);
  write_text(r, "dd class=\"code\"", s->command_line ? s->command_line : "resnet compare");
  (void)fprintf(r->out, "<dt>Version</dt>\n<dd>libresnet %s</dd>\n<dt>Images</dt>\n<dd>",
                resnet_version());
  markup_html_text(r->out, s->data ? s->data : "");
  (void)fprintf(r->out, ": %s in %u classes</dd>\n", cli_format_grouped(number, r->c->data.count),
                r->c->data.folder_count);
  write_cpu(r);
  (void)fprintf(r->out,
                "<dt>Workers</dt>\n<dd>%u</dd>\n<dt class=\"measured\">Time</dt>\n<dd "
                "class=\"measured\">%.1f s</dd>\n</dl>\n",
                r->c->workers, r->c->seconds);
  write_model_files(r);
  write_failures(r);
  close_section(r);
}

/* ---- the page ---- */

static int hex_digit(char letter) { return letter <= '9' ? letter - '0' : letter - 'a' + 10; }

/* Allow only the page's own script, in case a file name contains one, and no requests. */
static void write_policy(const report *r) {
  sha256 hash;
  char text[SHA256_TEXT];
  uint8_t bytes[(SHA256_TEXT - 1) / 2];
  sha256_start(&hash);
  sha256_add(&hash, report_page_js, report_page_js_size);
  sha256_finish(&hash, text);
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
  (void)fputs("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
              "style-src 'unsafe-inline'; "
              "img-src data:; script-src 'sha256-",
              r->out);
  markup_write_base64(r->out, bytes, sizeof bytes);
  (void)fputs("'\">\n", r->out);
}

static void write_head(const report *r) {
  char images[FORMAT_SIZE], title[128];
  (void)snprintf(title, sizeof title, "%u model%s compared on %s images", r->c->model_count,
                 r->c->model_count == 1 ? "" : "s", cli_format_grouped(images, r->c->data.count));
  (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", r->out);
  write_policy(r);
  (void)fputs("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n", r->out);
  write_text(r, "title", title);
  (void)fputs("<style>\n", r->out);
  (void)fwrite(report_plot_css, 1, report_plot_css_size, r->out);
  (void)fwrite(report_page_css, 1, report_page_css_size, r->out);
  (void)fputs("</style>\n</head>\n<body>\n<header>\n", r->out);
  write_text(r, "h1", title);
  (void)fputs(
      "<nav aria-label=\"Contents\"><ol>\n<li><a href=\"#what\">What was compared</a></li>\n"
      "<li><a href=\"#responses\">Layer responses</a></li>\n<li><a "
      "href=\"#branches\">Blocks</a></li>\n"
      "<li><a href=\"#ablation-section\">Ablation study</a></li>\n<li><a "
      "href=\"#costs\">Costs</a></li>\n"
      "<li><a href=\"#accuracy\">Accuracy</a></li>\n<li><a href=\"#pairs-section\">Pairs</a></li>\n"
      "<li><a href=\"#layers-section\">Layers</a></li>\n<li><a href=\"#making\">How it was "
      "made</a></li>\n</ol></nav>\n"
      "</header>\n<main>\n",
      r->out);
}

static void write_page(const report *r) {
  write_head(r);
  write_models(r);
  write_responses(r);
  write_blocks(r);
  write_ablation(r);
  write_shortcuts(r);
  write_accuracy(r);
  write_pairs(r);
  write_layers(r);
  write_making(r);
  (void)fputs("</main>\n<script>", r->out);
  (void)fwrite(report_page_js, 1, report_page_js_size, r->out);
  (void)fputs("</script>\n</body>\n</html>\n", r->out);
}

bool report_write_page(comparison *c, const char *path) {
  char *text = NULL;
  size_t size = 0;
  resnet_error error = {RESNET_ERROR_MEMORY, "no memory for the page"};
  report r = {c, open_memstream(&text, &size)};
  bool ok = r.out != NULL;
  if (ok) write_page(&r);
  if (ok) ok = fclose(r.out) == 0 && cli_output_save(path, text, size, &error);
  free(text);
  if (!ok) cli_print_error(path, &error);
  return ok;
}
