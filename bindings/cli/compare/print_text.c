/* What `resnet compare` tells people. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/compare.h"
#include "cli/report/report.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "support/message.h"

/* Of a deeper net every second or third block is shown, and so on: --json has all. */
enum { MOST_BLOCKS_SHOWN = 12 };

static void start_table(table *t, const char *const *heading) {
  for (size_t i = 0; i < t->columns; i++) table_add(t, heading[i]);
}

/* "-" where it is not known. */
static void add_value(table *t, double value, int digits) {
  char text[64] = "-";
  if (isfinite(value)) (void)snprintf(text, sizeof text, "%.*f", digits, value);
  table_add(t, text);
}

static void add_percent(table *t, double share_of_one) { add_value(t, 100 * share_of_one, 2); }

/* ---- nets -------------------------------------------------------------------------- */

static void add_net(table *t, const net_summary *net) {
  const resnet_model_info *info = &net->model.info;
  char text[FORMAT_SIZE];
  table_add(t, net->title);
  table_add_number(t, info->conv_layers);
  table_add(t, format_count(text, info->parameters));
  table_add(t, format_count(text, info->macs));
  add_percent(t, share(net->top1, net->images));
  (void)snprintf(text, sizeof text, "%.2f to %.2f", 100 * net->top1_interval.low,
                 100 * net->top1_interval.high);
  table_add(t, net->images ? text : "-");
  add_percent(t, share(net->top5, net->images));
  add_percent(t, net->calibration_error);
  add_value(t, net->latency_median_ms, 3);
  add_value(t, net->latency_p99_ms, 3);
  table_add(t, format_bytes(text, info->arena_bytes));
  table_add(t, net->peak_bytes ? format_bytes(text, net->peak_bytes) : "-");
}

static void print_nets(const comparison *c) {
  static const char *const heading[] = {"net",     "layers", "params",  "MACs",
                                        "top-1 %", "95 %",   "top-5 %", "ECE %",
                                        "ms",      "p99 ms", "arena",   "memory"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "lrrrrrrrrrrr"};
  start_table(&t, heading);
  for (uint32_t i = 0; i < c->net_count; i++) add_net(&t, &c->nets[i]);
  (void)fputc('\n', stdout);
  table_print(&t);
}

/* ---- pairs ------------------------------------------------------------------------- */

static void add_probability(table *t, double p) {
  char text[32];
  (void)snprintf(text, sizeof text, p < 0.001 ? "%.1e" : "%.3f", p);
  table_add(t, text);
}

static void print_pairs(const comparison *c) {
  static const char *const heading[] = {"A",      "B",      "agree %",      "both right",
                                        "only A", "only B", "McNemar chi2", "p"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "llrrrrrr"};
  if (c->pair_count == 0) return;
  start_table(&t, heading);
  for (uint32_t i = 0; i < c->pair_count; i++) {
    const pair_summary *p = &c->pairs[i];
    table_add(&t, c->nets[p->a].title);
    table_add(&t, c->nets[p->b].title);
    add_percent(&t, share(p->agree, p->images));
    table_add_number(&t, p->both);
    table_add_number(&t, p->only_a);
    table_add_number(&t, p->only_b);
    add_value(&t, p->mcnemar_chi2, 2);
    add_probability(&t, p->mcnemar_p);
  }
  (void)fputc('\n', stdout);
  table_print(&t);
}

/* ---- responses --------------------------------------------------------------------- */

static void add_responses(table *t, const net_summary *net) {
  double *deviations = allocate(net->layer_count, sizeof *deviations), negative = 0;
  uint32_t channels = 0, dead = 0;
  for (uint32_t i = 0; i < net->layer_count; i++) {
    const response_summary *r = &net->responses[net->layers[i]];
    deviations[i] = r->std;
    negative += r->negative / net->layer_count;
    channels += r->channels;
    dead += r->dead;
  }
  sort_values(deviations, net->layer_count);
  table_add(t, net->title);
  table_add_number(t, net->layer_count);
  add_value(t, sorted_percentile(deviations, net->layer_count, 0), 3);
  add_value(t, sorted_median(deviations, net->layer_count), 3);
  add_value(t, sorted_percentile(deviations, net->layer_count, 100), 3);
  add_percent(t, negative);
  table_add_number(t, dead);
  table_add_number(t, channels);
  free(deviations);
}

static void print_responses(const comparison *c) {
  static const char *const heading[] = {"responses", "layers",     "least std", "median std",
                                        "most std",  "negative %", "dead",      "of channels"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "lrrrrrrr"};
  start_table(&t, heading);
  for (uint32_t i = 0; i < c->net_count; i++) add_responses(&t, &c->nets[i]);
  (void)fputc('\n', stdout);
  table_print(&t);
}

/* ---- blocks ------------------------------------------------------------------------ */

static void print_blocks(const net_summary *net) {
  const char *const heading[] = {net->title, "shortcut",   "branch std",     "shortcut std",
                                 "ratio",    "output std", "top-1 % without"};
  const uint32_t count = net->plan.block_count,
                 step = (count + MOST_BLOCKS_SHOWN - 1) / MOST_BLOCKS_SHOWN;
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "llrrrrr"};
  if (count == 0) return;
  start_table(&t, heading);
  for (uint32_t i = 0; i < count; i += step) {
    const block_summary *b = &net->blocks[i];
    table_add(&t, net->plan.blocks[i].name);
    table_add(&t, shortcut_name(net->plan.blocks[i].shortcut));
    add_value(&t, b->branch_std, 3);
    add_value(&t, b->shortcut_std, 3);
    add_value(&t, b->ratio, 3);
    add_value(&t, b->output_std, 3);
    add_percent(&t, b->skipped_top1);
  }
  (void)fputc('\n', stdout);
  table_print(&t);
  if (step > 1) (void)printf("(1 of %u of the %u blocks; --json has all)\n", step, count);
}

/* ---- findings ---------------------------------------------------------------------- */

/* As the report has them, a line each. */
static void print_findings(const comparison *c) {
  char *text = NULL, *rest = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return;
  find_layers(c, out);
  if (fclose(out) == 0) {
    for (const char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
      print_masked(stdout, line);
      (void)fputc('\n', stdout);
    }
  }
  free(text);
}

void comparison_print(const comparison *c) {
  uint64_t failures = c->data.count - c->nets[0].images;
  (void)fputs("data        ", stdout);
  print_masked(stdout, c->settings->data);
  (void)printf(": %llu pictures in %u folders\n", (unsigned long long)c->nets[0].images,
               c->data.folder_count);
  (void)printf("speed       %.0f pictures/s by all nets, observed (%.2f s, threads %u)\n",
               (double)c->nets[0].images / c->seconds, c->seconds, c->workers);
  if (failures)
    (void)printf("unreadable  %llu pictures, not counted\n", (unsigned long long)failures);
  print_nets(c);
  print_pairs(c);
  print_responses(c);
  for (uint32_t i = 0; i < c->net_count; i++) print_blocks(&c->nets[i]);
  (void)fputc('\n', stdout);
  print_findings(c);
}
