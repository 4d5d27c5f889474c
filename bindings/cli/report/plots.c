/* The plots of a comparison: see report.h and svg.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report/report.h"
#include "cli/terminal.h"

enum { MOST_PRINTED_CLASSES = 20, MOST_DRAWN_CLASSES = 50, DETAIL_SIZE = 64 };

/* ---- series of numbers ------------------------------------------------------------- */

/* What a series owns. */
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

static drawing drawing_make(size_t most) {
  return (drawing){allocate(most, sizeof(svg_series)), allocate(most, sizeof(series_data)), 0};
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

/* A colour for each depth; where a net of that depth and kind has it already, one that
 * none has. Plain nets are dashed and hollow. */
static unsigned colour_of(const comparison *c, uint32_t net) {
  unsigned next = 0;
  unsigned *colours = allocate(net + 1, sizeof *colours);
  for (uint32_t i = 0; i <= net; i++) {
    bool taken = false;
    uint32_t same = RESNET_NO_INDEX;
    for (uint32_t j = 0; j < i; j++) {
      if (c->nets[j].model.info.conv_layers != c->nets[i].model.info.conv_layers) continue;
      if (same == RESNET_NO_INDEX) same = j;
      taken |= c->nets[j].residual == c->nets[i].residual;
    }
    colours[i] = same == RESNET_NO_INDEX || taken ? next++ : colours[same];
  }
  unsigned colour = colours[net];
  free(colours);
  return colour;
}

/* Room for `count` points, which the caller fills and counts. */
static svg_series *add_series(drawing *d, const comparison *c, uint32_t net, size_t count) {
  svg_series *s = &d->series[d->count];
  series_data *data = &d->data[d->count++];
  data->x = allocate(count, sizeof *data->x);
  data->y = allocate(count, sizeof *data->y);
  data->texts = allocate(count, sizeof *data->texts);
  data->details = allocate(count, sizeof *data->details);
  for (size_t i = 0; i < count; i++) data->details[i] = data->texts[i];
  const net_summary *n = &c->nets[net];
  unsigned colour = colour_of(c, net);
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
  s->low = data->low = allocate(count, sizeof *data->low);
  s->high = data->high = allocate(count, sizeof *data->high);
}

static void add_point(drawing *d, double x, double y, const char *detail) {
  svg_series *s = &d->series[d->count - 1];
  series_data *data = &d->data[d->count - 1];
  data->x[s->count] = x;
  data->y[s->count] = y;
  (void)snprintf(data->texts[s->count], DETAIL_SIZE, "%.*s", DETAIL_SIZE - 1, detail);
  s->count++;
}

/* Draws what there is, and releases it. */
static bool finish(drawing *d, svg_plot *p, const svg_place *place) {
  p->series = d->series;
  p->series_count = d->count;
  bool drawn = d->count > 0;
  if (drawn) svg_write_plot(place, p);
  drawing_release(d);
  return drawn;
}

/* ---- the plots --------------------------------------------------------------------- */

static bool write_cost(const comparison *c, uint32_t net, const svg_place *place, const char *title,
                       const char *description) {
  (void)net;
  drawing d = drawing_make(c->net_count);
  for (uint32_t i = 0; i < c->net_count; i++) {
    const net_summary *n = &c->nets[i];
    if (n->images == 0) continue;
    svg_series *s = add_series(&d, c, i, 1);
    s->unjoined = true;
    add_range(&d, 1);
    d.data[d.count - 1].low[0] = 100 * (1 - n->top1_interval.high);
    d.data[d.count - 1].high[0] = 100 * (1 - n->top1_interval.low);
    add_point(&d, (double)n->model.info.macs / 1e6, 100 * (1 - top1_of(n)), "error");
  }
  svg_plot p = {.title = title, .description = description};
  p.x = (svg_axis){.title = "multiply-accumulates of one picture (millions)"};
  p.y = (svg_axis){.title = "top-1 error (%)"};
  return finish(&d, &p, place);
}

static int descending(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left < right) - (left > right);
}

static void add_layers(drawing *d, const comparison *c, uint32_t net, bool sorted) {
  const net_summary *n = &c->nets[net];
  uint32_t count = figure_layers(n);
  double *stds = allocate(count, sizeof *stds);
  for (uint32_t i = 0; i < count; i++) stds[i] = layer_std(n, i);
  if (sorted) qsort(stds, count, sizeof *stds, descending);
  svg_series *s = add_series(d, c, net, count);
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
  drawing d = drawing_make(c->net_count);
  double least = INFINITY, most = 0;
  for (uint32_t i = 0; i < c->net_count; i++) {
    if (!isfinite(median_layer_std(&c->nets[i]))) continue;
    add_layers(&d, c, i, sorted);
    for (uint32_t j = 0; j < figure_layers(&c->nets[i]); j++) {
      least = fmin(least, layer_std(&c->nets[i], j));
      most = fmax(most, layer_std(&c->nets[i], j));
    }
  }
  p->x = (svg_axis){.title = sorted ? "layers, sorted by magnitude" : "layer, in order",
                    .whole = true};
  p->y =
      (svg_axis){.title = "standard deviation of the response", .logarithmic = most > 20 * least};
  return finish(&d, p, place);
}

static bool write_layers(const comparison *c, uint32_t net, const svg_place *place,
                         const char *title, const char *description) {
  (void)net;
  svg_plot p = {.title = title, .description = description};
  return write_layer_panel(c, false, place, &p);
}

static bool write_layers_sorted(const comparison *c, uint32_t net, const svg_place *place,
                                const char *title, const char *description) {
  (void)net;
  svg_plot p = {.title = title, .description = description};
  return write_layer_panel(c, true, place, &p);
}

static bool write_ratios(const comparison *c, uint32_t net, const svg_place *place,
                         const char *title, const char *description) {
  (void)net;
  drawing d = drawing_make(c->net_count);
  for (uint32_t i = 0; i < c->net_count; i++) {
    const net_summary *n = &c->nets[i];
    if (!n->residual || !isfinite(median_ratio(n))) continue;
    svg_series *s = add_series(&d, c, i, n->plan.block_count);
    for (uint32_t j = 0; j < n->plan.block_count; j++)
      add_point(&d, j + 1.0, has_shortcut(&n->plan, j) ? n->blocks[j].ratio : NAN,
                n->plan.blocks[j].name);
    s->x = NULL;
  }
  svg_plot p = {
      .title = title, .description = description, .level = 1, .level_name = "branch = shortcut"};
  p.x = (svg_axis){.title = "block, in order", .whole = true};
  p.y = (svg_axis){.title = "std of branch / std of shortcut"};
  return finish(&d, &p, place);
}

static bool write_lesions(const comparison *c, uint32_t net, const svg_place *place,
                          const char *title, const char *description) {
  (void)net;
  drawing d = drawing_make(c->net_count);
  for (uint32_t i = 0; i < c->net_count; i++) {
    const net_summary *n = &c->nets[i];
    if (n->lesion_images == 0 || n->plan.block_count == 0) continue;
    svg_series *s = add_series(&d, c, i, n->plan.block_count);
    for (uint32_t j = 0; j < n->plan.block_count; j++)
      add_point(&d, j + 1.0, n->blocks[j].can_skip ? 100 * (1 - n->blocks[j].skipped_top1) : NAN,
                n->plan.blocks[j].name);
    s->x = NULL;
    s->level = 100 * whole_error(n);
  }
  svg_plot p = {
      .title = title, .description = description, .own_levels = true, .level_name = "whole net"};
  p.x = (svg_axis){.title = "block left out", .whole = true};
  p.y = (svg_axis){.title = "top-1 error (%)"};
  return finish(&d, &p, place);
}

static bool write_removals(const comparison *c, uint32_t net, const svg_place *place,
                           const char *title, const char *description) {
  (void)net;
  drawing d = drawing_make(c->net_count);
  for (uint32_t i = 0; i < c->net_count; i++) {
    const net_summary *n = &c->nets[i];
    if (n->removal_count == 0) continue;
    (void)add_series(&d, c, i, n->removal_count + 1);
    add_range(&d, n->removal_count + 1);
    series_data *data = &d.data[d.count - 1];
    if (n->removals[0].removed > 0) {
      data->low[0] = data->high[0] = 100 * whole_error(n);
      add_point(&d, 0, 100 * whole_error(n), "whole");
    }
    for (uint32_t j = 0; j < n->removal_count; j++) {
      const removal_summary *r = &n->removals[j];
      size_t at = d.series[d.count - 1].count;
      data->low[at] = 100 * (1 - r->most);
      data->high[at] = 100 * (1 - r->least);
      add_point(&d, r->removed, 100 * (1 - r->mean), "removed");
    }
  }
  svg_plot p = {.title = title, .description = description};
  p.x = (svg_axis){.title = "number of blocks left out", .whole = true};
  p.y = (svg_axis){.title = "top-1 error (%), mean and range"};
  return finish(&d, &p, place);
}

/* ---- shortcuts --------------------------------------------------------------------- */

/* NAN: not known. An op of its own reads and writes something. */
static double shortcut_cost(const block_summary *b, bool times, bool unfused) {
  if (!times && b->unfused_bytes == 0) return NAN;
  if (times) return 1e3 * (unfused ? b->unfused_ms : b->shortcut_ms);
  return (double)(unfused ? b->unfused_bytes : b->shortcut_bytes) / 1024;
}

static bool write_shortcuts(const comparison *c, uint32_t net, bool times, const svg_place *place,
                            svg_plot *p) {
  const net_summary *n = &c->nets[net];
  drawing d = drawing_make(2);
  bool any = false;
  for (uint32_t i = 0; n->residual && n->blocks && i < n->plan.block_count; i++)
    any |= has_shortcut(&n->plan, i) && (isfinite(shortcut_cost(&n->blocks[i], times, false)) ||
                                         isfinite(shortcut_cost(&n->blocks[i], times, true)));
  for (unsigned unfused = 0; any && unfused < 2; unfused++) {
    svg_series *s = add_series(&d, c, net, n->plan.block_count);
    s->name = unfused ? "as an operation of its own" : "as the plan has it (fused)";
    s->colour = unfused;
    s->hollow = unfused;
    for (uint32_t i = 0; i < n->plan.block_count; i++)
      add_point(&d, i + 1.0,
                has_shortcut(&n->plan, i) ? shortcut_cost(&n->blocks[i], times, unfused) : NAN,
                n->plan.blocks[i].name);
  }
  p->bars = true;
  p->x = (svg_axis){.title = "block, in order"};
  p->y = (svg_axis){.title = times ? "time of the shortcut (\xc2\xb5s)" : "memory traffic (KiB)"};
  return finish(&d, p, place);
}

static bool write_shortcut_times(const comparison *c, uint32_t net, const svg_place *place,
                                 const char *title, const char *description) {
  svg_plot p = {.title = title, .description = description};
  return write_shortcuts(c, net, true, place, &p);
}

static bool write_shortcut_bytes(const comparison *c, uint32_t net, const svg_place *place,
                                 const char *title, const char *description) {
  svg_plot p = {.title = title, .description = description};
  return write_shortcuts(c, net, false, place, &p);
}

/* ---- accuracy ---------------------------------------------------------------------- */

/* Mistakes are some percent of a class: the square root lets them be seen. */
static void shade(const net_summary *n, double *shades) {
  size_t classes = n->model.info.classes;
  for (size_t i = 0; i < classes; i++) {
    uint64_t all = 0;
    for (size_t j = 0; j < classes; j++) all += n->confusion[i * classes + j];
    for (size_t j = 0; j < classes; j++)
      shades[i * classes + j] = all ? sqrt((double)n->confusion[i * classes + j] / (double)all) : 0;
  }
}

static bool write_confusion(const comparison *c, uint32_t net, const svg_place *place,
                            const char *title, const char *description) {
  const net_summary *n = &c->nets[net];
  size_t classes = n->model.info.classes;
  if (!n->confusion || n->images == 0 || classes > MOST_DRAWN_CLASSES) return false;
  char(*texts)[CLASS_NAME_SIZE] = allocate(classes, sizeof *texts);
  const char **names = allocate(classes, sizeof *names);
  double *shades = allocate(classes * classes, sizeof *shades);
  for (size_t i = 0; i < classes; i++) names[i] = class_name(c, n, (uint32_t)i, texts[i]);
  shade(n, shades);
  svg_heat h = {.title = title,
                .description = description,
                .rows = classes,
                .columns = classes,
                .row_names = names};
  h.row_title = "truth";
  h.column_title = "answer";
  h.scale = "share of the truth's pictures, 0 to 100 % (square root)";
  h.column_names = names;
  h.shades = shades;
  h.numbers = n->confusion;
  h.printed = classes <= MOST_PRINTED_CLASSES;
  svg_write_heat(place, &h);
  free(texts);
  free(names);
  free(shades);
  return true;
}

static bool write_calibration(const comparison *c, uint32_t net, const svg_place *place,
                              const char *title, const char *description) {
  (void)net;
  drawing d = drawing_make(c->net_count);
  for (uint32_t i = 0; i < c->net_count; i++) {
    if (c->nets[i].images == 0) continue;
    (void)add_series(&d, c, i, CALIBRATION_BINS);
    for (size_t j = 0; j < CALIBRATION_BINS; j++) {
      const calibration_bin *bin = &c->nets[i].calibration[j];
      char pictures[GROUPED_SIZE], detail[DETAIL_SIZE];
      if (bin->pictures == 0) continue;
      (void)snprintf(detail, sizeof detail, "%s pictures", format_grouped(pictures, bin->pictures));
      add_point(&d, 100 * bin->confidence / (double)bin->pictures,
                100 * (double)bin->right / (double)bin->pictures, detail);
    }
  }
  svg_plot p = {.title = title, .description = description, .diagonal = true};
  p.x = (svg_axis){.title = "confidence (%)", .least = 0, .most = 100};
  p.y = (svg_axis){.title = "right (%)", .least = 0, .most = 100};
  return finish(&d, &p, place);
}

/* ---- all of them ------------------------------------------------------------------- */

const report_plot plot_cost = {"cost",
                               "Error against multiply-accumulates",
                               "Lower and further left is better. Bars: 95 % intervals.",
                               NULL,
                               false,
                               false,
                               write_cost};
const report_plot plot_layers = {
    "layers-in-order",
    "Layer responses, in order",
    "Plain nets are dashed and hollow, residual nets solid; nets of one depth share a "
    "colour. A fully connected layer at the "
    "end is left out, as in the paper.",
    NULL,
    false,
    false,
    write_layers};
const report_plot plot_layers_sorted = {"layers-sorted",
                                        "Layer responses, sorted by magnitude",
                                        "The same numbers, the largest first.",
                                        NULL,
                                        false,
                                        false,
                                        write_layers_sorted};
const report_plot plot_ratios = {
    "ratios",
    "Residual branch against shortcut",
    "Below the dotted line the block changes its input by less than the input itself varies.",
    find_blocks,
    false,
    false,
    write_ratios};
const report_plot plot_lesions = {
    "lesions",
    "Error against the block left out",
    "Thin lines: the whole nets. Blocks that cannot be left out, for they change shapes, are "
    "missing.",
    find_block_lesions,
    false,
    false,
    write_lesions};
const report_plot plot_removals = {"removals-plot",
                                   "Error against the number of blocks left out",
                                   "Mean over random choices of blocks, and their range.",
                                   find_removals,
                                   false,
                                   false,
                                   write_removals};
const report_plot plot_shortcut_times = {"shortcut-times",
                                         "Time of each shortcut",
                                         "One picture, one thread; least of many runs.",
                                         NULL,
                                         true,
                                         true,
                                         write_shortcut_times};
const report_plot plot_shortcut_bytes = {
    "shortcut-bytes",
    "Memory traffic of each shortcut",
    "Bytes that have to be read and written for it, for one picture.",
    NULL,
    true,
    false,
    write_shortcut_bytes};
const report_plot plot_confusion = {
    "confusion", "Confusion matrix", "Rows: what is shown; columns: what the net says.", NULL, true,
    false,       write_confusion};
const report_plot plot_calibration = {
    "reliability",
    "Reliability diagram",
    "On the dotted line confidence is what it claims; below it the net is too sure.",
    find_calibration,
    false,
    false,
    write_calibration};

const report_plot *const report_plots[] = {&plot_cost,
                                           &plot_layers,
                                           &plot_layers_sorted,
                                           &plot_ratios,
                                           &plot_lesions,
                                           &plot_removals,
                                           &plot_shortcut_times,
                                           &plot_shortcut_bytes,
                                           &plot_confusion,
                                           &plot_calibration,
                                           NULL};

static char *describe(const comparison *c, const report_plot *p) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return copy_text(p->note);
  if (p->find)
    p->find(c, out);
  else
    (void)fputs(p->note, out);
  (void)fclose(out);
  return text;
}

bool report_plot_write(const comparison *c, const report_plot *p, uint32_t net,
                       const svg_place *place) {
  char *description = describe(c, p);
  size_t size = strlen(p->title) + strlen(c->nets[net].title) + 8;
  char *title = allocate(size, 1);
  (void)snprintf(title, size, "%s%s%s", p->title, p->each_net ? ": " : "",
                 p->each_net ? c->nets[net].title : "");
  bool drawn = p->write(c, net, place, title, description);
  free(title);
  free(description);
  return drawn;
}
