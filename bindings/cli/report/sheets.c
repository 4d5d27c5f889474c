#include "cli/report/sheets.h"

#include <math.h>

#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/plan.h"
#include "cli/report/sheet.h"
#include "support/responses.h"
#include "support/statistics.h"

enum { MAX_ROWS = 600, MAX_CONFUSIONS = 15 };

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Write bytes, or an empty cell for 0, which means unknown. */
static void bytes_or_empty(sheet *s, uint64_t bytes) {
  if (bytes)
    sheet_bytes(s, bytes);
  else
    sheet_empty(s);
}

void report_sheet_models(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"Model", "net", COLUMN_KEY},
      {"Kind", "kind", COLUMN_PLAIN},
      {"Depth", "depth", COLUMN_PLAIN},
      {"Parameters", "parameters", COLUMN_PLAIN},
      {"MACs", "macs", COLUMN_PLAIN},
      {"Images", "pictures", COLUMN_PLAIN},
      {"Top\xe2\x80\x91"
       "1",
       "top1", COLUMN_PLAIN},
      {"95&nbsp;% from", "top1_low", COLUMN_PLAIN},
      {"to", "top1_high", COLUMN_PLAIN},
      {"Top\xe2\x80\x91"
       "5",
       "top5", COLUMN_PLAIN},
      {"Calibration error", "calibration_error", COLUMN_PLAIN},
      {"Cross-entropy", "cross_entropy", COLUMN_PLAIN},
      {"Median (ms)", "latency_median_ms", COLUMN_MEASURED},
      {"p99 (ms)", "latency_p99_ms", COLUMN_MEASURED},
      {"Arena", "arena_bytes", COLUMN_PLAIN},
      {"Weights", "weights_bytes", COLUMN_PLAIN},
      {"Peak memory", "peak_bytes", COLUMN_MEASURED},
      {"File", "file", COLUMN_PLAIN},
      {"", "sha256", COLUMN_CSV},
  };
  sheet_open(s, "nets", "Models. Latency and peak memory: batch 1, one thread", columns,
             COUNT_OF(columns), MAX_ROWS);
  for (uint32_t i = 0; i < c->model_count; i++) {
    const model_summary *n = &c->models[i];
    const resnet_model_info *info = &n->loaded.info;
    sheet_text(s, n->title);
    sheet_text(s, n->residual ? "residual" : "plain");
    sheet_count(s, info->conv_layers);
    sheet_count(s, info->parameters);
    sheet_count(s, info->macs);
    sheet_count(s, n->images);
    sheet_percent(s, compare_top1(n));
    sheet_percent(s, n->top1_interval.low);
    sheet_percent(s, n->top1_interval.high);
    sheet_percent(s, stats_share(n->top5, n->images));
    sheet_percent(s, n->calibration_error);
    sheet_number(s, n->cross_entropy);
    sheet_number(s, n->latency_median_ms);
    sheet_number(s, n->latency_p99_ms);
    sheet_bytes(s, info->arena_bytes);
    sheet_bytes(s, info->weights_bytes);
    bytes_or_empty(s, n->peak_bytes);
    sheet_text(s, n->loaded.file);
    sheet_text(s, n->sha256);
  }
  sheet_close(s);
}

static const char *block_name(const model_summary *n, uint32_t block) {
  return block < n->plan.block_count ? n->plan.blocks[block].name : "";
}

void report_sheet_layers(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"Model", "net", COLUMN_KEY},
      {"Layer", "layer", COLUMN_PLAIN},
      {"Node", "node", COLUMN_PLAIN},
      {"Block", "block", COLUMN_PLAIN},
      {"Std", "std", COLUMN_PLAIN},
      {"Mean", "mean", COLUMN_PLAIN},
      {"Minimum", "least", COLUMN_PLAIN},
      {"1&nbsp;%", "p1", COLUMN_PLAIN},
      {"25&nbsp;%", "p25", COLUMN_PLAIN},
      {"50&nbsp;%", "p50", COLUMN_PLAIN},
      {"75&nbsp;%", "p75", COLUMN_PLAIN},
      {"99&nbsp;%", "p99", COLUMN_PLAIN},
      {"Maximum", "greatest", COLUMN_PLAIN},
      {"Not above 0", "negative", COLUMN_PLAIN},
      {"Channels", "channels", COLUMN_PLAIN},
      {"Dead", "dead", COLUMN_PLAIN},
      {"", "values", COLUMN_CSV},
  };
  sheet_open(s, "layers", "Layer responses: after batch normalisation, before ReLU and addition",
             columns, COUNT_OF(columns), MAX_ROWS);
  for (uint32_t i = 0; i < c->model_count; i++) {
    const model_summary *n = &c->models[i];
    for (uint32_t j = 0; j < n->layer_count; j++) {
      const response_summary *r = &n->responses[n->layers[j]];
      sheet_text(s, n->title);
      sheet_count(s, r->layer);
      sheet_text(s, r->op < n->plan.op_count ? n->plan.ops[r->op].name : "");
      sheet_text(s, block_name(n, r->block));
      sheet_number(s, r->std);
      sheet_number(s, r->mean);
      sheet_number(s, r->min);
      for (size_t k = 0; k < RESPONSE_PERCENTILES; k++) sheet_number(s, r->percentiles[k]);
      sheet_number(s, r->max);
      sheet_percent(s, r->negative);
      sheet_count(s, r->channels);
      sheet_count(s, r->dead);
      sheet_count(s, r->values);
    }
  }
  sheet_close(s);
}

void report_sheet_blocks(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"Model", "net", COLUMN_KEY},
      {"Block", "block", COLUMN_PLAIN},
      {"Shortcut", "shortcut", COLUMN_PLAIN},
      {"Branch std", "branch_std", COLUMN_PLAIN},
      {"Shortcut std", "shortcut_std", COLUMN_PLAIN},
      {"Ratio", "ratio", COLUMN_PLAIN},
      {"Output std", "output_std", COLUMN_PLAIN},
      {"Top\xe2\x80\x91"
       "1 without",
       "top1_without", COLUMN_PLAIN},
  };
  sheet_open(s, "blocks",
             "Blocks: residual branch and shortcut, and the accuracy without the block", columns,
             COUNT_OF(columns), MAX_ROWS);
  for (uint32_t i = 0; i < c->model_count; i++) {
    const model_summary *n = &c->models[i];
    for (uint32_t j = 0; n->blocks && j < n->plan.block_count; j++) {
      const block_summary *b = &n->blocks[j];
      sheet_text(s, n->title);
      sheet_text(s, n->plan.blocks[j].name);
      sheet_text(s, resnet_shortcut_string(n->plan.blocks[j].shortcut));
      sheet_number(s, b->branch_std);
      sheet_number(s, cli_plan_has_shortcut(&n->plan, j) ? b->shortcut_std : NAN);
      sheet_number(s, cli_plan_has_shortcut(&n->plan, j) ? b->ratio : NAN);
      sheet_number(s, b->output_std);
      sheet_percent(s, n->ablation_images && b->can_ablate ? b->ablated_top1 : NAN);
    }
  }
  sheet_close(s);
}

void report_sheet_ablations(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"Model", "net", COLUMN_KEY},
      {"Blocks left out", "removed", COLUMN_PLAIN},
      {"Choices", "choices", COLUMN_PLAIN},
      {"Mean top\xe2\x80\x91"
       "1",
       "top1_mean", COLUMN_PLAIN},
      {"Minimum", "top1_least", COLUMN_PLAIN},
      {"Maximum", "top1_greatest", COLUMN_PLAIN},
  };
  sheet_open(s, "removals", "Accuracy with blocks left out", columns, COUNT_OF(columns), MAX_ROWS);
  for (uint32_t i = 0; i < c->model_count; i++) {
    for (uint32_t j = 0; j < c->models[i].ablation_count; j++) {
      const ablation_summary *r = &c->models[i].ablations[j];
      sheet_text(s, c->models[i].title);
      sheet_count(s, r->removed);
      sheet_count(s, r->choices);
      sheet_percent(s, r->mean);
      sheet_percent(s, r->min);
      sheet_percent(s, r->max);
    }
  }
  sheet_close(s);
}

void report_sheet_shortcuts(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"Model", "net", COLUMN_KEY},
      {"Block", "block", COLUMN_KEY},
      {"Shortcut", "shortcut", COLUMN_PLAIN},
      {"Bytes, fused", "bytes", COLUMN_PLAIN},
      {"Bytes, unfused", "unfused_bytes", COLUMN_PLAIN},
      {"Time, fused (ms)", "ms", COLUMN_MEASURED},
      {"Time, unfused (ms)", "unfused_ms", COLUMN_MEASURED},
  };
  sheet_open(
      s, "shortcuts",
      "Cost of each shortcut for one image: fused as in the plan, and as a separate operation",
      columns, COUNT_OF(columns), MAX_ROWS);
  for (uint32_t i = 0; i < c->model_count; i++) {
    const model_summary *n = &c->models[i];
    for (uint32_t j = 0; n->blocks && j < n->plan.block_count; j++) {
      if (!cli_plan_has_shortcut(&n->plan, j)) continue;
      sheet_text(s, n->title);
      sheet_text(s, n->plan.blocks[j].name);
      sheet_text(s, resnet_shortcut_string(n->plan.blocks[j].shortcut));
      if (n->blocks[j].unfused_bytes)
        sheet_bytes(s, n->blocks[j].shortcut_bytes);
      else
        sheet_empty(s);
      bytes_or_empty(s, n->blocks[j].unfused_bytes);
      if (isfinite(n->blocks[j].shortcut_ms) || !isfinite(n->blocks[j].unfused_ms))
        sheet_number(s, n->blocks[j].shortcut_ms);
      else
        sheet_missing(s, "not measurable");
      sheet_number(s, n->blocks[j].unfused_ms);
    }
  }
  sheet_close(s);
}

static void write_confusion(const comparison *c, const model_summary *n, sheet *s,
                            confusion_cell cell) {
  char name[CLASS_NAME_SIZE];
  uint64_t of_class = 0;
  const uint64_t *row = n->confusion + (size_t)cell.truth * n->loaded.info.classes;
  for (uint32_t i = 0; i < n->loaded.info.classes; i++) of_class += row[i];
  sheet_text(s, n->title);
  sheet_text(s, compare_class_name(c, n, cell.truth, name));
  sheet_text(s, compare_class_name(c, n, cell.answer, name));
  sheet_count(s, cell.images);
  sheet_percent(s, stats_share(cell.images, of_class));
}

/* Write the most frequent confusions to the page, all non-zero cells to CSV. */
void report_sheet_confusions(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"Model", "net", COLUMN_KEY},
      {"Truth", "truth", COLUMN_PLAIN},
      {"Answer", "answer", COLUMN_PLAIN},
      {"Images", "pictures", COLUMN_PLAIN},
      {"Share of class", "share_of_class", COLUMN_PLAIN},
  };
  sheet_open(s, "confusions", "The most frequent confusions of each model", columns,
             COUNT_OF(columns), MAX_ROWS);
  for (uint32_t i = 0; i < c->model_count; i++) {
    const model_summary *n = &c->models[i];
    size_t classes = n->loaded.info.classes;
    if (s->kind == SHEET_PAGE) {
      confusion_cell cells[MAX_CONFUSIONS];
      size_t count = compare_largest_confusions(n, cells, MAX_CONFUSIONS);
      for (size_t j = 0; j < count; j++) write_confusion(c, n, s, cells[j]);
      continue;
    }
    for (size_t j = 0; n->confusion && j < classes * classes; j++)
      if (n->confusion[j])
        write_confusion(
            c, n, s,
            (confusion_cell){(uint32_t)(j / classes), (uint32_t)(j % classes), n->confusion[j]});
  }
  sheet_close(s);
}

void report_sheet_calibration(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"Model", "net", COLUMN_KEY},
      {"Confidence from", "from", COLUMN_PLAIN},
      {"to", "to", COLUMN_PLAIN},
      {"Images", "pictures", COLUMN_PLAIN},
      {"Mean confidence", "confidence", COLUMN_PLAIN},
      {"Accuracy", "right", COLUMN_PLAIN},
  };
  sheet_open(s, "calibration", "Accuracy by confidence", columns, COUNT_OF(columns), MAX_ROWS);
  for (uint32_t i = 0; i < c->model_count; i++) {
    for (size_t j = 0; j < CALIBRATION_BINS; j++) {
      const calibration_bin *bin = &c->models[i].calibration[j];
      sheet_text(s, c->models[i].title);
      sheet_percent(s, (double)j / CALIBRATION_BINS);
      sheet_percent(s, (double)(j + 1) / CALIBRATION_BINS);
      sheet_count(s, bin->images);
      sheet_percent(s, bin->images ? bin->confidence / (double)bin->images : NAN);
      sheet_percent(s, stats_share(bin->right, bin->images));
    }
  }
  sheet_close(s);
}

void report_sheet_pairs(const comparison *c, sheet *s) {
  static const sheet_column columns[] = {
      {"A", "a", COLUMN_KEY},
      {"B", "b", COLUMN_KEY},
      {"Images", "pictures", COLUMN_PLAIN},
      {"Same answer", "agreement", COLUMN_PLAIN},
      {"Both right", "both_right", COLUMN_PLAIN},
      {"Only A right", "only_a_right", COLUMN_PLAIN},
      {"Only B right", "only_b_right", COLUMN_PLAIN},
      {"McNemar\xe2\x80\x99s \xcf\x87\xc2\xb2", "mcnemar_chi2", COLUMN_PLAIN},
      {"p", "mcnemar_p", COLUMN_PLAIN},
      {"p, Holm", "mcnemar_p_holm", COLUMN_PLAIN},
      {"A \xe2\x88\x92 B", "difference", COLUMN_PLAIN},
      {"95&nbsp;% from", "difference_low", COLUMN_PLAIN},
      {"to", "difference_high", COLUMN_PLAIN},
  };
  sheet_open(s, "pairs", "Agreement on the same images", columns, COUNT_OF(columns), MAX_ROWS);
  for (uint32_t i = 0; i < c->pair_count; i++) {
    const pair_summary *p = &c->pairs[i];
    const stats_interval difference = stats_paired_interval(p->only_a, p->only_b, p->images);
    sheet_text(s, c->models[p->a].title);
    sheet_text(s, c->models[p->b].title);
    sheet_count(s, p->images);
    sheet_percent(s, stats_share(p->agree, p->images));
    sheet_count(s, p->both);
    sheet_count(s, p->only_a);
    sheet_count(s, p->only_b);
    sheet_number(s, p->mcnemar_chi2);
    sheet_number(s, p->mcnemar_p);
    sheet_number(s, p->mcnemar_holm);
    sheet_percent(s, ((double)p->only_a - (double)p->only_b) / (double)p->images);
    sheet_percent(s, difference.low);
    sheet_percent(s, difference.high);
  }
  sheet_close(s);
}
