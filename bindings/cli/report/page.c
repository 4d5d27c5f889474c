/* The page of `resnet compare --report`: one file that needs no other file and no
 * network. All text from files and their names goes through markup_html_text.
 * Without its script the page has the same content, but tables cannot be sorted. */
#include "cli/report/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/compare/conclude_responses.h"
#include "cli/compare/conclusions.h"
#include "cli/compare/derived.h"
#include "cli/compare/sentences.h"
#include "cli/dataset.h"
#include "cli/format.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "cli/report/assets.h"
#include "cli/report/differences.h"
#include "cli/report/markup.h"
#include "cli/report/plots.h"
#include "cli/report/sheet.h"
#include "cli/report/sheets.h"
#include "cli/report/svg.h"
#include "cli/system.h"
#include "support/sha256.h"

enum { MAX_FIGURES = 8, MAX_PAIRS = 10, MAX_FAILURES = 20, CPU_NAME_SIZE = 256 };

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

/* Return true if a line must not break at this blank: before a unit, and around the sign
 * in "p = 0.03". */
static bool holds_together(const char *text, const char *blank) {
  if (blank == text) return false;
  if (blank[-1] >= '0' && blank[-1] <= '9' && starts_with_unit(blank + 1)) return true;
  return strchr("=<", blank[-1]) || (blank[1] && strchr("=<", blank[1]));
}

/* Write text as markup_html_text does, and keep numbers on one line with what belongs to
 * them. */
static void write_sentence(const report *r, char *text) {
  for (char *at = text; (at = strchr(at, ' ')); at++) {
    if (!holds_together(text, at)) continue;
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

/* Draw a plot twice; the style shows the one that fits the screen. */
static bool draw(const report *r, const report_plot *p, uint32_t model, FILE *out) {
  char id[64];
  bool drawn = true;
  for (int narrow = 0; narrow < 2 && drawn; narrow++) {
    (void)snprintf(id, sizeof id, p->each_model ? "%s-%u%s" : "%s%.0u%s", p->id, model,
                   narrow ? "-narrow" : "");
    svg_place place = {.out = out, .id = id, .narrow = narrow};
    drawn = report_plot_write(r->c, p, model, &place);
  }
  return drawn;
}

static bool write_figure(const report *r, const report_plot *p, uint32_t model) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return false;
  bool drawn = draw(r, p, model, out);
  if (fclose(out) == 0 && drawn) {
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
  (void)fputs("<p class=\"note\">Depth is the number of convolutions and fully connected layers, "
              "without projections, as in " COMPARE_PAPER ". The 95&nbsp;% interval of top-1 is "
              "Wilson\xe2\x80\x99s. The calibration error is the expected calibration error over "
              "15 bins; with few images it is too large. Times and peak memory are measured and "
              "differ from run to run; everything else is the same in each run. <a "
              "href=\"#sources\">Sources and tests</a> explains the rest.</p>\n",
              r->out);
  if (r->c->model_count > 1) write_exhibit(r, &report_plot_cost, NULL);
  close_section(r);
}

static void write_responses(const report *r) {
  open_section(r, "responses", "Layer responses (Fig. 7 of He et al., 2016)");
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
    (void)fprintf(
        r->out,
        "<p class=\"note\">Blocks are left out as in the lesion study of Veit, Wilber and "
        "Belongie (2016, sections 4.1 and 4.2): a residual block is replaced by its "
        "shortcut, a plain block by its input. Errors are over %s image%s.</p>\n",
        cli_format_grouped(text, images), compare_plural(images));
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
              "pixel of any of these images: a ReLU would always set it to 0. Percentiles are of "
              "a sample of the values.</p>\n",
              r->out);
  write_sheet(r, report_sheet_layers);
  close_section(r);
}

/* ---- pairs ---- */

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
  report_write_differences(r->c, a, b, budget, r->out);
  report_write_differences(r->c, b, a, budget, r->out);
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
        "confidence. " REPORT_DIFFERENCES_RULE "</p>\n",
        r->out);
  }
  for (uint32_t i = 0; i < shown; i++)
    write_pair(r, &r->c->pairs[i], thumbnail_bytes / (2 * shown));
  if (shown < pairs)
    (void)fprintf(r->out, "<p class=\"note\">Images are shown for the first %u of %u pairs.</p>\n",
                  shown, pairs);
  close_section(r);
}

/* ---- sources ---- */

static void write_sources(const report *r) {
  static const char *const sources[] = {
      "K. He, X. Zhang, S. Ren, J. Sun (2016): \xe2\x80\x9c" COMPARE_PAPER_TITLE
      "\xe2\x80\x9d, CVPR, arXiv:1512.03385. Layer responses: section 4.2 and Fig. 7. "
      "Degradation: section 1 and section 4.2.",
      "A. Veit, M. Wilber, S. Belongie (2016): \xe2\x80\x9cResidual Networks Behave Like Ensembles "
      "of Relatively Shallow Networks\xe2\x80\x9d, NIPS 29, arXiv:1605.06431. Blocks left out: "
      "sections 4.1 and 4.2.",
      "C. Guo, G. Pleiss, Y. Sun, K. Weinberger (2017): \xe2\x80\x9cOn Calibration of Modern "
      "Neural "
      "Networks\xe2\x80\x9d, ICML, arXiv:1706.04599. Expected calibration error: equation 3.",
      "Intervals: E. B. Wilson (1927) for one accuracy; D. Bonett and R. Price (2012) for the "
      "difference of two on the same images.",
      "Tests: Q. McNemar (1947) for two models on the same images, with S. Holm\xe2\x80\x99s "
      "correction (1979) for the number of pairs; the exact sign test for layers of equal depth; "
      "H. Mann and D. Whitney (1947) for layers or blocks of models of unequal depth."};
  open_section(r, "sources", "Sources and tests");
  (void)fputs(
      "<p class=\"note\">All tests are two-sided, except the one against chance. A difference "
      "is called shown if its p is below 0.05; for the halves of a network, 0.025. Layers "
      "and blocks of one network depend on each other, which the tests of them leave out of "
      "account: read their p as a guide. They are not corrected for the number of models. "
      "All numbers are about these model files: training again may give others.</p>\n<ul>\n",
      r->out);
  for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) write_text(r, "li", sources[i]);
  (void)fputs("</ul>\n", r->out);
  close_section(r);
}

/* ---- how the page was made ---- */

static void write_machine(const report *r) {
  char name[CPU_NAME_SIZE];
  const uint32_t processors = cli_processor_count();
  (void)fputs("<dt>Machine</dt>\n<dd>", r->out);
  markup_html_text(r->out, cli_cpu_name(name, sizeof name));
  (void)fprintf(r->out, ", %u processor%s</dd>\n", processors, compare_plural(processors));
}

static void write_failures(const report *r) {
  uint64_t count = 0;
  char number[FORMAT_SIZE];
  for (size_t i = 0; r->c->failures && i < r->c->data.count; i++)
    count += r->c->failures[i] != NULL;
  if (count == 0) return;
  (void)fputs("<h3>Images that could not be evaluated</h3>\n", r->out);
  if (count > MAX_FAILURES)
    (void)fprintf(r->out, "<p>The first %u of %s:</p>\n", (unsigned)MAX_FAILURES,
                  cli_format_grouped(number, count));
  (void)fputs("<ul>\n", r->out);
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
  char number[FORMAT_SIZE], date[COMPARE_DATE_SIZE];
  open_section(r, "making", "How this page was made");
  (void)fputs("<dl>\n<dt>Command</dt>\n", r->out);
  write_text(r, "dd class=\"code\"", s->command_line ? s->command_line : "resnet compare");
  (void)fprintf(r->out, "<dt>Version</dt>\n<dd>libresnet %s</dd>\n<dt>Images</dt>\n<dd>",
                resnet_version());
  markup_html_text(r->out, s->data ? s->data : "");
  (void)fprintf(r->out, ": %s in %u class%s</dd>\n", cli_format_grouped(number, r->c->data.count),
                r->c->data.folder_count, r->c->data.folder_count == 1 ? "" : "es");
  write_machine(r);
  (void)fprintf(r->out,
                "<dt>Workers</dt>\n<dd>%u</dd>\n<dt class=\"measured\">Begun</dt>\n<dd "
                "class=\"measured\">%s</dd>\n<dt class=\"measured\">Time</dt>\n<dd "
                "class=\"measured\">%.1f s for the whole command; %.1f s of it for the "
                "evaluation of all images</dd>\n</dl>\n",
                r->c->workers, compare_date(r->c, date), r->c->total_seconds, r->c->seconds);
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

/* Write when, how long and on which CPU. */
static void write_run(const report *r) {
  char date[COMPARE_DATE_SIZE], name[CPU_NAME_SIZE];
  (void)fprintf(r->out, "<p class=\"note measured\">%s \xc2\xb7 %.1f&nbsp;s \xc2\xb7 ",
                compare_date(r->c, date), r->c->total_seconds);
  markup_html_text(r->out, cli_cpu_name(name, sizeof name));
  (void)fputs("</p>\n", r->out);
}

static void write_head(const report *r) {
  char images[FORMAT_SIZE], title[128];
  (void)snprintf(title, sizeof title, "%u model%s compared on %s image%s", r->c->model_count,
                 compare_plural(r->c->model_count), cli_format_grouped(images, r->c->data.count),
                 compare_plural(r->c->data.count));
  (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", r->out);
  write_policy(r);
  (void)fputs("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n", r->out);
  write_text(r, "title", title);
  (void)fputs("<style>\n", r->out);
  (void)fwrite(report_plot_css, 1, report_plot_css_size, r->out);
  (void)fwrite(report_page_css, 1, report_page_css_size, r->out);
  (void)fputs("</style>\n</head>\n<body>\n<header>\n", r->out);
  write_text(r, "h1", title);
  write_run(r);
  (void)fputs(
      "<nav aria-label=\"Contents\"><ol>\n<li><a href=\"#what\">What was compared</a></li>\n"
      "<li><a href=\"#responses\">Layer responses</a></li>\n<li><a "
      "href=\"#branches\">Blocks</a></li>\n"
      "<li><a href=\"#ablation-section\">Ablation study</a></li>\n<li><a "
      "href=\"#costs\">Costs</a></li>\n"
      "<li><a href=\"#accuracy\">Accuracy</a></li>\n<li><a href=\"#pairs-section\">Pairs</a></li>\n"
      "<li><a href=\"#layers-section\">Layers</a></li>\n<li><a href=\"#sources\">Sources and "
      "tests</a></li>\n<li><a href=\"#making\">How it was "
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
  write_sources(r);
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
