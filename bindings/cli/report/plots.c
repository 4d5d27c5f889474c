#include "cli/report/plots.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/compare/conclude_responses.h"
#include "cli/compare/conclusions.h"
#include "cli/compare/derived.h"
#include "cli/compare/sentences.h"
#include "cli/format.h"
#include "cli/memory.h"
#include "cli/plan.h"
#include "cli/report/svg.h"
#include "cli/report/svg_heat.h"
#include "cli/report/svg_plot.h"

enum { MAX_PRINTED_CLASSES = 20, MAX_DRAWN_CLASSES = 50, DETAIL_SIZE = 64 };

/* ---- series of numbers ---- */

/* Memory that a series owns. */
typedef struct series_data {
  double *x, *y, *low, *high;
  char (*texts)[DETAIL_SIZE];
  const char **details;
} series_data;

typedef struct drawing {
  svg_series *series;
  series_data *data;
  size_t count;
} drawing;

static drawing drawing_make(size_t max) {
  return (drawing){cli_allocate(max, sizeof(svg_series)), cli_allocate(max, sizeof(series_data)),
                   0};
}

static void drawing_release(drawing *d) {
  for (size_t i = 0; i < d->count; i++) {
    series_data *s = &d->data[i];
    free(s->x);
    free(s->y);
    free(s->low);
    free(s->high);
    free(s->texts);
    free(s->details);
  }
  free(d->series);
  free(d->data);
}

/* Return the colour of a model: one for each depth, or a new one if another model of the
 * same depth and kind has that colour. Plain models are dashed and hollow. */
static unsigned colour_of(const comparison *c, uint32_t model) {
  unsigned next = 0;
  unsigned *colours = cli_allocate(model + 1, sizeof *colours);
  for (uint32_t i = 0; i <= model; i++) {
    bool taken = false;
    uint32_t same = RESNET_NO_INDEX;
    for (uint32_t j = 0; j < i; j++) {
      if (c->models[j].loaded.info.conv_layers != c->models[i].loaded.info.conv_layers) continue;
      if (same == RESNET_NO_INDEX) same = j;
      taken |= c->models[j].residual == c->models[i].residual;
    }
    colours[i] = same == RESNET_NO_INDEX || taken ? next++ : colours[same];
  }
  unsigned colour = colours[model];
  free(colours);
  return colour;
}

/* Add an empty series with space for `count` points. */
static svg_series *add_series(drawing *d, const comparison *c, uint32_t model, size_t count) {
  svg_series *s = &d->series[d->count];
  series_data *data = &d->data[d->count++];
  data->x = cli_allocate(count, sizeof *data->x);
  data->y = cli_allocate(count, sizeof *data->y);
  data->texts = cli_allocate(count, sizeof *data->texts);
  data->details = cli_allocate(count, sizeof *data->details);
  for (size_t i = 0; i < count; i++) data->details[i] = data->texts[i];
  const model_summary *n = &c->models[model];
  unsigned colour = colour_of(c, model);
  *s = (svg_series){.name = n->title,
                    .x = data->x,
                    .y = data->y,
                    .details = data->details,
                    .colour = colour,
                    .marker = colour};
  s->dashed = s->hollow = !n->residual;
  return s;
}

static void add_range(drawing *d, size_t count) {
  series_data *data = &d->data[d->count - 1];
  svg_series *s = &d->series[d->count - 1];
  s->low = data->low = cli_allocate(count, sizeof *data->low);
  s->high = data->high = cli_allocate(count, sizeof *data->high);
}

static void add_point(drawing *d, double x, double y, const char *detail) {
  svg_series *s = &d->series[d->count - 1];
  series_data *data = &d->data[d->count - 1];
  data->x[s->count] = x;
  data->y[s->count] = y;
  (void)snprintf(data->texts[s->count], DETAIL_SIZE, "%.*s", DETAIL_SIZE - 1, detail);
  s->count++;
}

/* Draw the series, if there are any, and release them. */
static bool finish(drawing *d, svg_plot *p, const svg_place *place) {
  p->series = d->series;
  p->series_count = d->count;
  bool drawn = d->count > 0;
  if (drawn) svg_write_plot(place, p);
  drawing_release(d);
  return drawn;
}

/* ---- the plots ---- */

static bool write_cost(const comparison *c, uint32_t model, const svg_place *place,
                       const char *title, const char *description) {
  (void)model;
  drawing d = drawing_make(c->model_count);
  for (uint32_t i = 0; i < c->model_count; i++) {
    const model_summary *n = &c->models[i];
    if (n->images == 0) continue;
    svg_series *s = add_series(&d, c, i, 1);
    s->unjoined = true;
    add_range(&d, 1);
    d.data[d.count - 1].low[0] = 100 * (1 - n->top1_interval.high);
    d.data[d.count - 1].high[0] = 100 * (1 - n->top1_interval.low);
    add_point(&d, (double)n->loaded.info.macs / 1e6, 100 * (1 - compare_top1(n)), "error");
  }
  svg_plot p = {.title = title, .description = description};
  p.x = (svg_axis){.title = "multiply-accumulates (millions)"};
  p.y = (svg_axis){.title = "top-1 error (%)"};
  return finish(&d, &p, place);
}

static int descending(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left < right) - (left > right);
}

static void add_layers(drawing *d, const comparison *c, uint32_t model, bool sorted) {
  const model_summary *n = &c->models[model];
  uint32_t count = compare_figure_layers(n);
  double *stds = cli_allocate(count, sizeof *stds);
  for (uint32_t i = 0; i < count; i++) stds[i] = compare_layer_std(n, i);
  if (sorted) qsort(stds, count, sizeof *stds, descending);
  svg_series *s = add_series(d, c, model, count);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t op = n->responses[n->layers[i]].op;
    add_point(d, i + 1.0, stds[i], !sorted && op < n->plan.op_count ? n->plan.ops[op].name : "");
  }
  s->x = NULL;
  if (sorted) s->details = NULL;
  free(stds);
}

static bool write_layer_panel(const comparison *c, bool sorted, const svg_place *place,
                              svg_plot *p) {
  drawing d = drawing_make(c->model_count);
  double min = INFINITY, max = 0;
  for (uint32_t i = 0; i < c->model_count; i++) {
    if (!isfinite(compare_median_layer_std(&c->models[i]))) continue;
    add_layers(&d, c, i, sorted);
    for (uint32_t j = 0; j < compare_figure_layers(&c->models[i]); j++) {
      min = fmin(min, compare_layer_std(&c->models[i], j));
      max = fmax(max, compare_layer_std(&c->models[i], j));
    }
  }
  p->x = (svg_axis){.title = sorted ? "layers, sorted by magnitude" : "layer, in order",
                    .whole = true};
  const bool logarithmic = max > 20 * min;
  p->y = (svg_axis){.title = logarithmic ? "standard deviation of the response (logarithmic)"
                                         : "standard deviation of the response",
                    .logarithmic = logarithmic};
  return finish(&d, p, place);
}

static bool write_layers(const comparison *c, uint32_t model, const svg_place *place,
                         const char *title, const char *description) {
  (void)model;
  svg_plot p = {.title = title, .description = description};
  return write_layer_panel(c, false, place, &p);
}

static bool write_layers_sorted(const comparison *c, uint32_t model, const svg_place *place,
                                const char *title, const char *description) {
  (void)model;
  svg_plot p = {.title = title, .description = description};
  return write_layer_panel(c, true, place, &p);
}

static bool write_ratios(const comparison *c, uint32_t model, const svg_place *place,
                         const char *title, const char *description) {
  (void)model;
  drawing d = drawing_make(c->model_count);
  for (uint32_t i = 0; i < c->model_count; i++) {
    const model_summary *n = &c->models[i];
    if (!n->residual || !isfinite(compare_median_ratio(n))) continue;
    svg_series *s = add_series(&d, c, i, n->plan.block_count);
    for (uint32_t j = 0; j < n->plan.block_count; j++)
      add_point(&d, j + 1.0, cli_plan_has_shortcut(&n->plan, j) ? n->blocks[j].ratio : NAN,
                n->plan.blocks[j].name);
    s->x = NULL;
  }
  svg_plot p = {
      .title = title, .description = description, .level = 1, .level_name = "branch = shortcut"};
  p.x = (svg_axis){.title = "block, in order", .whole = true};
  p.y = (svg_axis){.title = "std of branch / std of shortcut"};
  return finish(&d, &p, place);
}

static bool write_ablation(const comparison *c, uint32_t model, const svg_place *place,
                           const char *title, const char *description) {
  (void)model;
  drawing d = drawing_make(c->model_count);
  for (uint32_t i = 0; i < c->model_count; i++) {
    const model_summary *n = &c->models[i];
    if (n->ablation_images == 0 || n->plan.block_count == 0) continue;
    svg_series *s = add_series(&d, c, i, n->plan.block_count);
    for (uint32_t j = 0; j < n->plan.block_count; j++)
      add_point(&d, j + 1.0, n->blocks[j].can_ablate ? 100 * (1 - n->blocks[j].ablated_top1) : NAN,
                n->plan.blocks[j].name);
    s->x = NULL;
    s->level = 100 * compare_whole_error(n);
  }
  svg_plot p = {
      .title = title, .description = description, .own_levels = true, .level_name = "whole model"};
  p.x = (svg_axis){.title = "block left out", .whole = true};
  p.y = (svg_axis){.title = "top-1 error (%)"};
  return finish(&d, &p, place);
}

static bool write_ablations(const comparison *c, uint32_t model, const svg_place *place,
                            const char *title, const char *description) {
  (void)model;
  drawing d = drawing_make(c->model_count);
  for (uint32_t i = 0; i < c->model_count; i++) {
    const model_summary *n = &c->models[i];
    if (n->ablation_count == 0) continue;
    (void)add_series(&d, c, i, n->ablation_count + 1);
    add_range(&d, n->ablation_count + 1);
    series_data *data = &d.data[d.count - 1];
    if (n->ablations[0].removed > 0) {
      data->low[0] = data->high[0] = 100 * compare_whole_error(n);
      add_point(&d, 0, 100 * compare_whole_error(n), "whole model");
    }
    for (uint32_t j = 0; j < n->ablation_count; j++) {
      const ablation_summary *r = &n->ablations[j];
      size_t at = d.series[d.count - 1].count;
      data->low[at] = 100 * (1 - r->max);
      data->high[at] = 100 * (1 - r->min);
      add_point(&d, r->removed, 100 * (1 - r->mean), "left out");
    }
  }
  svg_plot p = {.title = title, .description = description};
  p.x = (svg_axis){.title = "number of blocks left out", .whole = true};
  p.y = (svg_axis){.title = "top-1 error (%), mean and range"};
  return finish(&d, &p, place);
}

/* ---- shortcuts ---- */

/* Return microseconds or KiB, or NAN if the cost is unknown. unfused_bytes is 0 only if
 * unknown: a separate op always reads and writes. */
static double shortcut_cost(const block_summary *b, bool times, bool unfused) {
  if (!times && b->unfused_bytes == 0) return NAN;
  if (times) return 1e3 * (unfused ? b->unfused_ms : b->shortcut_ms);
  return (double)(unfused ? b->unfused_bytes : b->shortcut_bytes) / 1024;
}

static bool write_shortcuts(const comparison *c, uint32_t model, bool times, const svg_place *place,
                            svg_plot *p) {
  const model_summary *n = &c->models[model];
  drawing d = drawing_make(2);
  bool any = false;
  for (uint32_t i = 0; n->residual && n->blocks && i < n->plan.block_count; i++)
    any |= cli_plan_has_shortcut(&n->plan, i) &&
           (isfinite(shortcut_cost(&n->blocks[i], times, false)) ||
            isfinite(shortcut_cost(&n->blocks[i], times, true)));
  for (unsigned unfused = 0; any && unfused < 2; unfused++) {
    svg_series *s = add_series(&d, c, model, n->plan.block_count);
    s->name = unfused ? "as a separate operation" : "fused, as in the plan";
    s->colour = unfused;
    s->hollow = unfused;
    for (uint32_t i = 0; i < n->plan.block_count; i++)
      add_point(&d, i + 1.0,
                cli_plan_has_shortcut(&n->plan, i) ? shortcut_cost(&n->blocks[i], times, unfused)
                                                   : NAN,
                n->plan.blocks[i].name);
  }
  p->bars = true;
  p->x = (svg_axis){.title = "block, in order"};
  p->y = (svg_axis){.title = times ? "time of the shortcut (\xc2\xb5s)" : "memory traffic (KiB)"};
  return finish(&d, p, place);
}

static bool write_shortcut_times(const comparison *c, uint32_t model, const svg_place *place,
                                 const char *title, const char *description) {
  svg_plot p = {.title = title, .description = description};
  return write_shortcuts(c, model, true, place, &p);
}

static bool write_shortcut_bytes(const comparison *c, uint32_t model, const svg_place *place,
                                 const char *title, const char *description) {
  svg_plot p = {.title = title, .description = description};
  return write_shortcuts(c, model, false, place, &p);
}

/* ---- accuracy ---- */

/* Mistakes are a few percent of a class: the square root makes them visible. */
static void shade(const model_summary *n, double *shades) {
  size_t classes = n->loaded.info.classes;
  for (size_t i = 0; i < classes; i++) {
    uint64_t all = 0;
    for (size_t j = 0; j < classes; j++) all += n->confusion[i * classes + j];
    for (size_t j = 0; j < classes; j++)
      shades[i * classes + j] = all ? sqrt((double)n->confusion[i * classes + j] / (double)all) : 0;
  }
}

static bool write_confusion(const comparison *c, uint32_t model, const svg_place *place,
                            const char *title, const char *description) {
  const model_summary *n = &c->models[model];
  size_t classes = n->loaded.info.classes;
  if (!n->confusion || n->images == 0 || classes > MAX_DRAWN_CLASSES) return false;
  char(*texts)[CLASS_NAME_SIZE] = cli_allocate(classes, sizeof *texts);
  const char **names = cli_allocate(classes, sizeof *names);
  double *shades = cli_allocate(classes * classes, sizeof *shades);
  for (size_t i = 0; i < classes; i++) names[i] = compare_class_name(c, n, (uint32_t)i, texts[i]);
  shade(n, shades);
  svg_heat h = {.title = title,
                .description = description,
                .rows = classes,
                .columns = classes,
                .row_names = names};
  h.row_title = "truth";
  h.column_title = "answer";
  h.scale = "share of the true class, 0 to 100 % (square root)";
  h.short_scale = "share of class, square root";
  h.column_names = names;
  h.shades = shades;
  h.numbers = n->confusion;
  h.printed = classes <= MAX_PRINTED_CLASSES;
  svg_write_heat(place, &h);
  free(texts);
  free(names);
  free(shades);
  return true;
}

static bool write_calibration(const comparison *c, uint32_t model, const svg_place *place,
                              const char *title, const char *description) {
  (void)model;
  drawing d = drawing_make(c->model_count);
  for (uint32_t i = 0; i < c->model_count; i++) {
    if (c->models[i].images == 0) continue;
    (void)add_series(&d, c, i, CALIBRATION_BINS);
    for (size_t j = 0; j < CALIBRATION_BINS; j++) {
      const calibration_bin *bin = &c->models[i].calibration[j];
      char images[FORMAT_SIZE], detail[DETAIL_SIZE];
      if (bin->images == 0) continue;
      (void)snprintf(detail, sizeof detail, "%s images", cli_format_grouped(images, bin->images));
      add_point(&d, 100 * bin->confidence / (double)bin->images,
                100 * (double)bin->right / (double)bin->images, detail);
    }
  }
  svg_plot p = {.title = title, .description = description, .diagonal = true};
  p.x = (svg_axis){.title = "confidence (%)", .min = 0, .max = 100};
  p.y = (svg_axis){.title = "accuracy (%)", .min = 0, .max = 100};
  return finish(&d, &p, place);
}

/* ---- all plots ---- */

const report_plot report_plot_cost = {
    .id = "cost",
    .title = "Error against multiply-accumulates",
    .note = "One image. Lower and further left is better. Bars: 95\xc2\xa0% intervals; those of "
            "later models "
            "have wider ends, so that bars at the same place are seen.",
    .write = write_cost,
};
const report_plot report_plot_layers = {
    .id = "layers-in-order",
    .title = "Layer responses, in order",
    .note = "Plain models: dashed lines and hollow markers. Residual models: solid ones. Models "
            "of the same depth have the same colour. A final fully connected layer is left out, "
            "as in " COMPARE_PAPER ".",
    .write = write_layers,
};
const report_plot report_plot_layers_sorted = {
    .id = "layers-sorted",
    .title = "Layer responses, sorted by magnitude",
    .note = "The same numbers, largest first.",
    .write = write_layers_sorted,
};
const report_plot report_plot_ratios = {
    .id = "ratios",
    .title = "Residual branch against shortcut",
    .note = "Below the dotted line, the residual branch varies less than the shortcut.",
    .conclude = compare_conclude_blocks,
    .write = write_ratios,
};
const report_plot report_plot_ablation = {
    .id = "lesions",
    .title = "Error against the block left out",
    .note = "Thin lines: the error of the whole model. Blocks that change the shape cannot be left "
            "out and have no point.",
    .conclude = compare_conclude_block_ablation,
    .write = write_ablation,
};
const report_plot report_plot_ablations = {
    .id = "removals-plot",
    .title = "Error against the number of blocks left out",
    .note = "Mean and range: of one block, over all blocks; of more, over a few random orders. "
            "Ranges of later models have wider ends, so that ranges at the same place are seen.",
    .conclude = compare_conclude_ablation,
    .write = write_ablations,
};
const report_plot report_plot_shortcut_times = {
    .id = "shortcut-times",
    .title = "Time of each shortcut",
    .note =
        "One image, one thread; median of many runs. A block without a bar has a time inside the "
        "noise: it is not measurable.",
    .each_model = true,
    .measured = true,
    .write = write_shortcut_times,
};
const report_plot report_plot_shortcut_bytes = {
    .id = "shortcut-bytes",
    .title = "Memory traffic of each shortcut",
    .note = "Bytes read and written for the shortcut, for one image.",
    .each_model = true,
    .write = write_shortcut_bytes,
};
const report_plot report_plot_confusion = {
    .id = "confusion",
    .title = "Confusion matrix",
    .note = "Rows: the true class. Columns: the answer of the model.",
    .each_model = true,
    .write = write_confusion,
};
const report_plot report_plot_calibration = {
    .id = "reliability",
    .title = "Reliability diagram",
    .note = "On the dotted line, confidence equals accuracy. Below it, the model is "
            "overconfident. A point of few images says little; the table has their number.",
    .conclude = compare_conclude_calibration,
    .write = write_calibration,
};

const report_plot *const report_plots[] = {&report_plot_cost,
                                           &report_plot_layers,
                                           &report_plot_layers_sorted,
                                           &report_plot_ratios,
                                           &report_plot_ablation,
                                           &report_plot_ablations,
                                           &report_plot_shortcut_times,
                                           &report_plot_shortcut_bytes,
                                           &report_plot_confusion,
                                           &report_plot_calibration,
                                           NULL};

static char *describe(const comparison *c, const report_plot *p) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return cli_copy_text(p->note);
  if (p->conclude)
    p->conclude(c, out);
  else
    (void)fputs(p->note, out);
  (void)fclose(out);
  return text;
}

bool report_plot_write(const comparison *c, const report_plot *p, uint32_t model,
                       const svg_place *place) {
  char *description = describe(c, p);
  size_t size = strlen(p->title) + strlen(c->models[model].title) + 8;
  char *title = cli_allocate(size, 1);
  (void)snprintf(title, size, "%s%s%s", p->title, p->each_model ? ": " : "",
                 p->each_model ? c->models[model].title : "");
  bool drawn = p->write(c, model, place, title, description);
  free(title);
  free(description);
  return drawn;
}
