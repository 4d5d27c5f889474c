/* Sentences about a comparison. For each claim of the paper (He et al. 2015, "Deep
 * Residual Learning for Image Recognition") they say whether the numbers agree, or why
 * that is unknown. */
#include "cli/compare/conclusions.h"

#include <math.h>
#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/format.h"
#include "cli/memory.h"
#include "cli/plan.h"

/* Two models differ if McNemar's p is below this. */
static const double significant = 0.05;

enum { MAX_SENTENCES = 12 };

static const char *title_of(const comparison *c, uint32_t model) { return c->models[model].title; }

static uint32_t depth_of(const comparison *c, uint32_t model) {
  return c->models[model].loaded.info.conv_layers;
}

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

static const char *kind_of(bool residual) { return residual ? "residual" : "plain"; }

/* Write "p = 0.03" or "p < 0.0001". */
static void write_p(FILE *out, double p) {
  if (p < 0.0001)
    (void)fputs("p < 0.0001", out);
  else
    (void)fprintf(out, "p = %.2g", p);
}

/* ---- accuracy ---- */

static const pair_summary *pair_of(const comparison *c, uint32_t a, uint32_t b) {
  for (uint32_t i = 0; i < c->pair_count; i++) {
    const pair_summary *p = &c->pairs[i];
    if ((p->a == a && p->b == b) || (p->a == b && p->b == a)) return p;
  }
  return NULL;
}

static bool may_be_chance(const comparison *c, uint32_t a, uint32_t b) {
  const pair_summary *p = pair_of(c, a, b);
  return p && !(p->mcnemar_p < significant);
}

static void compare_depths(const comparison *c, uint32_t shallow, uint32_t deep, FILE *out) {
  double before = compare_top1(&c->models[shallow]), after = compare_top1(&c->models[deep]);
  const pair_summary *p = pair_of(c, shallow, deep);
  bool chance = may_be_chance(c, shallow, deep), residual = c->models[deep].residual;
  (void)fprintf(out,
                "The %s model %s is deeper than %s. It gets %.2f %% of the images right, and %s "
                "gets %.2f %%",
                kind_of(residual), title_of(c, deep), title_of(c, shallow), 100 * after,
                title_of(c, shallow), 100 * before);
  if (p) {
    (void)fputs(" (McNemar's ", out);
    write_p(out, p->mcnemar_p);
    (void)fputc(')', out);
  }
  if (chance)
    (void)fputs(". The difference may be due to chance: it shows neither that depth helps nor that "
                "it hurts.\n",
                out);
  else if (after < before && !residual)
    (void)fputs(". Depth hurts: this is the degradation that the paper starts from.\n", out);
  else if (after < before)
    (void)fputs(". Depth hurts. This disagrees with the paper, where shortcuts prevent it.\n", out);
  else if (after > before && residual)
    (void)fputs(". Depth helps. This agrees with the paper.\n", out);
  else if (after > before)
    (void)fputs(". Depth helps: the degradation that the paper starts from does not appear here.\n",
                out);
  else
    (void)fputs(". There is no difference.\n", out);
}

static void compare_neighbours(const comparison *c, bool residual,
                               void (*conclude)(const comparison *, uint32_t, uint32_t, FILE *),
                               FILE *out) {
  uint32_t *order = cli_allocate(c->model_count, sizeof *order),
           count = compare_models_by_depth(c, residual, order);
  for (uint32_t i = 1, written = 0; i < count && written < MAX_SENTENCES; i++) {
    if (depth_of(c, order[i - 1]) == depth_of(c, order[i])) continue;
    conclude(c, order[i - 1], order[i], out);
    written++;
  }
  free(order);
}

void compare_conclude_accuracy(const comparison *c, FILE *out) {
  uint32_t best = RESNET_NO_INDEX;
  for (uint32_t i = 0; i < c->model_count; i++)
    if (c->models[i].images &&
        (best == RESNET_NO_INDEX || compare_top1(&c->models[i]) > compare_top1(&c->models[best])))
      best = i;
  if (best == RESNET_NO_INDEX) {
    (void)fputs("No image could be evaluated, so the accuracy is unknown.\n", out);
    return;
  }
  const model_summary *n = &c->models[best];
  char images[FORMAT_SIZE];
  (void)fprintf(
      out, "%s%s%s gets %.2f %% of %s images right (95 %% interval: %.2f %% to %.2f %%).%s\n",
      c->model_count > 1 ? "The most accurate model, " : "", n->title,
      c->model_count > 1 ? "," : "", 100 * compare_top1(n), cli_format_grouped(images, n->images),
      100 * n->top1_interval.low, 100 * n->top1_interval.high,
      c->model_count > 1 ? "" : " There is no other model to compare it with.");
  compare_neighbours(c, false, compare_depths, out);
  compare_neighbours(c, true, compare_depths, out);
}

/* ---- layer responses ---- */

/* Compare each layer of a residual model with the same layer of a plain one. */
static void compare_to_plain(const comparison *c, uint32_t plain, uint32_t residual, FILE *out) {
  const model_summary *p = &c->models[plain], *r = &c->models[residual];
  uint32_t count = compare_figure_layers(r), smaller = 0;
  double *ratios = cli_allocate(count, sizeof *ratios);
  for (uint32_t i = 0; i < count; i++) {
    ratios[i] = compare_layer_std(r, i) / compare_layer_std(p, i);
    smaller += ratios[i] < 1;
  }
  double median = compare_median(ratios, count);
  free(ratios);
  if (!isfinite(median)) return;
  (void)fprintf(out,
                "Compared layer by layer, %s has smaller responses than %s in %u of %u layers. "
                "The median ratio of their standard deviations is %.2f. This %s the paper, where "
                "residual networks have smaller responses than plain ones.\n",
                r->title, p->title, smaller, count, median,
                median < 1 ? "agrees with" : "disagrees with");
}

static uint32_t compare_equal_depths(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t r = 0; r < c->model_count; r++) {
    for (uint32_t p = 0; p < c->model_count && written < MAX_SENTENCES; p++) {
      const model_summary *plain = &c->models[p], *residual = &c->models[r];
      if (plain->residual || !residual->residual || compare_figure_layers(plain) == 0 ||
          compare_figure_layers(plain) != compare_figure_layers(residual))
        continue;
      compare_to_plain(c, p, r, out);
      written++;
    }
  }
  return written;
}

static void compare_layer_depths(const comparison *c, uint32_t shallow, uint32_t deep, FILE *out) {
  double before = compare_median_layer_std(&c->models[shallow]),
         after = compare_median_layer_std(&c->models[deep]);
  if (!isfinite(before) || !isfinite(after)) return;
  (void)fprintf(out,
                "%s is deeper than %s and has %s responses: the median standard deviation of a "
                "layer is %.3g, against %.3g. This %s the paper, where deeper residual networks "
                "have smaller responses.\n",
                title_of(c, deep), title_of(c, shallow),
                after < before   ? "smaller"
                : after > before ? "larger"
                                 : "equal",
                after, before, after < before ? "agrees with" : "disagrees with");
}

static bool any_layers(const comparison *c) {
  for (uint32_t i = 0; i < c->model_count; i++)
    if (isfinite(compare_median_layer_std(&c->models[i]))) return true;
  return false;
}

void compare_conclude_layers(const comparison *c, FILE *out) {
  uint32_t *order = cli_allocate(c->model_count, sizeof *order);
  uint32_t plain = compare_models_by_depth(c, false, order),
           residual = compare_models_by_depth(c, true, order);
  if (!any_layers(c))
    (void)fputs("Layer responses were not observed, so their size is unknown.\n", out);
  else if (plain == 0 || residual == 0)
    (void)fprintf(out,
                  "There is no %s model, so the responses of plain and residual models cannot be "
                  "compared.\n",
                  kind_of(plain > 0));
  else if (compare_equal_depths(c, out) == 0)
    (void)fputs("No plain model has as many layers as a residual one, so their responses cannot "
                "be compared layer by layer.\n",
                out);
  if (any_layers(c)) {
    if (residual < 2 || depth_of(c, order[0]) == depth_of(c, order[residual - 1]))
      (void)fputs("No two residual models differ in depth, so the effect of depth on responses is "
                  "unknown.\n",
                  out);
    compare_neighbours(c, true, compare_layer_depths, out);
  }
  free(order);
}

/* ---- residual branches ---- */

static void write_ratios(const model_summary *n, FILE *out) {
  uint32_t min = RESNET_NO_INDEX, max = RESNET_NO_INDEX;
  for (uint32_t i = 0; i < n->plan.block_count; i++) {
    double ratio = n->blocks[i].ratio;
    if (!cli_plan_has_shortcut(&n->plan, i) || !isfinite(ratio)) continue;
    if (min == RESNET_NO_INDEX || ratio < n->blocks[min].ratio) min = i;
    if (max == RESNET_NO_INDEX || ratio > n->blocks[max].ratio) max = i;
  }
  if (min == RESNET_NO_INDEX) return;
  (void)fprintf(out,
                "The residual branches of %s have %.2f times the standard deviation of their "
                "shortcuts (median of the blocks). The smallest ratio is %.2f (%s), the largest "
                "%.2f (%s).\n",
                n->title, compare_median_ratio(n), n->blocks[min].ratio, n->plan.blocks[min].name,
                n->blocks[max].ratio, n->plan.blocks[max].name);
}

static void compare_ratios(const comparison *c, uint32_t shallow, uint32_t deep, FILE *out) {
  double before = compare_median_ratio(&c->models[shallow]),
         after = compare_median_ratio(&c->models[deep]);
  if (!isfinite(before) || !isfinite(after)) return;
  (void)fprintf(
      out,
      "%s is deeper than %s, and each block changes the signal %s: the median ratio is %.2f, "
      "against %.2f. This %s the paper, where each layer of a deeper network changes the signal "
      "less.\n",
      title_of(c, deep), title_of(c, shallow),
      after < before   ? "less"
      : after > before ? "more"
                       : "as much",
      after, before, after < before ? "agrees with" : "disagrees with");
}

void compare_conclude_blocks(const comparison *c, FILE *out) {
  uint32_t *order = cli_allocate(c->model_count, sizeof *order),
           residual = compare_models_by_depth(c, true, order), written = 0;
  for (uint32_t i = 0; i < residual; i++) {
    const model_summary *n = &c->models[order[i]];
    if (!isfinite(compare_median_ratio(n)) || written >= MAX_SENTENCES) continue;
    write_ratios(n, out);
    written++;
  }
  free(order);
  if (residual == 0)
    (void)fputs("None of the models has shortcuts, so there are no residual branches to compare "
                "them with.\n",
                out);
  else if (written == 0)
    (void)fputs("Responses were not observed, so the size of residual branches is unknown.\n", out);
  compare_neighbours(c, true, compare_ratios, out);
}

/* ---- ablations ---- */

static void write_block_ablation(const model_summary *n, FILE *out) {
  double *costs = cli_allocate(n->plan.block_count, sizeof *costs), whole = compare_whole_error(n);
  uint32_t count = 0, worst = 0;
  for (uint32_t i = 0; i < n->plan.block_count; i++) {
    if (!n->blocks[i].can_ablate || !isfinite(n->blocks[i].ablated_top1)) continue;
    if (count == 0 || n->blocks[i].ablated_top1 < n->blocks[worst].ablated_top1) worst = i;
    costs[count++] = 1 - n->blocks[i].ablated_top1 - whole;
  }
  double median = compare_median(costs, count);
  free(costs);
  if (count == 0) {
    (void)fprintf(out,
                  "No block of %s can be left out, because each changes the shape of its input.\n",
                  n->title);
    return;
  }
  (void)fprintf(out,
                "The error of the whole model %s is %.1f %%. Leaving out one block raises it by "
                "%.1f percentage points (median of %u block%s), and by at most %.1f (%s).\n",
                n->title, 100 * whole, 100 * median, count, plural(count),
                100 * (1 - n->blocks[worst].ablated_top1 - whole), n->plan.blocks[worst].name);
}

void compare_conclude_block_ablation(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < MAX_SENTENCES; i++) {
    if (c->models[i].ablation_images == 0) continue;
    write_block_ablation(&c->models[i], out);
    written++;
  }
  if (written == 0)
    (void)fputs("No blocks were left out, so the effect of single blocks is unknown.\n", out);
}

/* Write the error with most blocks left out, and how many blocks cause half of the
 * rise to it. */
static void write_ablation(const model_summary *n, FILE *out) {
  const ablation_summary *last = &n->ablations[n->ablation_count - 1];
  double whole = compare_whole_error(n), end = 1 - last->mean;
  (void)fprintf(out, "With %u block%s of %s left out, the %serror is %.1f %%", last->removed,
                plural(last->removed), n->title, last->choices > 1 ? "mean " : "", 100 * end);
  if (last->choices > 1)
    (void)fprintf(out, " (%.1f %% to %.1f %%, depending on the blocks)", 100 * (1 - last->max),
                  100 * (1 - last->min));
  (void)fprintf(out, ". The whole model has %.1f %%.", 100 * whole);
  for (uint32_t i = 0; i < n->ablation_count; i++) {
    if (1 - n->ablations[i].mean < (whole + end) / 2) continue;
    (void)fprintf(out, " Half of the rise is reached with %u block%s left out.",
                  n->ablations[i].removed, plural(n->ablations[i].removed));
    break;
  }
  (void)fputc('\n', out);
}

void compare_conclude_ablation(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < MAX_SENTENCES; i++) {
    if (c->models[i].ablation_count == 0) continue;
    write_ablation(&c->models[i], out);
    written++;
  }
  if (written == 0)
    (void)fputs("No blocks were left out together, so the combined effect is unknown.\n", out);
}

/* ---- cost of shortcuts ---- */

typedef struct shortcut_costs {
  uint32_t shortcuts, below_noise; /* below_noise: their time is below the noise */
  double ms, unfused_ms;
  uint64_t bytes, unfused_bytes;
} shortcut_costs;

static shortcut_costs add_costs(const model_summary *n) {
  shortcut_costs sum = {0};
  for (uint32_t i = 0; n->blocks && i < n->plan.block_count; i++) {
    if (!cli_plan_has_shortcut(&n->plan, i)) continue;
    sum.shortcuts++;
    if (isfinite(n->blocks[i].shortcut_ms))
      sum.ms += n->blocks[i].shortcut_ms;
    else
      sum.below_noise++;
    sum.unfused_ms += n->blocks[i].unfused_ms;
    sum.bytes += n->blocks[i].shortcut_bytes;
    sum.unfused_bytes += n->blocks[i].unfused_bytes;
  }
  return sum;
}

static void write_times(const model_summary *n, const shortcut_costs *sum, FILE *out) {
  double share = sum->ms / n->latency_median_ms, unfused = sum->unfused_ms / n->latency_median_ms;
  if (sum->below_noise == sum->shortcuts)
    (void)fprintf(out,
                  "None of the %u shortcut%s of %s takes more time than the measurement noise; the "
                  "model takes %.3g ms",
                  sum->shortcuts, plural(sum->shortcuts), n->title, n->latency_median_ms);
  else
    (void)fprintf(out, "The %u shortcut%s of %s take%s %.3g ms of its %.3g ms (%.1f %%)",
                  sum->shortcuts, plural(sum->shortcuts), n->title, sum->shortcuts == 1 ? "s" : "",
                  sum->ms, n->latency_median_ms, 100 * share);
  if (sum->below_noise > 0 && sum->below_noise < sum->shortcuts)
    (void)fprintf(out, ", not counting %u of %u, whose time is below the measurement noise",
                  sum->below_noise, sum->shortcuts);
  if (!isfinite(sum->unfused_ms))
    (void)fputs(". Their time as separate operations was not measured.\n", out);
  else if (sum->unfused_ms > sum->ms)
    (void)fprintf(
        out,
        ". As separate operations they would take %.3g ms (%.1f %%), so fusing them saves "
        "%.1f %%.\n",
        sum->unfused_ms, 100 * unfused, 100 * (unfused - share));
  else
    (void)fprintf(
        out,
        ". As separate operations they would take %.3g ms, so fusing them saves nothing here.\n",
        sum->unfused_ms);
}

void compare_conclude_shortcut_times(const comparison *c, FILE *out) {
  uint32_t written = 0, with = 0;
  for (uint32_t i = 0; i < c->model_count && written < MAX_SENTENCES; i++) {
    shortcut_costs sum = add_costs(&c->models[i]);
    with += sum.shortcuts > 0;
    bool measured =
        sum.below_noise < sum.shortcuts || (sum.shortcuts > 0 && isfinite(sum.unfused_ms));
    if (!measured || !(c->models[i].latency_median_ms > 0)) continue;
    write_times(&c->models[i], &sum, out);
    written++;
  }
  if (written == 0 && with > 0) (void)fputs("The time of shortcuts was not measured.\n", out);
  if (with == 0) (void)fputs("None of the models has shortcuts.\n", out);
}

void compare_conclude_shortcut_bytes(const comparison *c, FILE *out) {
  uint32_t written = 0, with = 0;
  for (uint32_t i = 0; i < c->model_count && written < MAX_SENTENCES; i++) {
    shortcut_costs sum = add_costs(&c->models[i]);
    with += sum.shortcuts > 0;
    if (sum.shortcuts == 0 || sum.unfused_bytes == 0) continue;
    char fused[FORMAT_SIZE], unfused[FORMAT_SIZE];
    (void)fprintf(
        out,
        "For the %u shortcut%s of %s, %s are read and written for each image. As separate "
        "operations they would need %s",
        sum.shortcuts, plural(sum.shortcuts), c->models[i].title,
        cli_format_bytes(fused, sum.bytes), cli_format_bytes(unfused, sum.unfused_bytes));
    if (sum.bytes > 0 && sum.unfused_bytes != sum.bytes)
      (void)fprintf(out, ", %.2f times as much", (double)sum.unfused_bytes / (double)sum.bytes);
    (void)fputs(".\n", out);
    written++;
  }
  if (written == 0 && with > 0) (void)fputs("The memory traffic of shortcuts is unknown.\n", out);
  if (with == 0) (void)fputs("None of the models has shortcuts.\n", out);
}

/* ---- confusions and calibration ---- */

void compare_conclude_confusions(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < MAX_SENTENCES; i++) {
    const model_summary *n = &c->models[i];
    confusion_cell worst;
    char truth[CLASS_NAME_SIZE], answer[CLASS_NAME_SIZE], images[FORMAT_SIZE], all[FORMAT_SIZE];
    if (compare_largest_confusions(n, &worst, 1) == 0) {
      if (n->images) (void)fprintf(out, "%s makes no mistake.\n", n->title);
      written += n->images > 0;
      continue;
    }
    uint64_t of_class = 0;
    for (size_t j = 0; j < n->loaded.info.classes; j++)
      of_class += n->confusion[worst.truth * (size_t)n->loaded.info.classes + j];
    (void)fprintf(out,
                  "The most frequent mistake of %s is to label \xe2\x80\x9c%s\xe2\x80\x9d as "
                  "\xe2\x80\x9c%s\xe2\x80\x9d: %s of %s images.\n",
                  n->title, compare_class_name(c, n, worst.truth, truth),
                  compare_class_name(c, n, worst.answer, answer),
                  cli_format_grouped(images, worst.images), cli_format_grouped(all, of_class));
    written++;
  }
  if (written == 0) (void)fputs("No image could be evaluated, so there are no confusions.\n", out);
}

void compare_conclude_calibration(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < MAX_SENTENCES; i++) {
    const model_summary *n = &c->models[i];
    if (n->images == 0) continue;
    double confidence = 0;
    for (size_t b = 0; b < CALIBRATION_BINS; b++) confidence += n->calibration[b].confidence;
    confidence /= (double)n->images;
    double over = confidence - compare_top1(n);
    (void)fprintf(out,
                  "%s has a mean confidence of %.1f %% and an accuracy of %.1f %%: it is %s. Its "
                  "expected calibration error is %.1f percentage points.\n",
                  n->title, 100 * confidence, 100 * compare_top1(n),
                  fabs(over) < 0.005 ? "neither over- nor underconfident"
                  : over > 0         ? "overconfident"
                                     : "underconfident",
                  100 * n->calibration_error);
    written++;
  }
  if (written == 0)
    (void)fputs("No image could be evaluated, so the confidence is unknown.\n", out);
}

/* ---- pairs and dead units ---- */

void compare_conclude_pair(const comparison *c, const pair_summary *p, FILE *out) {
  const char *a = title_of(c, p->a), *b = title_of(c, p->b);
  if (p->images == 0) {
    (void)fprintf(out, "No image was evaluated by both %s and %s.\n", a, b);
    return;
  }
  char only_a[FORMAT_SIZE], only_b[FORMAT_SIZE];
  (void)fprintf(out,
                "%s and %s give the same answer for %.1f %% of the images. Only %s is right on %s "
                "images, only %s on %s. ",
                a, b, 100 * (double)p->agree / (double)p->images, a,
                cli_format_grouped(only_a, p->only_a), b, cli_format_grouped(only_b, p->only_b));
  bool differs = p->mcnemar_p < significant;
  (void)fputs(differs ? "This difference is larger than chance explains (McNemar's "
                      : "This difference may be due to chance (McNemar's ",
              out);
  write_p(out, p->mcnemar_p);
  (void)fputs(").\n", out);
}

void compare_conclude_dead(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < MAX_SENTENCES; i++) {
    const model_summary *n = &c->models[i];
    uint64_t channels, dead = compare_dead_channels(n, &channels);
    char text[FORMAT_SIZE], all[FORMAT_SIZE];
    if (channels == 0) continue;
    written++;
    if (dead == 0)
      (void)fprintf(out, "None of the %s channels of %s is dead.\n",
                    cli_format_grouped(all, channels), n->title);
    else
      (void)fprintf(out,
                    "%s of the %s channels of %s %s never above 0, in any pixel of any image.\n",
                    cli_format_grouped(text, dead), cli_format_grouped(all, channels), n->title,
                    dead == 1 ? "is" : "are");
  }
  if (written == 0)
    (void)fputs("Layer responses were not observed, so the number of dead channels is unknown.\n",
                out);
}
